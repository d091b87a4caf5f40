"""Bytes of an endpoint's answer in, the same bytes out: `PassthroughReader`.

Until the first token everything is held and read as `reading` reads it. After it the whole
events of one read go on together, and are looked into only where they may say more than a
token: a finish reason, usage, an error. What a strict client would stumble over (comments,
other fields, CR, several data lines, a byte-order mark, NaN) is put into `data: {…}` first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from akash_gradio.domain.events import Event
from akash_gradio.gateway.completion_assembly import (
    CompletionAssembler,
    completion_to_chunks,
    delta_from_choice,
)
from akash_gradio.gateway.passthrough.plain_events import PlainEvents
from akash_gradio.gateway.passthrough.request import RawChunk, StreamItem
from akash_gradio.gateway.sse import LINE_BYTES
from akash_gradio.gateway.stream_reader import ReplyReader

_LINE_ENDS: Final = (("\u2028", "\\u2028"), ("\u2029", "\\u2029"), ("\x85", "\\u0085"))
"""Inside JSON no line ends, but some clients' line readers end a line there."""


class PassthroughReader:
    """Reads one answer to pass it on. Live state, and used as a `ReplyReader` is.

    done: as `ReplyReader.done`. finish_reason: the first answer's; None before all have one.
    stream, usage: whether the caller wants a stream, and one that ends with its tokens.
    answers: how many choices the answer has. rename: the model's name to write into it,
    "" to leave the endpoint's own.
    flows: whether the next read, if it is words alone, needs no look.
    `[DONE]` is left out: only who has it all knows the end.
    """

    def __init__(
        self,
        alias: str,
        content_type: str | None,
        *,
        stream: bool,
        usage: bool,
        answers: int = 1,
        rename: str = "",
    ) -> None:
        self._passing = _Streamed(usage, rename) if stream else _Whole(rename)
        self._inner = _Opened(alias, content_type, self._passing)
        self.done = False
        self.finish_reason: str | None = None
        self._answers = answers
        self._inside = True
        """Whether what comes next belongs to something that `_inner` holds a part of."""
        self.flows = False
        self._plain = PlainEvents()
        self._held = bytearray()
        self._early: list[Event] = []

    @property
    def upstream_id(self) -> str:
        """The endpoint's own id of the answer."""
        return self._inner.upstream_id

    @property
    def fingerprint(self) -> str:
        """Its `system_fingerprint`."""
        return self._inner.fingerprint

    def words_alone(self, data: bytes) -> RawChunk | None:
        """The bytes as they go on, where nobody need look into them: nearly every read is such."""
        if self.flows and (count := self._plain.count(data)):
            return self._passing.plain(data, count)
        return None

    def feed(self, data: bytes) -> Sequence[StreamItem]:
        """What these bytes say, as far as somebody looked, and what goes on to the caller.

        Raises what `ReplyReader.feed` raises.
        """
        passed = self.words_alone(data)
        if passed is not None:
            return [passed]
        heard = self._feed(data)
        self.flows = self._begun and not self._inside and not self._held
        return heard

    def _feed(self, data: bytes) -> Sequence[StreamItem]:
        if self._held:
            if b"\n" not in data and len(self._held) < LINE_BYTES:
                self._held += data
                return []
            data = bytes(self._held) + data
            self._held.clear()
        end = data.rfind(b"\n\n") + 2
        if end < 2:
            return self._hold(data)
        part = data if end == len(data) else data[:end]
        self._held += data[end:]
        if self._begun and not self._inside and (count := self._plain.count(part)):
            passed = self._passing.plain(part, count)
            return self._read(part) if passed is None else [passed]
        return self._read(part)

    def close(self) -> Sequence[StreamItem]:
        """As `ReplyReader.close`; the caller gets what is left."""
        if self._held and not self.done:
            self._keep(self._inner.feed(bytes(self._held)))
        events = self._inner.close()
        self._note_end()
        return [*self._early, *events, *self._passing.rest()]

    @property
    def _begun(self) -> bool:
        return self._passing.streams and self._inner.has_output

    def _hold(self, data: bytes) -> Sequence[StreamItem]:
        """No event ends here: wait for more, unless it is none of the plain kind."""
        if self._inside or len(data) > LINE_BYTES or b"\n" in data or b"\r" in data:
            return self._read(data)
        self._held += data
        return []

    def _read(self, data: bytes) -> Sequence[StreamItem]:
        events = self._inner.feed(data)
        self._note_end()
        self._inside = not self._inner.at_event_boundary
        if not self._begun:
            self._keep(events)
            return []
        early, self._early = self._early, []
        return [*early, *events, *self._passing.take()]

    def _note_end(self) -> None:
        """Kept here since it is asked after each read, and seldom changes."""
        self.done = self._inner.done
        if len(self._inner.finished) >= self._answers:
            self.finish_reason = self._inner.finish_reason

    def _keep(self, events: Sequence[Event]) -> None:
        self._early += events


