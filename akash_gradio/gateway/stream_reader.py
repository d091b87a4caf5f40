"""Bytes of an endpoint's answer in, events out; and whether it was an answer at all.

What came decides how it is read, not what its headers claim: an event stream, a whole
JSON completion, or something that is not the protocol. However the bytes are cut, the
events are the same; an error comes after the events of the bytes before it.
"""

from __future__ import annotations

import json
from typing import Final

from akash_gradio.domain.errors import (
    EndpointError,
    EndpointMalformed,
    EndpointSilent,
    RequestRefused,
)
from akash_gradio.domain.events import Event, ReasoningDelta, TextDelta
from akash_gradio.gateway.error_responses import fault_error, fault_in, read_fault
from akash_gradio.gateway.openai_chunks import ChunkReader
from akash_gradio.gateway.passthrough.plain_events import Frame
from akash_gradio.gateway.sse import ErrorData, EventTooLarge, SSEDecoder

__all__ = ["BODY_BYTES", "ReplyReader"]

BODY_BYTES: Final = 16 << 20

_DECODER: Final = json.JSONDecoder()
"""Asked for each token, where `json.loads` looks for blanks around it again."""
_BLANK: Final = b" \t\r\n\xef\xbb\xbf"
"""What may come before anything: keep-alive blank lines, a byte-order mark."""
_WORDLESS: Final = frozenset({"length", "content_filter", "tool_calls", "function_call"})
"""Reasons to finish that make an answer of no words an answer."""


