"""Recognizes stream events that need no parser: only their text differs from an earlier one."""

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


class Frame:
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


class PlainEvents:
    """Counts plain events: those that add output to the answer and nothing else.

    After the first one only the frame is compared; otherwise the markers of plain events are
    counted. Nothing is parsed: the cost of a read must not grow with its events. (`in` isn't
    used: for bytes it first tries its operand as a number, which raises an error inside.)
    """

    def __init__(self) -> None:
        self._frame = Frame()

    def count(self, data: bytes) -> int:
        """Return how many whole plain events the data is; 0 if it contains anything else."""
        if self._frame.text(data) is not None:
            return 1
        events = _count_plain_events(data)
        if events == 1:
            self._frame.learn(data)
        return events


def _count_plain_events(data: bytes) -> int:
    """Count events of one line of JSON each, with choices and a delta.

    They have no error, no NaN or Infinity, no finish reason and no usage; the last two may be
    null, at any position.
    """
    count = data.count
    lines = count(b"\n")
    if not (
        data.startswith(b'data: {"')
        and data.endswith(b"}\n\n")
        and count(b'}\n\ndata: {"') * 2 + 2 == lines
        and (count(b'"choices":[{') * 2 == lines or count(b'"choices": [{') * 2 == lines)
        and (count(b'"delta":{') * 2 == lines or count(b'"delta": {') * 2 == lines)
        and not count(b"\r")
        and not count(b'"error"')
        and not count(b"NaN")
        and not count(b"Infinity")
    ):
        return 0
    finish_reasons, usages = count(b'"finish_reason"'), count(b'"usage"')
    only_output = (
        not finish_reasons
        or finish_reasons == count(b'"finish_reason":null')
        or finish_reasons == count(b'"finish_reason": null')
    ) and (not usages or usages == count(b'"usage":null') or usages == count(b'"usage": null'))
    return lines // 2 if only_output else 0
