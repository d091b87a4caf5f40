"""Converts the bytes of a response into events, and verifies that they are an answer.

The body decides how it is read, not its headers: an event stream, a complete JSON answer, or
something that doesn't follow the protocol. The events don't depend on how the bytes are divided
into reads; an error follows the events of the bytes before it.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from akash_gradio.domain.errors import (
    EndpointError,
    EndpointMalformed,
    EndpointSilent,
    RequestRefused,
)
from akash_gradio.domain.events import Event
from akash_gradio.domain.size_limits import EVENT_BYTES
from akash_gradio.gateway.chunk_grammar import Choice, choices_of
from akash_gradio.gateway.error_bodies import parse_error_body
from akash_gradio.gateway.error_responses import error_from_body
from akash_gradio.gateway.event_frame import EventFrame, decode_text
from akash_gradio.gateway.openai_chunks import SIZE_LIMIT, ChunkReader
from akash_gradio.gateway.sse import ErrorData, EventTooLarge, SSEDecoder

_DECODER: Final = json.JSONDecoder()
"""Used for each token: `json.loads` would also skip blanks around the value."""
_BLANK: Final = b" \t\r\n\xef\xbb\xbf"
"""What may precede the body: blank lines to keep the connection alive, a byte-order mark."""
_JSON_BEGINS: Final = re.compile(r"""\{|\[\s*[{\["]""")
"""What only JSON begins with: `[PING]` is no JSON."""
_BETWEEN: Final = re.compile(r"(?:\s|,|data:)*")
"""What may stand between JSON values that a server sent without line breaks."""


class ReplyReader:
    """Reads one response: call `feed` for each read until `done`, then `close`.

    Args:
        alias: The endpoint's name, for errors.
        content_type: As in the response's headers.
        starts_in_reasoning: Whether the prompt opened `<think>`, so that the text starts inside it.

    Attributes:
        done: Whether nothing more can follow; remaining events or an error come from `close`.
        events_read: How many stream events with data were parsed; comments have none.
    """

    use_frames = True
    """Whether events may be recognized by their frame, without a parser."""

    def __init__(
        self, alias: str, content_type: str | None, *, starts_in_reasoning: bool = False
    ) -> None:
        self._setup(
            alias, content_type, ChunkReader(alias, starts_in_reasoning=starts_in_reasoning)
        )

    def _setup(self, alias: str, content_type: str | None, chunks: ChunkReader) -> None:
        self.done = False
        self.events_read = 0
        self._alias = alias
        self._declared_html = "html" in (content_type or "").lower()
        self._chunks = chunks
        self._begun = False
        self._stream = SSEDecoder()
        self._body: bytearray | None = None
        self._first_line_checked = False
        self._failure: EndpointError | RequestRefused | None = None
        self._unrecognized = False
        """Whether any data was neither a chunk nor an error."""
        self._frame = EventFrame()
        self._framed: Choice | None = None
        """The choice of the event whose frame was learned, if the next read may be another one."""
        self._learned: Choice | None = None

    @property
    def finish_reason(self) -> str | None:
        """The finish reason, None while the endpoint sent none; some never send one."""
        return self._chunks.finish_reason

    @property
    def ends_with_finish(self) -> bool:
        """Whether a finish reason was received, and no output after it."""
        return self._chunks.ends_with_finish

    @property
    def output_bytes(self) -> int:
        """The size of all output so far."""
        return self._chunks.output_bytes

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
        """Whether any text, reasoning, tool call or picture was received."""
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
        if self._framed is not None and data.endswith(b"\n\n"):
            text = self._frame.text(data, 0, len(data) - 2)
            if text is not None:
                return self._read_plain(self._framed, decode_text(text))
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
        may_be_framed = self.use_frames and not self.done and self._stream.at_event_boundary
        if may_be_framed and self._chunks.choices:
            self._learn_frame(data)
        self._framed = self._learned if may_be_framed else None
        return events

    def close(self) -> list[Event]:
        """Return the last events, at the end of the body or after `done`.

        Raises:
            EndpointMalformed: As `feed`; with reason `cut` when the body ended in the middle.
            EndpointSilent: The answer is well-formed, and has neither output nor a finish reason.
            EndpointRefused: As `feed`.
            RequestRefused: As `feed`.
        """
        if self._failure is not None:
            raise self._failure
        events: list[Event] = []
        if self._body is not None and not self.done:
            self._read_body(bytes(self._body), events)
        elif not self.done:
            self._read_rest(events)
        self._chunks.flush(events)
        self._verify_complete()
        return events

    def _read_plain(self, choice: Choice, text: str) -> list[Event]:
        events: list[Event] = []
        self._chunks.read_plain(choice, text, events)
        self._check_size()
        return events

    def _learn_frame(self, data: bytes) -> None:
        """Take the frame of a read that was one text event; the next may need no parser."""
        choice = self._chunks.plain_choice
        value = self._chunks.last_chunk
        if choice is None or data.count(b"\n") != 2:
            return
        if self._frame.learn(data, value, choice.raw, choice.text_field):
            self._learned = choice

    def _sniff(self, first: int) -> None:
        if first == ord("<"):
            raise EndpointMalformed(self._alias, "html")
        if first in b"{[":
            self._body = bytearray()
        elif not 0x20 < first < 0x7F:  # compressed without a header, UTF-16, or binary
            raise EndpointMalformed(self._alias, "encoding")
        self._begun = True

    def _append_to_body(self, body: bytearray, data: bytes) -> list[Event]:
        checked = len(body)
        body += data
        if len(body) > EVENT_BYTES:
            raise EndpointMalformed(self._alias, "too_long")
        if not self._first_line_checked and (end := body.find(b"\n", checked)) >= 0:
            self._first_line_checked = True
            if _is_chunk(bytes(body[:end])):  # a stream of lines of JSON
                self._body = None
                return self._read_stream(bytes(body))
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
                if self.done:
                    return
        except EventTooLarge:
            raise EndpointMalformed(self._alias, "too_long") from None
        except EndpointMalformed as error:
            # After the finish reason the answer is complete, and a usage report may be cut.
            if error.reason != "cut" or not self.ends_with_finish:
                raise

    def _read_payload(self, payload: bytes, events: list[Event], *, last: bool = False) -> None:
        if type(payload) is ErrorData:
            raise error_from_body(self._alias, parse_error_body(payload))
        self.events_read += 1
        text = str(payload, "utf-8", "replace").strip()
        if text == "[DONE]":
            self.done = True
        elif text:
            self._read_values(text, events, cut=last)

    def _read_body(self, body: bytes, events: list[Event]) -> None:
        body = body.rstrip()
        try:
            self._read_values(str(body, "utf-8", "replace"), events, cut=body[-1] not in b"}]")
        except EndpointMalformed as error:
            if error.reason != "cut" or not self.ends_with_finish:
                raise

    def _read_values(self, text: str, events: list[Event], *, cut: bool) -> None:
        """Read the JSON of an event or a body: one value, or several without line breaks.

        Args:
            text: The text, with other lines perhaps: a server's log, `ping`, `data: [DONE]`.
            events: Receives the events.
            cut: Whether the text may end in the middle of a value.

        Raises:
            EndpointMalformed: What begins like JSON isn't JSON.
        """
        try:
            value, end = _DECODER.raw_decode(text)
            if end == len(text):  # nearly always
                self._read_value(text, value, events)
                return
        except (ValueError, RecursionError):
            pass
        at = 0
        while (at := _end_of(_BETWEEN, text, at)) < len(text) and not self.done:
            if not _JSON_BEGINS.match(text, at):
                line_end = text.find("\n", at)
                line_end = len(text) if line_end < 0 else line_end
                self._read_line(text[at:line_end].strip())
                at = line_end
                continue
            try:
                value, end = _DECODER.raw_decode(text, at)
            except (ValueError, RecursionError):
                raise EndpointMalformed(self._alias, "cut" if cut else "json") from None
            self._read_value(text[at:end], value, events)
            at = end

    def _read_line(self, line: str) -> None:
        """Read data that is no JSON: `[DONE]`, or anything that only a person could interpret."""
        if line == "[DONE]":
            self.done = True
        else:
            self._unrecognized = True

    def _read_value(self, text: str, value: Any, events: list[Event]) -> None:
        if isinstance(value, list) and value and all(map(_has_choices, value)):
            for item in value:
                self._read_value(json.dumps(item), item, events)
            return
        if not _has_choices(value):
            self._unrecognized = True
        try:
            self._handle_chunk(text, value, events)
        except RecursionError:
            raise EndpointMalformed(self._alias, "json") from None
        self._check_size()

    def _handle_chunk(self, text: str, value: Any, events: list[Event]) -> None:
        """Handle a chunk of a stream or a complete answer, as its JSON text and its value."""
        self._chunks.read(value, events)

    def _check_size(self) -> None:
        """End an answer that has reached the longest size."""
        if self._chunks.too_large and (self._body is None or self.use_frames):
            self._chunks.finish_reason, self.done = SIZE_LIMIT, True
            self._framed = None

    def _verify_complete(self) -> None:
        """Raise unless the response was a complete answer."""
        chunks = self._chunks
        finished = chunks.finish_reason is not None
        if chunks.unmarked_error is not None and not finished:
            raise error_from_body(self._alias, chunks.unmarked_error)
        if chunks.has_output:
            if not (finished or self.done or self._body is not None):
                raise EndpointMalformed(self._alias, "cut")
        elif not finished:
            is_stream = self._begun and self._body is None
            if is_stream and not self._stream.recognized:
                raise EndpointMalformed(self._alias, "html" if self._declared_html else "shape")
            if self._unrecognized and not chunks.upstream_id:
                raise EndpointMalformed(self._alias, "shape")
            raise EndpointSilent(self._alias)


def _has_choices(value: object) -> bool:
    return isinstance(value, dict) and "choices" in value


def _end_of(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _is_chunk(line: bytes) -> bool:
    """Return whether a line is a chunk of a stream, rather than the beginning of an answer."""
    if b'"delta"' not in line:
        return False
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and any("delta" in choice for choice in choices_of(value))
