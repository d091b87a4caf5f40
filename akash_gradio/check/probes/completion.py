"""Probes for an answer that isn't streamed, and helpers shared by all probes that send chats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from akash_gradio.check.parsing import AnswerFailure, parse_answer
from akash_gradio.check.probe import (
    REQUEST_TIMEOUT_S,
    Evidence,
    Level,
    Observation,
    Probe,
    ProbeContext,
)
from akash_gradio.check.probe_request import ProbeResponse, chat_request
from akash_gradio.check.probe_result import ProbeResult, failed, passed, skipped, warned
from akash_gradio.formatting import format_seconds

HELLO: Final = "Say hello in one short sentence."
HELLO_TOKENS: Final = 24
FEW_TOKENS: Final = 8
"""Answer limit of requests whose answer doesn't matter."""


async def send_chat(
    context: ProbeContext,
    *messages: tuple[str, Any],
    tokens: int = FEW_TOKENS,
    timeout_s: float = REQUEST_TIMEOUT_S,
    stop_when: Callable[[bytes], bool] = lambda _chunk: False,
    **parameters: Any,
) -> ProbeResponse:
    """Send a chat whose answer is limited to a number of tokens.

    Args:
        context: The context of the observation.
        messages: Pairs of role and content.
        tokens: Upper bound of the answer. It is sent in the field that the endpoint accepts.
        timeout_s: Time limit for the whole response.
        stop_when: Called with each chunk of the body; True stops reading.
        parameters: Further arguments of `chat_request`.
    """
    evidence = context.evidence
    plain = evidence.results.get("plain")
    # OpenAI's reasoning models refuse `max_tokens`; then `plain` has two responses.
    was_retried = isinstance(plain, tuple) and len(plain) > 1
    limit: dict[str, Any] = {"max_completion_tokens" if was_retried else "max_tokens": tokens}
    request = chat_request(evidence.model, *messages, **limit, **parameters)
    return await context.send(request, timeout_s=timeout_s, stop_when=stop_when)


def answer_failed(
    response: ProbeResponse, failure: AnswerFailure, evidence: Evidence
) -> ProbeResult:
    """Return the result for a request that should have been answered.

    Args:
        response: The response to the request.
        failure: Why it contains no usable answer.
        evidence: What has been observed so far; its target redacts secrets.
    """
    return failed(
        response.request,
        failure.code,
        status=failure.status or "",
        time=format_seconds(response.seconds),
        detail=evidence.target.quote(failure.detail),
    )


def rejection(response: ProbeResponse, evidence: Evidence) -> ProbeResult | None:
    """Return the failure of a request that differs from `plain` only in the probed feature.

    Returns:
        A warning, `busy` if the endpoint may answer later, or None if the request was accepted.
        An empty answer is accepted: these answers are short.
    """
    answer = parse_answer(response)
    if answer.failure is None or answer.is_accepted:
        return None
    failure = answer.failure
    if failure.is_busy:
        return skipped("busy")
    detail = evidence.target.quote(failure.detail)
    code = "refused" if failure.code in ("refused", "context", "too_large") else "failed"
    return warned(response.request, code, status=failure.status or failure.code, detail=detail)


async def _plain(context: ProbeContext) -> tuple[ProbeResponse, ...]:
    """Repeat the request if it is refused because of the token limit's name."""
    model = context.evidence.model
    first = await context.send(chat_request(model, ("user", HELLO), max_tokens=HELLO_TOKENS))
    if first.status == 400 and b"max_completion_tokens" in first.body:
        request = chat_request(model, ("user", HELLO), max_completion_tokens=HELLO_TOKENS)
        return first, await context.send(request)
    return (first,)


def _evaluate_plain(evidence: Evidence) -> ProbeResult:
    response = evidence.last_response("plain")
    answer = parse_answer(response)
    if answer.failure is not None:
        return answer_failed(response, answer.failure, evidence)
    if answer.streamed:
        return failed(response.request, "streamed_unasked")
    return passed(response.request, time=format_seconds(response.seconds))


def _evaluate_shape(evidence: Evidence) -> ProbeResult:
    response = evidence.last_response("plain")
    answer = parse_answer(response)
    role = answer.message.get("role")
    if role != "assistant":
        return warned(response.request, "role", role=evidence.target.quote(str(role)))
    if answer.finish is None:
        return warned(response.request, "no_finish")
    missing = [name for name in ("id", "object", "model") if not answer.value.get(name)]
    if missing:
        return warned(response.request, "fields", names=", ".join(missing))
    return passed(response.request, finish=evidence.target.quote(answer.finish))


def _evaluate_usage(evidence: Evidence) -> ProbeResult:
    response = evidence.last_response("plain")
    return evaluate_token_counts(response, parse_answer(response).usage)


def evaluate_token_counts(response: ProbeResponse, usage: dict[str, Any]) -> ProbeResult:
    """Return whether token counts are reported, and as whole numbers."""
    counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    if any(isinstance(count, bool) or not isinstance(count, int | float) for count in counts):
        return warned(response.request, "missing")
    if any(isinstance(count, float) for count in counts):
        return warned(response.request, "fractions")
    return passed(response.request, tokens_in=counts[0], tokens_out=counts[1])


OBSERVATIONS: Final = (
    Observation(
        name="plain", observe=_plain, tokens_out=HELLO_TOKENS, after=("models",), timeout_s=31
    ),
)
PROBES: Final = (
    Probe(
        name="plain",
        level=Level.QUICK,
        requires=("key",),
        observations=("plain",),
        evaluate=_evaluate_plain,
    ),
    Probe(name="plain-shape", level=Level.QUICK, observations=("plain",), evaluate=_evaluate_shape),
    Probe(name="plain-usage", level=Level.QUICK, observations=("plain",), evaluate=_evaluate_usage),
)
