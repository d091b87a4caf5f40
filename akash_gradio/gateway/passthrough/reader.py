"""Reads an endpoint's response and returns the bytes for the client: `PassthroughReader`.

Until the first token everything is parsed by `ReplyReader` and held back. After it the whole
events of one read are forwarded together. An event that differs from an earlier, parsed one only
in its text is forwarded without being parsed; its frame was verified when it was learned, so that
the result is the same. What strict clients can't read (comments, other fields, CR, several data
lines, a byte-order mark, NaN) is rewritten as `data: {…}`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final
from zlib import crc32

from akash_gradio.domain.errors import EndpointError, EndpointMalformed, RequestRefused
from akash_gradio.domain.events import Event
from akash_gradio.domain.size_limits import EVENT_BYTES
from akash_gradio.gateway.chunk_grammar import Choice, ChoiceState, JsonObject
from akash_gradio.gateway.completion_assembly import (
    CompletionAssembler,
    completion_to_chunks,
    streamed_delta,
)
from akash_gradio.gateway.event_frame import MARK, EventFrame, decode_text
from akash_gradio.gateway.openai_chunks import SIZE_LIMIT, ChunkReader
from akash_gradio.gateway.passthrough.request import RawChunk, StreamItem
from akash_gradio.gateway.stream_reader import ReplyReader

_LINE_ENDS: Final = (("\u2028", "\\u2028"), ("\u2029", "\\u2029"), ("\x85", "\\u0085"))
"""Characters that end no line in JSON, but do in the line readers of some clients."""


class PassthroughReader:
    """Reads one response; used like a `ReplyReader`.

    `[DONE]` is left out: the client's end of the stream is written by the API.

    Args:
        alias: The endpoint, for error messages.
        content_type: As in the response's headers.
        stream: Whether the client requested a stream.
        include_usage: Whether it requested usage at the end of the stream.
        choices: How many choices the response has.
        rename: The model name to write into the response, "" to keep the endpoint's.

    Attributes:
        done: As `ReplyReader.done`.
        finish_reason: The first choice's; None until all choices have one.
        passthrough_ready: Whether the next read can be forwarded if it is plain events only.
    """

    def __init__(
        self,
        alias: str,
        content_type: str | None,
        *,
        stream: bool,
        include_usage: bool,
        choices: int = 1,
        rename: str = "",
    ) -> None:
        self._output = _StreamOutput(include_usage, rename) if stream else _WholeOutput(rename)
        self._parser = _ChunkParser(alias, content_type, self._output)
        self.done = False
        self.finish_reason: str | None = None
        self._choices = choices
        self._mid_event = True
        """Whether the next bytes continue an event of which the parser holds a part."""
        self.passthrough_ready = False
        self._frame = EventFrame()
        self._framed: Choice | None = None
        """The choice of the event whose frame was learned."""
        self._checksum = self._room_bytes = self._uncounted_bytes = 0
        """Of the text so far with forwarded events; left until the longest size; to be counted."""
        self._rewritten: tuple[bytes, bytes] | None = None
        """What the client receives before and after the text, None if events stay as they are."""
        self._partial = bytearray()
        self._early_events: list[Event] = []
        self._failure: EndpointError | RequestRefused | None = None

    @property
    def upstream_id(self) -> str:
        """The endpoint's own id of the response."""
        return self._parser.upstream_id

    @property
    def fingerprint(self) -> str:
        """The `system_fingerprint` of the response."""
        return self._parser.fingerprint

    @property
    def ends_with_finish(self) -> bool:
        """Whether all choices have a finish reason, and no output followed."""
        self._count_forwarded()
        return self.finish_reason is not None and self._parser.ends_with_finish

    @property
    def events_read(self) -> int:
        """How many stream events with data were parsed; comments have none."""
        return self._parser.events_read

    @property
    def output_bytes(self) -> int:
        """The size of all output so far."""
        self._count_forwarded()
        return self._parser.output_bytes

    def match_plain(self, data: bytes) -> RawChunk | None:
        """Return the bytes to forward if the data is plain events only, as most reads are."""
        framed = self._framed
        if framed is None or not self.passthrough_ready or data[-2:] != b"\n\n":
            return None
        text = self._frame.text(data, 0, len(data) - 2)
        if text is None:
            is_single = data.find(b"\n\n") == len(data) - 2
            texts = [] if is_single else self._match_several(data)
            return self._forward(data, texts, framed) if texts else None
        if self._rewritten is not None or not text.isascii() or text.find(b"\\") >= 0:
            return self._forward(data, [text], framed)
        size = len(text)
        if self._uncounted_bytes + size > self._room_bytes:
            return None
        # Nearly every token ends here; `_count_forwarded` counts all of them later.
        self._checksum = crc32(text, self._checksum)
        self._uncounted_bytes += size
        return RawChunk(data, size) if framed.text else RawChunk(data, 0, size)

    def feed(self, data: bytes) -> Sequence[StreamItem]:
        """Return the parsed events of the data, and the bytes for the client.

        Raises:
            EndpointError: As `ReplyReader.feed`.
            RequestRefused: As `ReplyReader.feed`.
        """
        chunk = self.match_plain(data)
        if chunk is not None:
            return [chunk]
        items = self._feed(data)
        self.passthrough_ready = self._streaming and not self._mid_event and not self._partial
        return items

    def _feed(self, data: bytes) -> Sequence[StreamItem]:
        if self._partial:
            if b"\n" not in data and len(self._partial) < EVENT_BYTES:
                self._partial += data
                return []
            data = bytes(self._partial) + data
            self._partial.clear()
        end = data.rfind(b"\n\n") + 2
        if end < 2:
            return self._hold(data)
        events = data if end == len(data) else data[:end]
        self._partial += data[end:]
        if self._streaming and not self._mid_event:
            return self._read_events(events)
        items = self._parse(events)
        if self._streaming:
            self._learn_frame(events.rpartition(b"\n\n")[0].rpartition(b"\n\n")[2] + b"\n\n")
        return items

    def close(self) -> Sequence[StreamItem]:
        """Return what is left at the end of the body. Raises as `ReplyReader.close` does."""
        self._count_forwarded()
        if self._failure is not None:
            raise self._failure
        if self._partial and not self.done:
            self._early_events += self._parser.feed(bytes(self._partial))
        events = self._parser.close()
        self._update_state()
        try:
            return [*self._early_events, *events, *self._output.finish(self.finish_reason)]
        except RecursionError:
            raise EndpointMalformed(self._parser.alias, "json") from None

    @property
    def _streaming(self) -> bool:
        return self._output.streams and self._parser.has_output

    def _hold(self, data: bytes) -> Sequence[StreamItem]:
        """Wait for the rest of the event, unless it can't be a plain one."""
        if self._mid_event or len(data) > EVENT_BYTES or b"\n" in data or b"\r" in data:
            return self._parse(data)
        self._partial += data
        return []

    def _match_several(self, data: bytes) -> list[bytes]:
        """Return the texts of several plain events; none if the data contains anything else."""
        texts, start = [], 0
        while start < len(data):
            end = data.index(b"\n\n", start)
            text = self._frame.text(data, start, end)
            if text is None:
                return []
            texts.append(text)
            start = end + 2
        return texts

    def _forward(self, data: bytes, texts: list[bytes], framed: Choice) -> RawChunk | None:
        """Forward plain events with these texts; None if they have to be parsed."""
        if self._rewritten is not None:
            if any(b"\\" in text for text in texts):  # it would be escaped in another way
                return None
            before, after = self._rewritten
            data = b"".join(before + text + after for text in texts)
        decoded = "".join(map(decode_text, texts))
        encoded = decoded.encode()
        self._count_forwarded()
        if len(encoded) > self._room_bytes:
            return None
        self._parser.count_plain(framed, crc32(encoded, self._checksum), len(encoded), len(decoded))
        self._update_counters(framed)
        if not data.isascii():
            data = _escape_line_ends(str(data, "utf-8")).encode()
        size = len(encoded)
        return RawChunk(data, size, 0) if framed.text else RawChunk(data, 0, size)

    def _read_events(self, data: bytes) -> Sequence[StreamItem]:
        """Forward or parse each of several whole events."""
        items: list[StreamItem] = []
        start = 0
        while start < len(data) and not self.done:
            end = data.index(b"\n\n", start) + 2
            event = data[start:end]
            start = end
            self.passthrough_ready = not self._mid_event
            # A single event was compared before.
            chunk = self.match_plain(event) if len(event) < len(data) else None
            if chunk is not None:
                items.append(chunk)
                continue
            try:
                items += self._parse(event)
            except (EndpointError, RequestRefused) as error:
                if not items:
                    raise
                self._failure, self.done = error, True  # `close` raises it, after the items
            else:
                self._learn_frame(event)
                if self._framed is not None:
                    self._update_counters(self._framed)
        return _join_chunks(items)

    def _learn_frame(self, event: bytes) -> None:
        """Take the frame of an event that was parsed as one text and nothing else."""
        choice, value = self._parser.plain_choice, self._parser.last_chunk
        if choice is None or self._mid_event or self.done:
            return
        if not self._frame.learn(event, value, choice.raw, choice.text_field):
            return
        self._framed = choice
        self._update_counters(choice)
        out = self._output.format(self._frame.marked, json.loads(self._frame.marked))
        before, _, after = out.partition(MARK.encode())
        is_same = (before, after) == (self._frame.before, self._frame.after + b"\n\n")
        self._rewritten = None if is_same else (before, after)
        if not is_same:
            self._frame.tail = b""  # what is rewritten has a fixed padding

    def _count_forwarded(self) -> None:
        """Count the plain events that `match_plain` has forwarded."""
        size, self._uncounted_bytes = self._uncounted_bytes, 0
        if size and self._framed is not None:
            self._parser.count_plain(self._framed, self._checksum, size, size)
            self._update_counters(self._framed)

    def _update_counters(self, framed: Choice) -> None:
        """Copy what `match_plain` needs for each token."""
        self._checksum, self._room_bytes = framed.channel.checksum, self._parser.room_bytes

    def _parse(self, data: bytes) -> Sequence[StreamItem]:
        self._count_forwarded()
        events: Sequence[Event] = ()
        try:
            events = self._parser.feed(data)
        except (EndpointError, RequestRefused) as error:
            self._parser.done = True
            self._update_state()
            chunks = self._output.take() if self._streaming else ()
            if not chunks:
                raise
            self._failure, self.done = error, True  # `close` raises it, after the bytes
            return chunks
        self._update_state()
        self._mid_event = not self._parser.at_event_boundary
        if not self._streaming:
            self._early_events += events
            return []
        early, self._early_events = self._early_events, []
        return [*early, *events, *self._output.take()]

    def _update_state(self) -> None:
        """Copy the parser's state: it is needed after each read, and rarely changes."""
        self.done = self._parser.done
        if len(self._parser.finished_choices) >= self._choices or self.done:
            self.finish_reason = self._parser.finish_reason