class _Opened(ReplyReader):
    """Hands each chunk on, with its text. finished: the choices that have a finish reason."""

    use_frames = False

    def __init__(self, alias: str, content_type: str | None, passing: _Streamed | _Whole) -> None:
        super().__init__(alias, content_type)
        self.finished: set[int] = set()
        self._passing = passing

    def _handle_chunk(self, text: str, value: object, events: list[Event]) -> None:
        super()._handle_chunk(text, value, events)
        assert isinstance(value, dict)  # or an error would have been raised
        for choice in value.get("choices") or ():
            if isinstance(choice, dict) and choice.get("finish_reason"):
                index = choice.get("index")
                self.finished.add(index if type(index) is int else 0)
        if self._body is None:
            self._passing.chunk(text, value)
        else:
            self._passing.completion(text, value)


class _Streamed:
    """What a caller gets who wants a stream."""

    streams = True

    def __init__(self, usage: bool, rename: str) -> None:
        self._usage = usage
        self._names = _Names(rename)
        self._out: list[bytes] = []

    def plain(self, part: bytes, count: int) -> RawChunk | None:
        """So many whole events that need no look; None where their model's name needs one."""
        if not part.isascii():
            part = _with_no_line_ends(str(part, "utf-8", "replace")).encode()
        part = self._names.in_bytes(part)
        return RawChunk(part, count) if part else None

    def chunk(self, text: str, value: Mapping[str, Any]) -> None:
        """One event's data, as text and as what it says."""
        if value.get("usage") and not value.get("choices") and not self._usage:
            return
        mended = _mended(value)
        if mended is not value:
            text, value = _packed(mended), mended
        # A line end inside it stands between two tokens of JSON.
        line = self._names.in_text(_with_no_line_ends(text.replace("\n", " ")), value)
        self._out.append(_event(line))

    def completion(self, _text: str, value: Mapping[str, Any]) -> None:
        """A whole answer where a stream was asked."""
        for chunk in completion_to_chunks(value, usage=self._usage):
            self.chunk(_packed(chunk), chunk)

    def take(self) -> Sequence[RawChunk]:
        """What goes on now."""
        out, self._out = self._out, []
        return [RawChunk(b"".join(out))] if out else []

    rest = take


class _Whole:
    """What a caller gets who wants one JSON answer."""

    streams = False

    def __init__(self, rename: str) -> None:
        self._names = _Names(rename)
        self._collector: CompletionAssembler | None = None
        self._text = ""

    def plain(self, part: bytes, count: int) -> RawChunk | None:
        """Never: nothing is passed on before the end."""
        raise AssertionError(part, count)

    def chunk(self, _text: str, value: Mapping[str, Any]) -> None:
        """One event's data, where none was asked."""
        self._collector = self._collector or CompletionAssembler()
        self._collector.add(value)

    def completion(self, text: str, value: Mapping[str, Any]) -> None:
        """The whole answer, as text and as what it says."""
        self._text = self._names.in_text(text, value)

    def take(self) -> Sequence[RawChunk]:
        """Nothing yet."""
        return []

    def rest(self) -> Sequence[RawChunk]:
        """All of it."""
        if self._collector is not None:
            whole = self._collector.completion()
            self._text = self._names.in_text(_packed(whole), whole)
        return [RawChunk(self._text.encode())]


class _Names:
    """Puts `rename` into the place of the endpoint's own name of the model, "" leaves it."""

    def __init__(self, rename: str) -> None:
        self._rename = rename
        self._spelled: tuple[bytes, bytes] = (b"", b"")

    def in_text(self, text: str, value: Mapping[str, Any]) -> str:
        """The text, rebuilt where its model or a number in it has to change."""
        if "NaN" in text or "Infinity" in text:
            value = json.loads(text, parse_constant=lambda _: None)
            text = _packed(value)
        own = value.get("model")
        if not self._rename or own in (self._rename, None):
            return text
        self._learn(text, own)
        return _packed({**value, "model": self._rename})

    def in_bytes(self, part: bytes) -> bytes:
        """The same for events that nobody looked into; b"" where somebody has to."""
        if not self._rename or b'"model"' not in part:
            return part
        before, after = self._spelled
        # Inside a string the quotes would have backslashes: it is the field or nothing.
        if before and part.count(before) == part.count(b'"model"'):
            return part.replace(before, after)
        return b""

    def _learn(self, text: str, own: object) -> None:
        for colon in (":", ": "):
            spelled = f'"model"{colon}{json.dumps(own, ensure_ascii=False)}'
            if spelled in text:
                renamed = f'"model"{colon}{json.dumps(self._rename, ensure_ascii=False)}'
                self._spelled = spelled.encode(), renamed.encode()


def _mended(chunk: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same chunk where it is well, else with the lists and objects that clients rely on."""
    choices = chunk.get("choices")
    if choices and all(choice.get("delta") is not None for choice in choices):
        return chunk
    if choices == []:
        return chunk
    return {**chunk, "choices": [{**c, "delta": delta_from_choice(c)} for c in choices or ()]}


def _with_no_line_ends(text: str) -> str:
    for character, escape in _LINE_ENDS:
        text = text.replace(character, escape)
    return text


_ENCODER: Final = json.JSONEncoder(separators=(",", ":"))


def _packed(value: object) -> str:
    return _ENCODER.encode(value)


def _event(line: str) -> bytes:
    return b"data: " + line.encode() + b"\n\n"
