"""A stub that does all that is asked of it, around a behavior that does one thing otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.stubs.behavior import Animal, Ending, named
from tests.stubs.endpoint import Exchange
from tests.stubs.wire import TOKENS, completion, error, to_json

CONTEXT_TOKENS = 8192
"""What `wire.model_list` says, and what this server holds to; a word is a token."""
MARK = "Repeat this exactly, with the brackets: "


def compliant(behavior: object = "perfect") -> Animal:
    """The behavior, where the request is in order; plain answers are this one's own."""
    animal = named(behavior)
    plain = animal.ending in (Ending.COMPLETE, Ending.INTERRUPTED)
    number = float if animal.name == "float_usage" else int

    async def act(x: Exchange) -> None:
        body = x.request.json
        if words_in(body) > CONTEXT_TOKENS:
            await x.reply(to_json(too_long(words_in(body))), 400)
        elif body.get("stream") or not plain:
            await animal.handler(x)
        else:
            await x.reply(to_json(answer_to(body, number)))

    return replace(animal, handler=act)


def words_in(body: dict[str, Any]) -> int:
    texts = [m["content"] for m in body["messages"] if isinstance(m["content"], str)]
    return sum(len(text.split()) for text in texts)


def too_long(asked: int) -> dict[str, Any]:
    said = (
        f"This model's maximum context length is {CONTEXT_TOKENS} tokens. However, "
        f"your messages resulted in {asked} tokens. Please reduce the length of the messages."
    )
    return error(said, "invalid_request_error", "context_length_exceeded")


def answer_to(body: dict[str, Any], number: type = int) -> dict[str, Any]:
    """A completion within `max_tokens`, before `stop`, that repeats what it is told to."""
    said = body["messages"][-1]["content"]
    tokens = list(TOKENS)
    if isinstance(said, str) and said.startswith(MARK):
        repeated = said.removeprefix(MARK)
        tokens = [repeated[i : i + 4] for i in range(0, len(repeated), 4)]
    most = body.get("max_tokens") or body.get("max_completion_tokens") or len(tokens)
    text = "".join(tokens[:most])
    for stop in body.get("stop") or ():
        text = text.partition(stop)[0]
    count = min(most, len(tokens))
    usage = {"prompt_tokens": 13, "completion_tokens": count, "total_tokens": 13 + count}
    found = {**completion(text), "usage": {name: number(n) for name, n in usage.items()}}
    found["choices"][0]["finish_reason"] = "length" if most < len(tokens) else "stop"
    return found
