"""Reads an endpoint's response and returns the bytes for the client: `PassthroughReader`.

Until the first token everything is parsed by `ReplyReader` and held back. After it the whole
events of one read are forwarded together, and are parsed only where they may contain more
than a token: a finish reason, usage, an error. What strict clients can't read (comments,
other fields, CR, several data lines, a byte-order mark, NaN) is rewritten as `data: {…}`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from akash_gradio.domain.errors import EndpointMalformed
from akash_gradio.domain.events import Event
from akash_gradio.gateway.completion_assembly import (
    CompletionAssembler,
    completion_to_chunks,
    delta_from_choice,
)
from akash_gradio.gateway.passthrough.plain_events import PlainEvents
from akash_gradio.gateway.passthrough.request import RawChunk, StreamItem
from akash_gradio.gateway.sse import MAX_LINE_BYTES
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
        self._plain = PlainEvents()
        self._partial = bytearray()
        self._early_events: list[Event] = []

    @property
    def upstream_id(self) -> str:
        """The endpoint's own id of the response."""
        return self._parser.upstream_id

    @property
    def fingerprint(self) -> str:
        """The `system_fingerprint` of the response."""
        return self._parser.fingerprint

    def match_plain(self, data: bytes) -> RawChunk | None:
        """Return the bytes to forward if the data is plain events only, as most reads are."""
        if self.passthrough_ready and (count := self._plain.count(data)):
            return self._output.forward(data, count)
        return None

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
            if b"\n" not in data and len(self._partial) < MAX_LINE_BYTES:
                self._partial += data
                return []
            data = bytes(self._partial) + data
            self._partial.clear()
        end = data.rfind(b"\n\n") + 2
        if end < 2:
            return self._hold(data)
        events = data if end == len(data) else data[:end]
        self._partial += data[end:]
        if self._streaming and not self._mid_event and (count := self._plain.count(events)):
            chunk = self._output.forward(events, count)
            return self._parse(events) if chunk is None else [chunk]
        return self._parse(events)

    def close(self) -> Sequence[StreamItem]:
        """Return what is left at the end of the body. Raises as `ReplyReader.close` does."""
        if self._partial and not self.done:
            self._early_events += self._parser.feed(bytes(self._partial))
        events = self._parser.close()
        self._update_state()
        return [*self._early_events, *events, *self._output.finish()]

    @property
    def _streaming(self) -> bool:
        return self._output.streams and self._parser.has_output

    def _hold(self, data: bytes) -> Sequence[StreamItem]:
        """Wait for the rest of the event, unless it can't be a plain one."""
        if self._mid_event or len(data) > MAX_LINE_BYTES or b"\n" in data or b"\r" in data:
            return self._parse(data)
        self._partial += data
        return []

    def _parse(self, data: bytes) -> Sequence[StreamItem]:
        events = self._parser.feed(data)
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
        if len(self._parser.finished_choices) >= self._choices:
            self.finish_reason = self._parser.finish_reason


class _ChunkParser(ReplyReader):
    """A reader that passes each chunk on with its text.

    Attributes:
        finished_choices: The indexes of the choices that have a finish reason.
    """

    use_frames = False

    def __init__(
        self, alias: str, content_type: str | None, output: _StreamOutput | _WholeOutput
    ) -> None:
        super().__init__(alias, content_type)
        self.finished_choices: set[int] = set()
        self._output = output

    def _handle_chunk(self, text: str, value: object, events: list[Event]) -> None:
        super()._handle_chunk(text, value, events)
        assert isinstance(value, dict)  # otherwise it raised an error
        choices = value.get("choices") or ()
        # The base class has checked the first one. Until the first token every event passes here.
        if len(choices) > 1 and not all(map(_is_well_formed, choices)):
            raise EndpointMalformed(self._alias, "shape")
        for choice in choices:
            if choice.get("finish_reason"):
                index = choice.get("index")
                self.finished_choices.add(index if type(index) is int else 0)
        if self._body is None:
            self._output.add_chunk(text, value)
        else:
            self._output.add_completion(text, value)


