"""Parses responses as the gateway would, and as strictly as other clients may."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any, Final

from akash_gradio.check.probe_request import ProbeResponse
from akash_gradio.domain.errors import (
    AkashGradioError,
    ContextExceeded,
    EndpointError,
    EndpointMalformed,
    EndpointSilent,
    RequestRefused,
)
from akash_gradio.domain.events import Event, ReasoningDelta, TextDelta
from akash_gradio.gateway.error_responses import error_from_response
from akash_gradio.gateway.sse import EventTooLarge, SSEDecoder
from akash_gradio.gateway.stream_reader import ReplyReader

ALIAS: Final = "endpoint"
"""The alias in the gateway's errors. The checker doesn't show it."""
_EXPLAIN_EMPTY: Final = ("length", "content_filter", "tool_calls", "function_call")
"""Finish reasons with which an answer may be empty."""
_FIELD: Final = re.compile(rb"(?:data|event|id|retry)?(?::|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFailure:
    """Why a response contains no usable answer.

    Attributes:
        code: Key of `messages.ANSWER_FAILURES`.
        status: HTTP status, or None if there was no response.
        detail: The endpoint's own error text. It may contain secrets; see `Target.quote`.
        location: Where a redirect leads.
        limit_tokens: The context size in tokens that a refusal names.
    """

    code: str
    status: int | None = None
    detail: str = ""
    location: str = ""
    limit_tokens: int | None = None

    @property
    def is_busy(self) -> bool:
        """Whether the endpoint may answer the same request later."""
        return self.code in ("busy", "starting")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer as the gateway reads it.

    Attributes:
        failure: Why there is no answer, or None.
        text: The text without the reasoning.
        reasoning: The reasoning.
        content: The text before reasoning is separated from it.
        reasoning_field: Name of the field that contains the reasoning, or "".
        finish: The finish reason.
        streamed: Whether the response was an event stream.
        value: The JSON of a response that isn't streamed, {} if there is none.
    """

    failure: AnswerFailure | None = None
    text: str = ""
    reasoning: str = ""
    content: str = ""
    reasoning_field: str = ""
    finish: str | None = None
    streamed: bool = False
    value: dict[str, Any] = field(default_factory=dict)

    @property
    def is_accepted(self) -> bool:
        """Whether the request was accepted, even if the answer is empty."""
        return self.failure is None or self.failure.code == "empty"

    @property
    def message(self) -> dict[str, Any]:
        """The message of the first choice, {} if there is none."""
        return _first_choice(self.value, "message")

    @property
    def usage(self) -> dict[str, Any]:
        """The reported token counts, {} if there are none."""
        usage = self.value.get("usage")
        return usage if isinstance(usage, dict) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamedAnswer:
    """A streamed answer.

    Attributes:
        answer: The answer that the stream adds up to.
        chunks: The JSON objects of its events.
        done: Whether `[DONE]` was received.
        framing_issues: Result codes of the probe `framing` for what many clients can't read.
        token_times_s: When text arrived, in seconds after the request.
    """

    answer: Answer
    chunks: tuple[dict[str, Any], ...] = ()
    done: bool = False
    framing_issues: tuple[str, ...] = ()
    token_times_s: tuple[float, ...] = ()

    @property
    def usage(self) -> dict[str, Any]:
        """The last reported token counts, {} if there are none."""
        reported = [c["usage"] for c in self.chunks if isinstance(c.get("usage"), dict)]
        return reported[-1] if reported else {}


def parse_answer(response: ProbeResponse) -> Answer:
    """Parse the response to a request without `stream`."""
    failure = failure_before_body(response)
    if failure is not None:
        return Answer(failure=failure)
    answer = _read(response)
    answer = replace(
        answer,
        streamed=response.body.lstrip()[:1] not in (b"{", b"[", b""),
        value=_json(response.body),
    )
    return _with_content(answer, [answer.message])


def parse_stream(response: ProbeResponse) -> StreamedAnswer:
    """Parse the response to a request with `stream`."""
    failure = failure_before_body(response)
    if failure is not None:
        return StreamedAnswer(answer=Answer(failure=failure))
    chunks, times, done = _events(response)
    answer = replace(_read(response), streamed=bool(chunks))
    return StreamedAnswer(
        answer=_with_content(answer, [delta_of(chunk) for chunk in chunks]),
        chunks=tuple(chunks),
        done=done,
        framing_issues=tuple(_framing_issues(response.body)),
        token_times_s=tuple(times),
    )


def delta_of(chunk: dict[str, Any]) -> dict[str, Any]:
    """Return the delta of a chunk's first choice, {} if there is none."""
    return _first_choice(chunk, "delta")


