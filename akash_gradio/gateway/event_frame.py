"""Recognizes stream events that differ from an earlier, parsed one only in their text.

Such an event needs no JSON parser. Used by both readers: `stream_reader` and `passthrough.reader`.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

_TEXT: Final = re.compile(
    # The inside of a JSON string, without halves of surrogate pairs: two events may share one.
    rb'(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4}))++'
)
_PADDING_FIELD: Final = re.compile(rb'"(?:obfuscation|p)":\s*"[ !#-\[\]-~]*"')
"""Padding of random length, which hides the length of the text: OpenAI, and Mistral's `p`. No
reader uses these fields."""
_PADDING: Final = re.compile(rb"[ !#-\[\]-~]*")
MARK: Final = "\x7f\x7f"
"""Takes the place of the text when a frame is verified; it needs no escape in JSON."""
_DECODER: Final = json.JSONDecoder()
_EAGER_TRIES: Final = 8
_LATER_TRIES: Final = 32
"""Where every event has another frame, one in so many is learned after the first few."""


class EventFrame:
    """The bytes around the text of one event.

    Attributes:
        before: The bytes before the text, b"" while no event was learned.
        after: The bytes after it, to the end of the event's line.
        tail: The bytes after the padding, b"" without padding.
        marked: The JSON of the event, with `MARK` in place of the text.
    """

    __slots__ = ("_middle", "_tries", "after", "before", "marked", "tail")

    def __init__(self) -> None:
        self.before = self.after = self.tail = self._middle = b""
        self.marked = ""
        self._tries = 0

    def text(self, data: bytes, start: int, end: int) -> bytes | None:
        """Return the text of an event in this frame, as it is written in JSON.

        Args:
            data: Contains the event.
            start: Where its only line starts.
            end: Where the line ends, without its line break.

        Returns:
            None for an event with another frame, with an empty text or invalid UTF-8.
        """
        before, after = self.before, self.after
        if not (before and data.startswith(before, start)):
            return None
        if self.tail:
            after = self._padded_after(data, start + len(before), end)
        if not after or not data.endswith(after, start, end):
            return None
        match = _TEXT.fullmatch(data, start + len(before), end - len(after))
        if match is None:
            return None
        text = match.group()
        if not text.isascii():
            try:
                text.decode()
            except UnicodeDecodeError:
                return None
        self._tries = 0
        return text

    def _padded_after(self, data: bytes, start: int, end: int) -> bytes:
        """Return what follows the text, with any padding; b"" if it doesn't fit."""
        # The text has no quotation mark of its own, with which the middle begins.
        at = data.find(self._middle, start, end)
        padding_at, tail_at = at + len(self._middle), end - len(self.tail)
        if at < 0 or padding_at > tail_at or not _PADDING.fullmatch(data, padding_at, tail_at):
            return b""
        return data[at:tail_at] + self.tail

    def learn(self, event: bytes, value: Any, choice: Any, name: str) -> bool:
        """Take the frame of an event around the text in its delta.

        Args:
            event: The event: one `data:` line and an empty one.
            value: The parsed JSON of it.
            choice: The choice in the value that has the text, the only output of the event.
            name: The field of the choice's delta that holds it.

        Returns:
            Whether the frame was taken: another text in this place changes nothing else.
        """
        self._tries += 1
        if self._tries > _EAGER_TRIES and self._tries % _LATER_TRIES:
            return False
        if not event.startswith(b"data:") or not event.endswith(b"\n\n") or event.count(b"\n") != 2:
            return False
        if not event.isascii():
            try:
                event.decode()
            except UnicodeDecodeError:
                return False
        delta = choice["delta"]
        text = delta[name]
        for opening in re.finditer(rb'"%b"\s*:\s*"' % name.encode(), event):
            inside = _TEXT.match(event, opening.end())
            if inside is None or decode_text(inside.group()) != text:
                continue
            before, after = event[: inside.start()], event[inside.end() : -2]
            marked = (str(before[5:], "utf-8") + MARK + str(after, "utf-8")).strip()
            if _has_mark_only_in(marked, value, delta, name):
                self.before, self.after, self.marked = before, after, marked
                self._take_padding()
                return True
        return False

    def _take_padding(self) -> None:
        fields = list(_PADDING_FIELD.finditer(self.after))
        self.tail = self._middle = b""
        if len(fields) == 1:
            field = fields[0]
            opening = self.after.index(b'"', self.after.index(b":", field.start())) + 1
            self._middle, self.tail = self.after[:opening], self.after[field.end() - 1 :]


def _has_mark_only_in(marked: str, value: Any, delta: Any, name: str) -> bool:
    """Return whether the JSON is the value but for the mark in the delta's field."""
    text, delta[name] = delta[name], MARK
    try:
        parsed, end = _DECODER.raw_decode(marked)
        return end == len(marked) and bool(parsed == value)
    except (ValueError, RecursionError):
        return False
    finally:
        delta[name] = text


def decode_text(text: bytes) -> str:
    """Return the text that `EventFrame.text` found, without its escapes."""
    if b"\\" not in text:
        return str(text, "utf-8")
    decoded: str = _DECODER.raw_decode('"' + str(text, "utf-8") + '"')[0]
    return decoded