def _join_chunks(items: list[StreamItem]) -> list[StreamItem]:
    """Return the items with all bytes in one chunk at the end, so that they are sent together."""
    chunks = [item for item in items if type(item) is RawChunk]
    if len(chunks) < 2:
        return items
    joined = RawChunk(
        b"".join(chunk.data for chunk in chunks),
        sum(chunk.text_bytes for chunk in chunks),
        sum(chunk.reasoning_bytes for chunk in chunks),
    )
    events: list[StreamItem] = [item for item in items if type(item) is not RawChunk]
    return [*events, joined]


class _ChunkParser(ReplyReader):
    """A reader that passes each chunk on with its text.

    Attributes:
        finished_choices: The indexes of the choices that have a finish reason.
    """

    use_frames = False

    def __init__(
        self, alias: str, content_type: str | None, output: _StreamOutput | _WholeOutput
    ) -> None:
        self._setup(alias, content_type, ChunkReader(alias, passthrough=True))
        self.alias = alias
        self.finished_choices: set[int] = set()
        self._output = output

    @property
    def plain_choice(self) -> Choice | None:
        """See `ChunkReader.plain_choice`."""
        return self._chunks.plain_choice

    @property
    def last_chunk(self) -> JsonObject | None:
        """See `ChunkReader.last_chunk`."""
        return self._chunks.last_chunk

    @property
    def room_bytes(self) -> int:
        """See `ChunkReader.room_bytes`."""
        return self._chunks.room_bytes

    def count_plain(self, choice: Choice, checksum: int, size_bytes: int, characters: int) -> None:
        """See `ChunkReader.count_plain`."""
        self._chunks.count_plain(choice, checksum, size_bytes, characters)

    def _handle_chunk(self, text: str, value: Any, events: list[Event]) -> None:
        try:
            super()._handle_chunk(text, value, events)
        except (EndpointError, RequestRefused):
            if any(choice.has_output for choice in self._chunks.choices):
                value = {name: item for name, item in value.items() if name != "error"}
                self._add(_to_json(value), value)
            raise
        if isinstance(value, dict):
            self._add(text, value)

    def _add(self, text: str, value: JsonObject) -> None:
        choices = self._chunks.choices
        for choice in choices:
            if choice.finish is not None:
                self.finished_choices.add(choice.state.index)
        self._output.add(text, value, choices, is_body=self._body is not None)


