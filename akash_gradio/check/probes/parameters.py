"""Probes for request parameters: those that visitors can set, and those the app sends itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from akash_gradio.check.parsing import parse_answer
from akash_gradio.check.probe import Evidence, Observation, Probe, ProbeContext
from akash_gradio.check.probe_request import ProbeResponse
from akash_gradio.check.probe_result import ProbeResult, passed, skipped, warned
from akash_gradio.check.probes.completion import (
    FEW_TOKENS,
    HELLO,
    HELLO_TOKENS,
    rejection,
    send_chat,
)

SHORT_TOKENS: Final = 4
SEED: Final = 7
SEED_TOKENS: Final = 16
CHARACTERS_PER_TOKEN: Final = 4

Messages = tuple[tuple[str, Any], ...]
_HELLO: Final[Messages] = (("user", HELLO),)
_STORY: Final[Messages] = (("user", "Tell me the beginning of a story about a lighthouse."),)
_SYSTEM: Final[Messages] = (("system", "Answer in one word."), ("user", "What color is the sky?"))
_TURNS: Final[Messages] = (
    ("user", "My name is Ada."),
    ("assistant", "Hello Ada."),
    ("user", "What is my name?"),
)


async def _top_p(context: ProbeContext) -> tuple[ProbeResponse, ...]:
    return tuple(
        await asyncio.gather(*(send_chat(context, *_HELLO, top_p=value) for value in (0, 1)))
    )


async def _stop(context: ProbeContext) -> tuple[ProbeResponse, ...]:
    """Repeat the request of `temperature-0`, to stop at a word of its answer."""
    answer = parse_answer(context.evidence.response("temperature-0"))
    # The longest word that is neither the first nor the last.
    word = max(answer.content.split()[1:-1], key=len, default="")
    if not word:
        return ()
    return (await send_chat(context, *_HELLO, tokens=HELLO_TOKENS, temperature=0, stop=[word]),)


async def _seed(context: ProbeContext) -> tuple[ProbeResponse, ...]:
    """Send twice, and a third time if the answers differ: batching can change single results."""

    async def send() -> ProbeResponse:
        return await send_chat(
            context, *_STORY, tokens=SEED_TOKENS, temperature=1, top_p=1, seed=SEED
        )

    first, second = await send(), await send()
    if not (first.ok and second.ok) or _text_of(first) == _text_of(second):
        return first, second
    return first, second, await send()


def _text_of(response: ProbeResponse) -> str:
    answer = parse_answer(response)
    return answer.reasoning + answer.text


def _accepted(observation: str) -> Callable[[Evidence], ProbeResult]:
    def evaluate(evidence: Evidence) -> ProbeResult:
        response = evidence.response(observation)
        return rejection(response, evidence) or passed(response.request)

    return evaluate


def _evaluate_top_p(evidence: Evidence) -> ProbeResult:
    responses = evidence.responses("top-p")
    for response, value in zip(responses, ("0", "1"), strict=True):
        rejected = rejection(response, evidence)
        if rejected is not None and rejected.code == "refused":
            return warned(response.request, "refused", value=value, detail=rejected.facts["detail"])
        if rejected is not None:
            return rejected
    return passed(responses[0].request)


def _evaluate_max_tokens(evidence: Evidence) -> ProbeResult:
    response = evidence.response("max-tokens")
    rejected = rejection(response, evidence)
    if rejected is not None:
        return rejected
    reported = parse_answer(response).usage.get("completion_tokens")
    tokens = len(_text_of(response)) / CHARACTERS_PER_TOKEN
    if isinstance(reported, int | float):
        tokens = reported
    if tokens > 2 * SHORT_TOKENS:
        return warned(response.request, "ignored", limit=SHORT_TOKENS, tokens=f"{tokens:.0f}")
    return passed(response.request, tokens=f"{tokens:.0f}")


def _evaluate_stop(evidence: Evidence) -> ProbeResult:
    if not evidence.responses("stop"):
        return skipped("too_short")
    response = evidence.last_response("stop")
    rejected = rejection(response, evidence)
    if rejected is not None:
        return rejected
    assert response.request.body is not None
    word = response.request.body["stop"][0]
    if word in parse_answer(response).content:
        return warned(response.request, "ignored")
    return passed(response.request)


def _evaluate_seed(evidence: Evidence) -> ProbeResult:
    responses = evidence.responses("seed")
    for response in responses:
        rejected = rejection(response, evidence)
        if rejected is not None:
            return rejected
    texts = {_text_of(response) for response in responses}
    if len(texts) == len(responses):
        return warned(responses[0].request, "differs")
    return passed(responses[0].request)


def _one_request(
    name: str, messages: Messages = _HELLO, tokens: int = FEW_TOKENS, **parameters: Any
) -> Observation:
    async def observe(context: ProbeContext) -> ProbeResponse:
        return await send_chat(context, *messages, tokens=tokens, **parameters)

    return Observation(name=name, observe=observe, tokens_out=tokens)


def _several_requests(
    name: str, observe: Callable[[ProbeContext], Awaitable[Any]], calls: int, tokens: int
) -> Observation:
    return Observation(
        name=name,
        observe=observe,
        calls=calls,
        tokens_in=60 * calls,
        tokens_out=calls * tokens,
        timeout_s=16.0 * calls,
    )


OBSERVATIONS: Final = (
    _one_request("temperature-0", tokens=HELLO_TOKENS, temperature=0),
    _several_requests("top-p", _top_p, 2, FEW_TOKENS),
    _one_request("max-tokens", tokens=SHORT_TOKENS),
    Observation(
        name="stop",
        observe=_stop,
        tokens_out=HELLO_TOKENS,
        after=("temperature-0",),
        timeout_s=16,
    ),
    _one_request("system-role", _SYSTEM),
    _one_request("turns", _TURNS),
    _several_requests("seed", _seed, 3, SEED_TOKENS),
    _one_request("unknown-field", akash_gradio_check=True),
)
PROBES: Final = (
    Probe(
        name="temperature-0", observations=("temperature-0",), evaluate=_accepted("temperature-0")
    ),
    Probe(name="top-p", observations=("top-p",), evaluate=_evaluate_top_p),
    Probe(name="max-tokens", observations=("max-tokens",), evaluate=_evaluate_max_tokens),
    Probe(
        name="stop",
        requires=("plain", "temperature-0"),
        observations=("temperature-0", "stop"),
        evaluate=_evaluate_stop,
    ),
    Probe(name="system-role", observations=("system-role",), evaluate=_accepted("system-role")),
    Probe(name="turns", observations=("turns",), evaluate=_accepted("turns")),
    Probe(name="seed", observations=("seed",), evaluate=_evaluate_seed),
    Probe(
        name="unknown-field", observations=("unknown-field",), evaluate=_accepted("unknown-field")
    ),
)
