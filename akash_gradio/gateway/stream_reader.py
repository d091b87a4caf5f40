"""Converts the bytes of a response into events, and verifies that they are an answer.

The body decides how it is read, not its headers: an event stream, a complete JSON answer, or
something that doesn't follow the protocol. The events don't depend on how the bytes are divided
into reads; an error follows the events of the bytes before it.
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
from akash_gradio.gateway.error_responses import (
    error_from_body,
    parse_error_body,
    parse_error_object,
)
from akash_gradio.gateway.event_frame import EventFrame
from akash_gradio.gateway.openai_chunks import ChunkReader
from akash_gradio.gateway.sse import ErrorData, EventTooLarge, SSEDecoder

MAX_BODY_BYTES: Final = 16 << 20

_DECODER: Final = json.JSONDecoder()
"""Used for each token: `json.loads` would also skip blanks around the value."""
_BLANK: Final = b" \t\r\n\xef\xbb\xbf"
"""What may precede the body: blank lines to keep the connection alive, a byte-order mark."""
_VALID_WITHOUT_OUTPUT: Final = frozenset(
    {"length", "content_filter", "tool_calls", "function_call"}
)
"""Finish reasons with which an answer may be empty."""


class ReplyReader:
    """Reads one response: call `feed` for each read until `done`, then `close`.

    Args:
        alias: The endpoint's name, for errors.
        content_type: As in the response's headers.
        starts_in_reasoning: Whether the prompt opened `<think>`, so that the text starts inside it.

    Attributes:
        done: Whether nothing more can follow; remaining events or an error come from `close`.
    """

    use_frames = True
    """Whether events may be recognized by their frame, without a parser."""

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
        self._frame = EventFrame()
        self._framed = False
        """Whether the next read may be one more event of the frame."""

    @property
    def finish_reason(self) -> str | None:
        """The finish reason, None while the endpoint sent none; some never send one."""
        return self._chunks.finish_reason

    @property
    def upstream_id(self) -> str:
        """The endpoint's id of the answer, "" when it sent none."""
        return self._chunks.upstream_id

    @property
    def fingerprint(self) -> str:
        """The endpoint's `system_fingerprint`, "" when it sent none."""
        return self._chunks.fingerprint

    @property
    def model(self) -> str:
        """The model's name in the response, "" when it has none."""
        return self._chunks.model

    @property
    def has_output(self) -> bool:
        """Whether any text, reasoning or tool call was received."""
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
        """Return the events that these bytes complete: text, reasoning, tool calls and usage.

        When an error follows events in the same read, the events are returned, `done` is set, and
        the next call raises the error.

        Raises:
            EndpointMalformed: The response doesn't follow the protocol.
            EndpointRefused: It holds an error object.
            RequestRefused: The error object says that the request is at fault.
        """
        if self._framed and (text := self._frame.text(data)) is not None:
            events: list[Event] = []
            self._chunks.read_text(str(text, "utf-8", "replace"), self._frame.in_reasoning, events)
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
            return self._append_to_body(self._body, data)
        events = self._read_stream(data)
        self._framed = self.use_frames and self._stream.at_event_boundary and not self.done
        if self._framed and len(events) == 1:
            self._learn_frame(data, events[0])
        return events

    def close(self) -> list[Event]:
        """Return the last events, at the end of the body or after `done`.

        Raises:
            EndpointMalformed: As `feed`; with reason `cut` when the body ended in the middle.
            EndpointSilent: The answer is well-formed and has no output.
            EndpointRefused: As `feed`.
            RequestRefused: As `feed`.
        """
        if self._failure is not None:
            raise self._failure
        events: list[Event] = []
        if self._body is not None:
            self._read_body(bytes(self._body), events)
        elif not self.done:
            self._read_rest(events)
        self._chunks.flush(events)
        self._verify_complete()
        return events

    def _learn_frame(self, data: bytes, event: Event) -> None:
        """Take the frame of a read that was one text event; the next may need no parser."""
        one_event = data.startswith(b"data:") and data.endswith(b"\n\n") and data.count(b"\n") == 2
        if one_event and isinstance(event, TextDelta | ReasoningDelta):
            self._frame.learn_parsed(data, event.text.encode())

    def _sniff(self, first: int) -> None:
        if first == ord("<"):
            raise EndpointMalformed(self._alias, "html")
        if first in b"{[":
            self._body = bytearray()
        elif not 0x20 < first < 0x7F:  # compressed without a header, UTF-16, or binary
            raise EndpointMalformed(self._alias, "encoding")
        self._begun = True

    def _append_to_body(self, body: bytearray, data: bytes) -> list[Event]:
        body += data
        if len(body) > MAX_BODY_BYTES:
            raise EndpointMalformed(self._alias, "too_long")
        return []

    def _read_stream(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        try:
            try:
                payloads, too_large = self._stream.feed(data), False
            except EventTooLarge as error:
                payloads, too_large = error.payloads, True
            for payload in payloads:
                self._read_payload(payload, events)
                if self.done:
                    return events
            if too_large:
                raise EndpointMalformed(self._alias, "too_long")
        except (EndpointError, RequestRefused) as error:
            if not events:
                raise
            self._failure, self.done = error, True
        return events

    def _read_rest(self, events: list[Event]) -> None:
        """Read the event that no blank line ended: it counts when it is complete."""
        try:
            for payload in self._stream.close():
                self._read_payload(payload, events, last=True)
        except EventTooLarge:
            raise EndpointMalformed(self._alias, "too_long") from None
        except EndpointMalformed as error:
            # After the finish reason the answer is complete, and a usage report may be cut.
            if error.reason != "cut" or self.finish_reason is None:
                raise

    def _read_payload(self, payload: bytes, events: list[Event], *, last: bool = False) -> None:
        if type(payload) is ErrorData:
            raise error_from_body(self._alias, parse_error_body(payload))
        text = str(payload, "utf-8", "replace").strip()
        if text == "[DONE]":
            self.done = True
        elif text:
            self._handle_chunk(text, self._parse_json(text, cut=last), events)

    def _read_body(self, body: bytes, events: list[Event]) -> None:
        body = body.rstrip()
        text = str(body, "utf-8", "replace")
        value = self._parse_json(text, cut=body[-1] not in b"}]")
        if not isinstance(value, dict) or "choices" not in value:
            error = parse_error_object(value)
            if error is None:
                raise EndpointMalformed(self._alias, "shape")
            raise error_from_body(self._alias, error)
        self._handle_chunk(text, value, events)

    def _handle_chunk(self, text: str, value: object, events: list[Event]) -> None:
        """Handle a chunk of a stream or a complete answer, as its JSON text and its value."""
        self._chunks.read(value, events)

    def _parse_json(self, text: str, *, cut: bool) -> object:
        try:
            value, end = _DECODER.raw_decode(text)
        except (ValueError, RecursionError):
            end = -1
        if end != len(text):
            raise EndpointMalformed(self._alias, "cut" if cut else "json")
        return value

    def _verify_complete(self) -> None:
        """Raise unless the response was a complete answer."""
        chunks = self._chunks
        complete = self.done or self._body is not None or chunks.finish_reason is not None
        if chunks.has_output and not complete:
            raise EndpointMalformed(self._alias, "cut")
        if chunks.has_output or chunks.finish_reason in _VALID_WITHOUT_OUTPUT:
            return
        if self._begun and self._body is None and not self._stream.recognized:
            reason = "html" if self._declared_html else "shape"
            raise EndpointMalformed(self._alias, reason)
        raise EndpointSilent(self._alias)