class _StreamOutput:
    """The output for a client that requested a stream."""

    streams = True

    def __init__(self, include_usage: bool, rename: str) -> None:
        self._include_usage = include_usage
        self._rename = rename
        self._events: list[bytes] = []
        self._last: JsonObject = {}
        self._states: dict[int, ChoiceState] = {}

    def add(self, text: str, value: JsonObject, choices: list[Choice], *, is_body: bool) -> None:
        """Add one event or a whole response, as its text, its value and its choices."""
        self._last = value
        for choice in choices:
            self._states[choice.state.index] = choice.state
        if is_body and any(choice.whole for choice in choices):
            for chunk in completion_to_chunks(value, choices, usage=self._include_usage):
                self._events.append(self.format(_to_json(chunk), chunk))
            return
        if value.get("usage") and not choices and not self._include_usage:
            return
        complete = _with_required_fields(value, choices)
        if complete is not value:
            text, value = _to_json(complete), complete
        self._events.append(self.format(text, value))

    def format(self, text: str, value: JsonObject) -> bytes:
        """Return a chunk as an event."""
        # A line end in the text is between two JSON tokens.
        return _event(_for_clients(text.replace("\n", " "), value, self._rename))

    def take(self) -> Sequence[RawChunk]:
        """Return the events added since the last call."""
        events, self._events = self._events, []
        return [RawChunk(b"".join(events))] if events else []

    def finish(self, reason: str | None) -> Sequence[RawChunk]:
        """Return the last events, with an end for choices that were cut because of their size."""
        if reason == SIZE_LIMIT:
            common = {k: v for k, v in self._last.items() if k not in ("choices", "usage")}
            ends = [
                {"index": index, "delta": {}, "finish_reason": "length"}
                for index, state in self._states.items()
                if not state.finished
            ]
            chunk = {**common, "choices": ends}
            self._events.append(self.format(_to_json(chunk), chunk))
        return self.take()


