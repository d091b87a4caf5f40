"""A stub that follows the protocol in every respect but one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.stubs.behavior import Behavior, Ending, get_behavior
from tests.stubs.endpoint import Exchange
from tests.stubs.wire import TOKENS, completion, error, to_json

CONTEXT_TOKENS = 8192
"""The context in `wire.model_list`, which this stub enforces. A word counts as a token."""
REPEAT_PROMPT = "Repeat this exactly, with the brackets: "


def compliant(behavior: object = "perfect") -> Behavior:
    """Return a behavior that streams like the given one, and answers correctly otherwise."""
    inner = get_behavior(behavior)
    can_answer = inner.ending in (Ending.COMPLETE, Ending.INTERRUPTED)
    number = float if inner.name == "float_usage" else int

    async def handler(x: Exchange) -> None:
        body = x.request.json
        if count_words(body) > CONTEXT_TOKENS:
            await x.reply(to_json(too_long(count_words(body))), 400)
        elif body.get("stream") or not can_answer:
            await inner.handler(x)
        else:
            await x.reply(to_json(answer_to(body, number)))

    return replace(inner, handler=handler)


def count_words(body: dict[str, Any]) -> int:
    texts = [m["content"] for m in body["messages"] if isinstance(m["content"], str)]
    return sum(len(text.split()) for text in texts)


def too_long(tokens: int) -> dict[str, Any]:
    message = (
        f"This model's maximum context length is {CONTEXT_TOKENS} tokens. However, "
        f"your messages resulted in {tokens} tokens. Please reduce the length of the messages."
    )
    return error(message, "invalid_request_error", "context_length_exceeded")


def answer_to(body: dict[str, Any], number: type = int) -> dict[str, Any]:
    """Return a completion that respects `max_tokens` and `stop` and repeats text on request."""
    prompt = body["messages"][-1]["content"]
    tokens = list(TOKENS)
    if isinstance(prompt, str) and prompt.startswith(REPEAT_PROMPT):
        repeated = prompt.removeprefix(REPEAT_PROMPT)
        tokens = [repeated[i : i + 4] for i in range(0, len(repeated), 4)]
    limit = body.get("max_tokens") or body.get("max_completion_tokens") or len(tokens)
    text = "".join(tokens[:limit])
    for stop in body.get("stop") or ():
        text = text.partition(stop)[0]
    count = min(limit, len(tokens))
    usage = {"prompt_tokens": 13, "completion_tokens": count, "total_tokens": 13 + count}
    response = {**completion(text), "usage": {name: number(n) for name, n in usage.items()}}
    response["choices"][0]["finish_reason"] = "length" if limit < len(tokens) else "stop"
    return response
