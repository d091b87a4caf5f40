"""What was heard, read: as the gateway will read it, and as strictly as other clients may."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any, Final

from akash_gradio.check.probe_request import Heard
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
_FIELD: Final = re.compile(rb"(?:data|event|id|retry)?(?::|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why an answer is none. code: of `words.FAULTS`. status: HTTP's. detail: the endpoint's
    words, not yet cleaned. where: of a redirect. limit_tokens: of the context, as it says.
    """

    code: str
    status: int | None = None
    detail: str = ""
    where: str = ""
    limit_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer as the gateway reads it.

    value: the JSON of an unstreamed one, {} where there is none. content: the model's text
    before reasoning is taken out of it.
    """

    fault: Fault | None = None
    text: str = ""
    reasoning: str = ""
    content: str = ""
    reasoning_field: str = ""
    finish: str | None = None
    streamed: bool = False
    value: dict[str, Any] = field(default_factory=dict)

    @property
    def message(self) -> dict[str, Any]:
        """The first choice's message, {} where there is none."""
        choices = self.value.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        message = first.get("message") if isinstance(first, dict) else None
        return message if isinstance(message, dict) else {}

    @property
    def usage(self) -> dict[str, Any]:
        """What it says of tokens, {} for nothing."""
        usage = self.value.get("usage")
        return usage if isinstance(usage, dict) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A streamed answer. chunks: the JSON objects of its events. odd: what its framing has that
    many clients can't read, by the codes of the probe `framing`. token_times_s: when words came.
    """

    answer: Answer
    chunks: tuple[dict[str, Any], ...] = ()
    done: bool = False
    odd: tuple[str, ...] = ()
    token_times_s: tuple[float, ...] = ()

    @property
    def usage(self) -> dict[str, Any]:
        """The last that it said of tokens, {} for nothing."""
        found = [c["usage"] for c in self.chunks if isinstance(c.get("usage"), dict)]
        return found[-1] if found else {}


def read_answer(heard: Heard) -> Answer:
    """An unstreamed answer, or why it is none."""
    fault = fault_before_body(heard)
    if fault is not None:
        return Answer(fault=fault)
    text, reasoning, finish, fault = _read(heard)
    value = _json(heard.body)
    streamed = heard.body.lstrip()[:1] not in (b"{", b"[", b"")
    answer = Answer(
        fault=fault,
        text=text,
        reasoning=reasoning,
        finish=finish,
        streamed=streamed,
        value=value,
    )
    return _with_content(answer, [answer.message])


def read_flow(heard: Heard) -> Flow:
    """A streamed answer, or why it is none."""
    fault = fault_before_body(heard)
    if fault is not None:
        return Flow(answer=Answer(fault=fault))
    text, reasoning, finish, fault = _read(heard)
    chunks, times, done = _events(heard)
    streamed = bool(chunks)
    answer = Answer(fault=fault, text=text, reasoning=reasoning, finish=finish, streamed=streamed)
    return Flow(
        answer=_with_content(answer, [delta_of(chunk) for chunk in chunks]),
        chunks=tuple(chunks),
        done=done,
        odd=tuple(_oddities(heard.body)),
        token_times_s=tuple(times),
    )


def delta_of(chunk: dict[str, Any]) -> dict[str, Any]:
    """The first choice's delta, {} where there is none."""
    choices = chunk.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    delta = first.get("delta") if isinstance(first, dict) else None
    return delta if isinstance(delta, dict) else {}


def fault_before_body(heard: Heard) -> Fault | None:
    """What stands in the way of reading an answer at all."""
    status = heard.status
    if status is None:
        return Fault(code="closed" if heard.failure in ("", "stopped") else heard.failure)
    if 300 <= status < 400:
        return Fault(code="redirect", status=status, where=heard.headers.get("location", ""))
    if not 200 <= status < 300:
        return _refused(heard, status)
    if heard.failure in ("", "stopped", "cut", "silent"):
        return None  # the reader says more exactly how far it came
    return Fault(code=heard.failure, status=status)


def _refused(heard: Heard, status: int) -> Fault:
    error = error_from_response(ALIAS, status, heard.body, None)
    detail = getattr(error, "detail", "")
    if isinstance(error, ContextExceeded):
        limit = error.limit_tokens
        return Fault(code="context", status=status, detail=detail, limit_tokens=limit)
    if status == 404 and "model" in detail.lower():
        return Fault(code="model_unknown", status=status, detail=detail)
    if status == 503 and re.search(r"\b(?:loading|starting|waking|warming)\b", detail.lower()):
        return Fault(code="starting", status=status, detail=detail)
    by_status = {401: "key", 403: "key", 404: "not_found", 413: "too_large", 429: "busy"}
    if isinstance(error, RequestRefused):
        return Fault(code=by_status.get(status, "refused"), status=status, detail=detail)
    return Fault(code=by_status.get(status, "status"), status=status, detail=detail)


def _read(heard: Heard) -> tuple[str, str, str | None, Fault | None]:
    reader = ReplyReader(ALIAS, heard.headers.get("content-type"))
    events: list[Event] = []
    failure: AkashGradioError | None = None
    try:
        for piece in heard.pieces:
            events += reader.feed(piece.data)
        if heard.failure != "stopped":
            events += reader.close()
    except (EndpointError, RequestRefused) as error:
        failure = error
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    reasoning = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    fault = _fault(heard, failure)
    return text, reasoning, reader.finish_reason, fault


def _fault(heard: Heard, failure: AkashGradioError | None) -> Fault | None:
    if failure is None and heard.failure != "silent":
        return None
    garbled = failure.reason if isinstance(failure, EndpointMalformed) else ""
    if heard.failure in ("silent", "cut") and garbled in ("", "cut", "shape"):
        return Fault(code=heard.failure, status=heard.status)
    if isinstance(failure, EndpointSilent):
        return Fault(code="empty", status=heard.status)
    detail = getattr(failure, "detail", "")
    return Fault(code=garbled or "error_body", status=heard.status, detail=detail)


def _events(heard: Heard) -> tuple[list[dict[str, Any]], list[float], bool]:
    decoder = SSEDecoder()
    chunks: list[dict[str, Any]] = []
    times: list[float] = []
    done = False
    try:
        for piece in heard.pieces:
            for payload in decoder.feed(piece.data):
                done = done or payload.strip() == b"[DONE]"
                chunk = _json(payload)
                chunks += [chunk] if chunk else []
                times += [piece.at_s] if _speaks(chunk) else []
        for payload in decoder.close():
            done = done or payload.strip() == b"[DONE]"
    except EventTooLarge:
        pass
    return chunks, times, done


def _speaks(chunk: dict[str, Any]) -> bool:
    delta = delta_of(chunk)
    return any(delta.get(name) for name in ("content", "reasoning", "reasoning_content"))


def _oddities(body: bytes) -> list[str]:
    found = {}
    if body.startswith(b"\xef\xbb\xbf"):
        found["bom"] = True
    if re.search(rb"\r(?!\n)", body):
        found["cr_lines"] = True
    unified = body.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if unified and not unified.endswith(b"\n\n"):
        found["unterminated"] = True
    for event in unified.split(b"\n\n"):
        lines = [line for line in event.split(b"\n") if line]
        if sum(line.startswith(b"data") for line in lines) > 1:
            found["several_lines"] = True
        if not all(_FIELD.match(line) for line in lines):
            found["stray_lines"] = True
    return list(found)


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
