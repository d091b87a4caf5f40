"""Which events of a stream need no look: they say more of the answer and nothing else."""

from __future__ import annotations

import re
from typing import Final

_WORDS: Final = re.compile(rb'"(?:reasoning_)?content": ?"')
_PLAIN_WORDS: Final = re.compile(rb'[^"\\\r\n]*')
"""The inside of a JSON string that ends where it seems to end."""


class PlainEvents:
    """Counts them. Live state: the last event, from which the next differs in its words alone.

    Only what stands around the words is compared then; else the marks of such events are
    counted. Nothing is parsed: what a read costs must not grow with its events. (`in` is not
    used: in bytes it first takes what it looks for as a number, and raises an error inside.)
    """

    def __init__(self) -> None:
        self._before = self._after = b""

    def count(self, part: bytes) -> int:
        """How many whole events of this kind the bytes are; 0 where anything else is in them."""
        before, after = self._before, self._after
        if (
            before
            and part.startswith(before)
            and part.endswith(after)
            and _PLAIN_WORDS.fullmatch(part, len(before), len(part) - len(after))
        ):
            return 1
        found = _plain_events(part)
        if found == 1:
            self._remember(part)
        return found

    def _remember(self, part: bytes) -> None:
        opened = _WORDS.search(part)
        words = _PLAIN_WORDS.match(part, opened.end()) if opened else None
        if words and part[words.end() : words.end() + 1] == b'"':
            self._before, self._after = part[: words.start()], part[words.end() :]


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
