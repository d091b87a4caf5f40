"""Probes for a streamed answer: its form, and whether text arrives while it is generated."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from akash_gradio.check.parsing import StreamedAnswer, delta_of, parse_answer, parse_stream
from akash_gradio.check.probe import Evidence, Level, Observation, Probe, ProbeContext
from akash_gradio.check.probe_request import ProbeResponse
from akash_gradio.check.probe_result import ProbeResult, Verdict, failed, passed, skipped, warned
from akash_gradio.check.probes.completion import (
    FEW_TOKENS,
    answer_failed,
    evaluate_token_counts,
    send_chat,
)
from akash_gradio.formatting import format_seconds, format_speed

COUNT_TO_60: Final = ("user", "Count from 1 to 60, with commas between the numbers.")
COUNT_TOKENS: Final = 64
LONGER_FACTOR: Final = 4
BURST_SHARE: Final = 0.05
"""An answer is a burst if its text arrives within this share of its duration."""
MIN_MEASURABLE_S: Final = 0.25
"""A shorter answer ends before a visitor could see it stream."""
MIN_MEASURABLE_TOKENS: Final = 8
LATE_FACTOR: Final = 1.5
"""Behind a buffering proxy, a longer answer's first text arrives later by at least this factor."""
SLOW_FIRST_TOKEN_S: Final = 5.0
SLOW_TOKENS_PER_S: Final = 10.0
STREAM_OPTIONS: Final = {"include_usage": True}


async def _stream(context: ProbeContext) -> tuple[ProbeResponse, ...]:
    """Repeat the request if it is refused because of `stream_options`."""
    first = await send_chat(
        context, COUNT_TO_60, tokens=COUNT_TOKENS, stream=True, stream_options=STREAM_OPTIONS
    )
    if first.status in (400, 422) and (b"stream_options" in first.body or b"usage" in first.body):
        return first, await send_chat(context, COUNT_TO_60, tokens=COUNT_TOKENS, stream=True)
    return (first,)


async def _without_usage(context: ProbeContext) -> ProbeResponse:
    return await send_chat(context, COUNT_TO_60, stream=True)


async def _longer(context: ProbeContext) -> tuple[ProbeResponse, ...]:
    """Request four times the length if the first answer came in one burst."""
    if not _is_burst(context.evidence.last_response("stream")):
        return ()
    tokens = LONGER_FACTOR * COUNT_TOKENS
    return (await send_chat(context, COUNT_TO_60, tokens=tokens, stream=True),)


def _stream_of(evidence: Evidence) -> tuple[ProbeResponse, StreamedAnswer]:
    response = evidence.last_response("stream")
    return response, parse_stream(response)


def _token_count(stream: StreamedAnswer) -> float:
    """Return the reported number of tokens, else an estimate."""
    reported = stream.usage.get("completion_tokens")
    if isinstance(reported, int | float) and reported > 0:
        return reported
    answer = stream.answer
    return max(len(stream.token_times_s), (len(answer.text) + len(answer.reasoning)) / 4)


def _is_burst(response: ProbeResponse) -> bool:
    stream = parse_stream(response)
    times_s = stream.token_times_s
    if not times_s or response.seconds < MIN_MEASURABLE_S:
        return False
    if _token_count(stream) < MIN_MEASURABLE_TOKENS:
        return False
    return times_s[-1] - times_s[0] <= BURST_SHARE * response.seconds


def _evaluate_stream(evidence: Evidence) -> ProbeResult:
    response, stream = _stream_of(evidence)
    plain = parse_answer(evidence.last_response("plain")).failure
    failure = stream.answer.failure
    if failure is not None and plain is not None and plain.code == failure.code:
        return skipped("same")
    if failure is not None:
        return answer_failed(response, failure, evidence)
    if not stream.answer.streamed:
        return failed(response.request, "whole_json")
    return passed(response.request, chunks=len(stream.chunks))


def _evaluate_content_type(evidence: Evidence) -> ProbeResult:
    response = evidence.last_response("stream")
    content_type = response.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "text/event-stream":
        quoted = evidence.target.quote(content_type) or "none"
        return warned(response.request, "other", content_type=quoted)
    return passed(response.request)


def _evaluate_framing(evidence: Evidence) -> ProbeResult:
    response, stream = _stream_of(evidence)
    issues = stream.framing_issues
    return warned(response.request, issues[0]) if issues else passed(response.request)


def _evaluate_chunks(evidence: Evidence) -> ProbeResult:
    response, stream = _stream_of(evidence)
    for chunk in stream.chunks:
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            return warned(response.request, "no_choices")
        first = choices[0] if choices else {"delta": {}}
        if not isinstance(first, dict) or not isinstance(first.get("delta"), dict):
            return warned(response.request, "no_delta")
    return passed(response.request, count=len(stream.chunks))