def failure_before_body(response: ProbeResponse) -> AnswerFailure | None:
    """Return the failure that follows from status and connection; None if the body decides."""
    status = response.status
    if status is None:
        interruption = response.interruption
        return AnswerFailure(code="closed" if interruption in ("", "stopped") else interruption)
    if 300 <= status < 400:
        location = response.headers.get("location", "")
        return AnswerFailure(code="redirect", status=status, location=location)
    if not 200 <= status < 300:
        return _refused(response, status)
    if response.interruption in ("", "stopped", "cut", "silent"):
        return None  # ReplyReader distinguishes these more precisely
    return AnswerFailure(code=response.interruption, status=status)


def _first_choice(value: dict[str, Any], name: str) -> dict[str, Any]:
    choices = value.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    part = first.get(name) if isinstance(first, dict) else None
    return part if isinstance(part, dict) else {}


def _refused(response: ProbeResponse, status: int) -> AnswerFailure:
    error = error_from_response(ALIAS, status, response.body)
    detail = getattr(error, "detail", "")
    if isinstance(error, ContextExceeded):
        limit = error.limit_tokens
        return AnswerFailure(code="context", status=status, detail=detail, limit_tokens=limit)
    if status == 404 and "model" in detail.lower():
        return AnswerFailure(code="model_unknown", status=status, detail=detail)
    if status == 503 and re.search(r"\b(?:loading|starting|waking|warming)\b", detail.lower()):
        return AnswerFailure(code="starting", status=status, detail=detail)
    by_status = {401: "key", 403: "key", 404: "not_found", 413: "too_large", 429: "busy"}
    default = "refused" if isinstance(error, RequestRefused) else "status"
    return AnswerFailure(code=by_status.get(status, default), status=status, detail=detail)


def _read(response: ProbeResponse) -> Answer:
    reader = ReplyReader(ALIAS, response.headers.get("content-type"))
    events: list[Event] = []
    error: AkashGradioError | None = None
    try:
        for chunk in response.chunks:
            events += reader.feed(chunk.data)
        if response.interruption != "stopped":
            events += reader.close()
    except (EndpointError, RequestRefused) as caught:
        error = caught
    return Answer(
        failure=_failure_in_body(response, error, reader),
        text="".join(event.text for event in events if isinstance(event, TextDelta)),
        reasoning="".join(event.text for event in events if isinstance(event, ReasoningDelta)),
        finish=reader.finish_reason,
    )


def _failure_in_body(
    response: ProbeResponse, error: AkashGradioError | None, reader: ReplyReader
) -> AnswerFailure | None:
    if error is None and response.interruption != "silent":
        is_empty = not reader.has_output and reader.finish_reason not in (None, *_EXPLAIN_EMPTY)
        return AnswerFailure(code="empty", status=response.status) if is_empty else None
    malformed = error.reason if isinstance(error, EndpointMalformed) else ""
    if response.interruption in ("silent", "cut") and malformed in ("", "cut", "shape"):
        return AnswerFailure(code=response.interruption, status=response.status)
    if isinstance(error, EndpointSilent):
        return AnswerFailure(code="empty", status=response.status)
    detail = getattr(error, "detail", "")
    return AnswerFailure(code=malformed or "error_body", status=response.status, detail=detail)


def _events(response: ProbeResponse) -> tuple[list[dict[str, Any]], list[float], bool]:
    decoder = SSEDecoder()
    chunks: list[dict[str, Any]] = []
    times: list[float] = []
    done = False
    try:
        for received in response.chunks:
            for payload in decoder.feed(received.data):
                done = done or payload.strip() == b"[DONE]"
                chunk = _json(payload)
                chunks += [chunk] if chunk else []
                times += [received.at_s] if _has_text(chunk) else []
        for payload in decoder.close():
            done = done or payload.strip() == b"[DONE]"
    except EventTooLarge:
        pass
    return chunks, times, done


def _has_text(chunk: dict[str, Any]) -> bool:
    delta = delta_of(chunk)
    return any(delta.get(name) for name in ("content", "reasoning", "reasoning_content"))


def _framing_issues(body: bytes) -> list[str]:
    issues = {}
    if body.startswith(b"\xef\xbb\xbf"):
        issues["bom"] = True
    if re.search(rb"\r(?!\n)", body):
        issues["cr_lines"] = True
    unified = body.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if unified and not unified.endswith(b"\n\n"):
        issues["unterminated"] = True
    for event in unified.split(b"\n\n"):
        lines = [line for line in event.split(b"\n") if line]
        if sum(line.startswith(b"data") for line in lines) > 1:
            issues["several_lines"] = True
        if not all(_FIELD.match(line) for line in lines):
            issues["stray_lines"] = True
    return list(issues)


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _with_content(answer: Answer, parts: list[dict[str, Any]]) -> Answer:
    content = "".join(p["content"] for p in parts if isinstance(p.get("content"), str))
    names = ("reasoning_content", "reasoning")
    named = next((name for name in names if any(p.get(name) for p in parts)), "")
    return replace(answer, content=content, reasoning_field=named)
