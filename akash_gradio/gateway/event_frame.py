"""Recognizes stream events that differ from an earlier one only in their text.

Such an event needs no JSON parser. Used by both readers: `stream_reader` and `passthrough.reader`.
"""

from __future__ import annotations

import re
from typing import Final

_TEXT_FIELD: Final = re.compile(rb'"(reasoning|reasoning_content|content)": ?"')
_OUTPUT_FIELD: Final = re.compile(
    rb'"(?:reasoning|reasoning_content|content|refusal)": ?(?!""|null)'
)
"""Every field that may hold output, unless it is empty."""
_PLAIN_TEXT: Final = re.compile(rb'[^"\\\x00-\x1f]*')
"""The inside of a JSON string without escapes, so that its first quote ends it."""


class EventFrame:
    """The bytes around the text of one event.

    Attributes:
        in_reasoning: Whether the text is in a reasoning field.
    """

    def __init__(self) -> None:
        self._before = self._after = b""
        self.in_reasoning = False

    def text(self, data: bytes) -> bytes | None:
        """Return the text of an event with the same frame; None if the data is anything else."""
        before, after = self._before, self._after
        if before and data.startswith(before) and data.endswith(after):
            match = _PLAIN_TEXT.fullmatch(data, len(before), len(data) - len(after))
            return match.group() if match else None
        return None

    def learn(self, event: bytes) -> None:
        """Take the frame of an event around its first text field."""
        opening = _TEXT_FIELD.search(event)
        if opening:
            self._take(event, opening)

    def learn_parsed(self, event: bytes, text: bytes) -> None:
        """Take the frame of an event that was parsed as this text, if it has no other output."""
        fields = list(_OUTPUT_FIELD.finditer(event))
        if len(fields) == 1 and not event.count(b"\\"):
            opening = _TEXT_FIELD.match(event, fields[0].start())
            if opening and event.startswith(text + b'"', opening.end()):
                self._take(event, opening)

    def _take(self, event: bytes, opening: re.Match[bytes]) -> None:
        text = _PLAIN_TEXT.match(event, opening.end())
        if text and event[text.end() : text.end() + 1] == b'"':
            self._before, self._after = event[: text.start()], event[text.end() :]
            self.in_reasoning = opening.group(1) != b"content"