def _evaluate_finish(evidence: Evidence) -> ProbeResult:
    response, stream = _stream_of(evidence)
    roles = [str(role) for chunk in stream.chunks if (role := delta_of(chunk).get("role"))]
    other = next((role for role in roles if role != "assistant"), None)
    if other is not None:
        return warned(response.request, "role", role=evidence.target.quote(other))
    if stream.answer.finish is None:
        return warned(response.request, "missing")
    return passed(response.request, finish=evidence.target.quote(stream.answer.finish))


def _evaluate_done(evidence: Evidence) -> ProbeResult:
    response, stream = _stream_of(evidence)
    return passed(response.request) if stream.done else warned(response.request, "missing")


def _evaluate_usage(evidence: Evidence) -> ProbeResult:
    response, stream = _stream_of(evidence)
    first = evidence.responses("stream")[0]
    if first is not response:
        return replace(warned(first.request, "refused"), learned={"stream_options": False})
    result = evaluate_token_counts(response, stream.usage)
    if result.verdict is Verdict.PASS:
        return replace(result, learned={"stream_options": True})
    return result


def _evaluate_without_usage(evidence: Evidence) -> ProbeResult:
    response = evidence.response("without-usage")
    stream = parse_stream(response)
    failure = stream.answer.failure
    if failure is not None and failure.is_busy:
        return skipped("busy")
    if failure is not None and not stream.answer.is_accepted:
        return warned(response.request, "failed", status=failure.status or failure.code)
    if any(chunk.get("usage") and chunk.get("choices") == [] for chunk in stream.chunks):
        return warned(response.request, "unasked")
    return passed(response.request)


def _evaluate_streams_live(evidence: Evidence) -> ProbeResult:
    response, stream = _stream_of(evidence)
    if not evidence.responses("longer"):
        facts = {"time": format_seconds(response.seconds), "count": len(stream.token_times_s)}
        if response.seconds < MIN_MEASURABLE_S:
            return passed(response.request, "too_fast", **facts)
        return replace(passed(response.request, "ok", **facts), learned={"streams": True})
    longer = evidence.last_response("longer")
    times_s = parse_stream(longer).token_times_s
    is_later = bool(times_s) and times_s[0] > LATE_FACTOR * stream.token_times_s[0]
    if _is_burst(longer) and is_later:
        result = failed(longer.request, "lump", time=format_seconds(times_s[0]))
        return replace(result, learned={"streams": False})
    return passed(longer.request, "fast")


def _evaluate_speed(evidence: Evidence) -> ProbeResult:
    response, stream = _stream_of(evidence)
    if not stream.token_times_s:
        return skipped("unmeasured")
    first_s, last_s = stream.token_times_s[0], stream.token_times_s[-1]
    duration_s = last_s - first_s
    facts = {"first": format_seconds(first_s), "speed": ""}
    if first_s > SLOW_FIRST_TOKEN_S:
        return warned(response.request, "slow_first", **facts)
    tokens = _token_count(stream)
    if duration_s < MIN_MEASURABLE_S or tokens < MIN_MEASURABLE_TOKENS:
        return passed(response.request, "first_alone", **facts)
    tokens_per_s = (tokens - 1) / duration_s
    facts["speed"] = format_speed(tokens_per_s)
    if tokens_per_s < SLOW_TOKENS_PER_S:
        return warned(response.request, "slow", **facts)
    return passed(response.request, **facts)


_STREAM: Final = ("stream",)
OBSERVATIONS: Final = (
    Observation(
        name="stream", observe=_stream, tokens_out=COUNT_TOKENS, after=("plain",), timeout_s=31
    ),
    Observation(name="without-usage", observe=_without_usage, tokens_out=FEW_TOKENS),
    Observation(
        name="longer", observe=_longer, tokens_out=LONGER_FACTOR * COUNT_TOKENS, timeout_s=16
    ),
)
PROBES: Final = (
    Probe(
        name="stream",
        level=Level.QUICK,
        requires=("key",),
        observations=("plain", "stream"),
        evaluate=_evaluate_stream,
    ),
    *(
        Probe(
            name=name,
            level=Level.QUICK,
            requires=_STREAM,
            observations=_STREAM,
            evaluate=evaluate,
        )
        for name, evaluate in (
            ("content-type", _evaluate_content_type),
            ("framing", _evaluate_framing),
            ("chunks", _evaluate_chunks),
            ("finish", _evaluate_finish),
            ("done", _evaluate_done),
            ("usage", _evaluate_usage),
        )
    ),
    Probe(
        name="usage-unasked",
        requires=_STREAM,
        observations=("without-usage",),
        evaluate=_evaluate_without_usage,
    ),
    Probe(
        name="streams-live",
        level=Level.QUICK,
        requires=_STREAM,
        observations=("stream", "longer"),
        evaluate=_evaluate_streams_live,
    ),
    Probe(
        name="speed",
        level=Level.QUICK,
        requires=_STREAM,
        observations=_STREAM,
        evaluate=_evaluate_speed,
    ),
)