class _WholeOutput:
    """The output for a client that requested one JSON response."""

    streams = False

    def __init__(self, rename: str) -> None:
        self._rename = rename
        self._only: tuple[str, JsonObject, list[Choice]] | None = None
        """The first value, while there is no other."""
        self._assembler: CompletionAssembler | None = None

    def add(self, text: str, value: JsonObject, choices: list[Choice], *, is_body: bool) -> None:
        """Add the whole response, or one event of a stream that the endpoint sent instead."""
        if self._assembler is None and self._only is None and choices:
            self._only = text, value, choices
        elif choices or not is_body:
            self._assemble().add(value, choices)

    def format(self, text: str, value: JsonObject) -> bytes:
        """Never called: nothing is forwarded before the end."""
        raise AssertionError(text, value)

    def take(self) -> Sequence[RawChunk]:
        """Return nothing before the end."""
        return []

    def finish(self, reason: str | None) -> Sequence[RawChunk]:
        """Return the whole response."""
        if self._assembler is None and self._only is not None:
            text, value, choices = self._only
            if all(choice.delta is choice.raw.get("message") for choice in choices):
                return [RawChunk(_for_clients(text, value, self._rename).encode())]
        assembler = self._assemble()
        if reason == SIZE_LIMIT:
            assembler.end("length")
        completion = assembler.completion()
        text = _for_clients(_to_json(completion), completion, self._rename)
        return [RawChunk(text.encode())]

    def _assemble(self) -> CompletionAssembler:
        if self._assembler is None:
            self._assembler = CompletionAssembler()
            if self._only is not None:
                _, value, choices = self._only
                self._only = None
                self._assembler.add(value, choices)
        return self._assembler


def _for_clients(text: str, value: JsonObject, rename: str) -> str:
    """Return the text, serialized again if its model or a number in it has to change."""
    if "NaN" in text or "Infinity" in text:
        constants: list[str] = []
        strict = json.loads(text, parse_constant=constants.append)
        if constants:
            value, text = strict, _to_json(strict)
    if rename and value.get("model") not in (rename, None):
        text = _to_json({**value, "model": rename})
    return _escape_line_ends(text)


def _with_required_fields(chunk: JsonObject, choices: list[Choice]) -> JsonObject:
    """Return the chunk with the lists and objects that clients rely on, in OpenAI's format."""
    raw = chunk.get("choices")
    if isinstance(raw, list) and len(raw) == len(choices) and all(map(_is_complete, choices)):
        return chunk
    converted = []
    for choice in choices:
        rest = {k: v for k, v in choice.raw.items() if k not in ("message", "text")}
        index = {"index": choice.state.index} if type(rest.get("index")) is not int else {}
        converted.append({**rest, **index, "delta": streamed_delta(choice)})
    return {**chunk, "choices": converted}


def _is_complete(choice: Choice) -> bool:
    return choice.delta is choice.raw.get("delta")


def _escape_line_ends(text: str) -> str:
    if text.isascii():
        return text
    for character, escape in _LINE_ENDS:
        text = text.replace(character, escape)
    return text


_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)
_ASCII_ENCODER: Final = json.JSONEncoder(separators=(",", ":"))


def _to_json(value: object) -> str:
    text = _ENCODER.encode(value)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a character
        text = _ASCII_ENCODER.encode(value)
    return text


def _event(line: str) -> bytes:
    return b"data: " + line.encode() + b"\n\n"