class ReplyReader:
    """Reads one answer. Live state: `feed` each read, stop when `done`, `close` in any case.

    alias: of the endpoint, for the errors. content_type: as the headers said it.
    starts_in_reasoning: the prompt opened `<think>`, so the text begins inside it.
    done: nothing more can come; what is left to say, an error perhaps, comes from `close`.
    """

    use_frames = True
    """Whether events may be read by what stands around their words."""

    def __init__(
        self, alias: str, content_type: str | None, *, starts_in_reasoning: bool = False
    ) -> None:
        self.done = False
        self._alias = alias
        self._declared_html = "html" in (content_type or "").lower()
        self._chunks = ChunkReader(alias, starts_in_reasoning=starts_in_reasoning)
        self._begun = False
        self._stream = SSEDecoder()
        self._body: bytearray | None = None
        self._failure: EndpointError | RequestRefused | None = None
        self._frame = Frame()
        self._framed = False
        """Whether what comes next may be looked at as one more event of the frame."""

    @property
    def finish_reason(self) -> str | None:
        """As the endpoint gave it; None when it gave none, also after a whole answer."""
        return self._chunks.finish_reason

    @property
    def upstream_id(self) -> str:
        """The endpoint's own id of the answer, "" when it gave none."""
        return self._chunks.upstream_id

    @property
    def fingerprint(self) -> str:
        """Its `system_fingerprint`, "" when it gave none."""
        return self._chunks.fingerprint

    @property
    def model(self) -> str:
        """The model that it says it is, "" when it says nothing."""
        return self._chunks.model

    @property
    def has_output(self) -> bool:
        """Whether any text, reasoning or tool call came."""
        return self._chunks.has_output

    @property
    def at_event_boundary(self) -> bool:
        """Whether it reads a stream and holds no part of an event."""
        return self._begun and self._body is None and self._stream.at_event_boundary

    @property
    def passthrough_ready(self) -> bool:
        """Always False: each event is parsed."""
        return False

    def match_plain(self, _data: bytes) -> None:
        """Return None: each event is parsed."""
        return

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete: text, reasoning, tool calls and usage.

        Raises EndpointMalformed, EndpointRefused or RequestRefused. Where events came before
        the error in the same read, they are returned, `done` is set, and the error waits
        for the next call.
        """
        if self._framed and (words := self._frame.text(data)) is not None:
            events: list[Event] = []
            text = str(words, "utf-8", "replace")
            self._chunks.read_words(text, self._frame.in_reasoning, events)
            return events
        if self._failure is not None:
            raise self._failure
        if self.done:
            return []
        if not self._begun:
            data = data.lstrip(_BLANK)
            if not data:
                return []
            self._sniff(data[0])
        if self._body is not None:
            return self._gather(self._body, data)
        events = self._follow(data)
        self._framed = self.use_frames and self._stream.at_event_boundary and not self.done
        if self._framed and len(events) == 1:
            self._learn(data, events[0])
        return events

    def close(self) -> list[Event]:
        """The last events, at the end of the body or after `done`.

        Raises what `feed` raises, EndpointMalformed `cut` when the body ended in the middle,
        and EndpointSilent when it was well-formed and had no word in it.
        """
        if self._failure is not None:
            raise self._failure
        events: list[Event] = []
        if self._body is not None:
            self._read_body(bytes(self._body), events)
        elif not self.done:
            self._read_rest(events)
        self._chunks.flush(events)
        self._judge()
        return events

    def _learn(self, data: bytes, event: Event) -> None:
        """Where all that came was one event of words, the next needs no parser if it is alike."""
        one_event = data.startswith(b"data:") and data.endswith(b"\n\n") and data.count(b"\n") == 2
        if one_event and isinstance(event, TextDelta | ReasoningDelta):
            self._frame.learn_parsed(data, event.text.encode())

    def _sniff(self, first: int) -> None:
        if first == ord("<"):
            raise EndpointMalformed(self._alias, "html")
        if first in b"{[":
            self._body = bytearray()
        elif not 0x20 < first < 0x7F:  # compressed without saying so, UTF-16, no text at all
            raise EndpointMalformed(self._alias, "encoding")
        self._begun = True

    def _gather(self, body: bytearray, data: bytes) -> list[Event]:
        body += data
        if len(body) > BODY_BYTES:
            raise EndpointMalformed(self._alias, "too_long")
        return []

    def _follow(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        try:
            try:
                payloads, oversized = self._stream.feed(data), False
            except EventTooLarge as error:
                payloads, oversized = error.payloads, True
            for payload in payloads:
                self._payload(payload, events)
                if self.done:
                    return events
            if oversized:
                raise EndpointMalformed(self._alias, "too_long")
        except (EndpointError, RequestRefused) as error:
            if not events:
                raise
            self._failure, self.done = error, True
        return events

    def _read_rest(self, events: list[Event]) -> None:
        """The event that no blank line ended: it counts when it is whole."""
        try:
            for payload in self._stream.close():
                self._payload(payload, events, last=True)
        except EventTooLarge:
            raise EndpointMalformed(self._alias, "too_long") from None
        except EndpointMalformed as error:
            # After the finish reason the answer is whole, and half a usage report no loss.
            if error.reason != "cut" or self.finish_reason is None:
                raise

    def _payload(self, payload: bytes, events: list[Event], *, last: bool = False) -> None:
        if type(payload) is ErrorData:
            raise fault_error(self._alias, read_fault(payload))
        text = str(payload, "utf-8", "replace").strip()
        if text == "[DONE]":
            self.done = True
        elif text:
            self._handle_chunk(text, self._parsed(text, cut=last), events)

    def _read_body(self, body: bytes, events: list[Event]) -> None:
        body = body.rstrip()
        text = str(body, "utf-8", "replace")
        value = self._parsed(text, cut=body[-1] not in b"}]")
        if not isinstance(value, dict) or "choices" not in value:
            fault = fault_in(value)
            if fault is None:
                raise EndpointMalformed(self._alias, "shape")
            raise fault_error(self._alias, fault)
        self._handle_chunk(text, value, events)

    def _handle_chunk(self, text: str, value: object, events: list[Event]) -> None:
        """A chunk of a stream or a whole completion: text as it came, value what it says."""
        self._chunks.read(value, events)

    def _parsed(self, text: str, *, cut: bool) -> object:
        """text: without blanks around it."""
        try:
            value, end = _DECODER.raw_decode(text)
        except (ValueError, RecursionError):
            end = -1
        if end != len(text):
            raise EndpointMalformed(self._alias, "cut" if cut else "json")
        return value

    def _judge(self) -> None:
        """Raise unless what came was an answer, and all of it."""
        chunks = self._chunks
        whole = self.done or self._body is not None or chunks.finish_reason is not None
        if chunks.has_output and not whole:
            raise EndpointMalformed(self._alias, "cut")
        if chunks.has_output or chunks.finish_reason in _WORDLESS:
            return
        if self._begun and self._body is None and not self._stream.understood:
            what = "html" if self._declared_html else "shape"
            raise EndpointMalformed(self._alias, what)
        raise EndpointSilent(self._alias)
