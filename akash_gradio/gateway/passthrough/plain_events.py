"""Events of a stream that need no parser: they differ from one before in their words alone."""

from __future__ import annotations

import re
from typing import Final

_WORDS: Final = re.compile(rb'"(reasoning|reasoning_content|content)": ?"')
_SAYING: Final = re.compile(rb'"(?:reasoning|reasoning_content|content|refusal)": ?(?!""|null)')
"""Whatever might say something, in any way."""
_PLAIN_WORDS: Final = re.compile(rb'[^"\\\x00-\x1f]*')
"""The inside of a JSON string that means what it shows and ends where it seems to end."""


class Frame:
    """What stands around the words of one event. Live state.

    in_reasoning: whether the words stand in a field of reasoning.
    """

    def __init__(self) -> None:
        self._before = self._after = b""
        self.in_reasoning = False

    def words(self, part: bytes) -> bytes | None:
        """The words of an event that is like the one of the frame; None if these bytes are none."""
        before, after = self._before, self._after
        if before and part.startswith(before) and part.endswith(after):
            found = _PLAIN_WORDS.fullmatch(part, len(before), len(part) - len(after))
            return found.group() if found else None
        return None

    def learn(self, part: bytes) -> None:
        """Take the frame of this one event, whose words are the first that stand in it."""
        opened = _WORDS.search(part)
        if opened:
            self._take(part, opened)

    def learn_of(self, part: bytes, words: bytes) -> None:
        """The same of an event that was read as these words, if nothing else in it says any."""
        saying = list(_SAYING.finditer(part))
        if len(saying) == 1 and not part.count(b"\\"):
            opened = _WORDS.match(part, saying[0].start())
            if opened and part.startswith(words + b'"', opened.end()):
                self._take(part, opened)

    def _take(self, part: bytes, opened: re.Match[bytes]) -> None:
        words = _PLAIN_WORDS.match(part, opened.end())
        if words and part[words.end() : words.end() + 1] == b'"':
            self._before, self._after = part[: words.start()], part[words.end() :]
            self.in_reasoning = opened.group(1) != b"content"


class PlainEvents:
    """Counts events that say more of the answer and nothing else. Live state: the last one.

    Only what stands around the words is compared then; else the marks of such events are
    counted. Nothing is parsed: what a read costs must not grow with its events. (`in` is not
    used: in bytes it first takes what it looks for as a number, and raises an error inside.)
    """

    def __init__(self) -> None:
        self._frame = Frame()

    def count(self, part: bytes) -> int:
        """How many whole events of this kind the bytes are; 0 where anything else is in them."""
        if self._frame.words(part) is not None:
            return 1
        found = _plain_events(part)
        if found == 1:
            self._frame.learn(part)
        return found


def _plain_events(part: bytes) -> int:
    """Whole events of one line of JSON each, with choices, a delta and neither an error, a number
    that is none, a finish reason nor usage. Those two may be null, wherever they stand.
    """
    count = part.count
    lines = count(b"\n")
    if not (
        part.startswith(b'data: {"')
        and part.endswith(b"}\n\n")
        and count(b'}\n\ndata: {"') * 2 + 2 == lines
        and (count(b'"choices":[{') * 2 == lines or count(b'"choices": [{') * 2 == lines)
        and (count(b'"delta":{') * 2 == lines or count(b'"delta": {') * 2 == lines)
        and not count(b"\r")
        and not count(b'"error"')
        and not count(b"NaN")
        and not count(b"Infinity")
    ):
        return 0
    finishes, usages = count(b'"finish_reason"'), count(b'"usage"')
    nothing_more = (
        not finishes
        or finishes == count(b'"finish_reason":null')
        or finishes == count(b'"finish_reason": null')
    ) and (not usages or usages == count(b'"usage":null') or usages == count(b'"usage": null'))
    return lines // 2 if nothing_more else 0