class _StreamOutput:
    """The output for a client that requested a stream."""

    streams = True

    def __init__(self, include_usage: bool, rename: str) -> None:
        self._include_usage = include_usage
        self._renamer = _ModelRenamer(rename)
        self._events: list[bytes] = []

    def forward(self, events: bytes, count: int) -> RawChunk | None:
        """Return `count` plain events as a chunk; None if their model name has to be parsed."""
        if not events.isascii():
            events = _escape_line_ends(str(events, "utf-8", "replace")).encode()
        events = self._renamer.in_events(events)
        return RawChunk(events, count) if events else None

    def add_chunk(self, text: str, value: Mapping[str, Any]) -> None:
        """Add one event, as its text and its parsed value."""
        if value.get("usage") and not value.get("choices") and not self._include_usage:
            return
        complete = _with_required_fields(value)
        if complete is not value:
            text, value = _to_json(complete), complete
        # A line end in the text is between two JSON tokens.
        line = self._renamer.in_text(_escape_line_ends(text.replace("\n", " ")), value)
        self._events.append(_event(line))

    def add_completion(self, _text: str, value: Mapping[str, Any]) -> None:
        """Add a whole response as a stream."""
        for chunk in completion_to_chunks(value, usage=self._include_usage):
            self.add_chunk(_to_json(chunk), chunk)

    def take(self) -> Sequence[RawChunk]:
        """Return the events added since the last call."""
        events, self._events = self._events, []
        return [RawChunk(b"".join(events))] if events else []

    finish = take


class _WholeOutput:
    """The output for a client that requested one JSON response."""

    streams = False

    def __init__(self, rename: str) -> None:
        self._renamer = _ModelRenamer(rename)
        self._assembler: CompletionAssembler | None = None
        self._text = ""

    def forward(self, events: bytes, count: int) -> RawChunk | None:
        """Never called: nothing is forwarded before the end."""
        raise AssertionError(events, count)

    def add_chunk(self, _text: str, value: Mapping[str, Any]) -> None:
        """Add one event of a stream that the endpoint sent instead."""
        self._assembler = self._assembler or CompletionAssembler()
        self._assembler.add(value)

    def add_completion(self, text: str, value: Mapping[str, Any]) -> None:
        """Add the whole response, as its text and its parsed value."""
        self._text = self._renamer.in_text(text, value)

    def take(self) -> Sequence[RawChunk]:
        """Return nothing before the end."""
        return []

    def finish(self) -> Sequence[RawChunk]:
        """Return the whole response."""
        if self._assembler is not None:
            completion = self._assembler.completion()
            self._text = self._renamer.in_text(_to_json(completion), completion)
        return [RawChunk(self._text.encode())]


class _ModelRenamer:
    """Replaces the endpoint's model name by `rename`; "" keeps it."""

    def __init__(self, rename: str) -> None:
        self._rename = rename
        self._replacement: tuple[bytes, bytes] = (b"", b"")
        """The model field as the endpoint writes it, and what replaces it."""

    def in_text(self, text: str, value: Mapping[str, Any]) -> str:
        """Return the text, serialized again if its model or a number in it has to change."""
        if "NaN" in text or "Infinity" in text:
            value = json.loads(text, parse_constant=lambda _: None)
            text = _to_json(value)
        model = value.get("model")
        if not self._rename or model in (self._rename, None):
            return text
        self._learn(text, model)
        return _to_json({**value, "model": self._rename})

    def in_events(self, events: bytes) -> bytes:
        """Replace the name in unparsed events; b"" if they have to be parsed."""
        if not self._rename or b'"model"' not in events:
            return events
        field, replacement = self._replacement
        # Within a string the quotes would be escaped, so a match is the field itself.
        if field and events.count(field) == events.count(b'"model"'):
            return events.replace(field, replacement)
        return b""

    def _learn(self, text: str, model: object) -> None:
        for colon in (":", ": "):
            field = f'"model"{colon}{json.dumps(model, ensure_ascii=False)}'
            if field in text:
                replacement = f'"model"{colon}{json.dumps(self._rename, ensure_ascii=False)}'
                self._replacement = field.encode(), replacement.encode()


def _is_well_formed(choice: object) -> bool:
    """Return whether a choice can be converted."""
    if not isinstance(choice, dict):
        return False
    for output in (choice.get("delta"), choice.get("message")):
        if output is None:
            continue
        if not isinstance(output, dict):
            return False
        calls = output.get("tool_calls")
        if calls is not None and not (
            isinstance(calls, list) and all(isinstance(call, dict) for call in calls)
        ):
            return False
    return True


def _with_required_fields(chunk: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the chunk, with the lists and objects added that clients rely on."""
    choices = chunk.get("choices")
    if choices and all(choice.get("delta") is not None for choice in choices):
        return chunk
    if choices == []:
        return chunk
    return {**chunk, "choices": [{**c, "delta": delta_from_choice(c)} for c in choices or ()]}


def _escape_line_ends(text: str) -> str:
    for character, escape in _LINE_ENDS:
        text = text.replace(character, escape)
    return text


_ENCODER: Final = json.JSONEncoder(separators=(",", ":"))


def _to_json(value: object) -> str:
    return _ENCODER.encode(value)


def _event(line: str) -> bytes:
    return b"data: " + line.encode() + b"\n\n"
