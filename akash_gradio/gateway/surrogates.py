r"""Repairs characters that JSON split in two: `\ud83d` ends one chunk, `\ude00` begins the next.

Python keeps such lone surrogates in a `str`, which then can't be encoded as UTF-8.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

REPLACEMENT: Final = "\ufffd"


def repair_surrogates(text: str) -> str:
    """Join adjacent halves of a character, and replace lone ones by U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


class SurrogateJoiner:
    """Holds the first half of a character until its second half is received, per channel."""

    def __init__(self) -> None:
        self._halves: dict[Hashable, str] = {}

    def feed(self, channel: Hashable, text: str) -> str:
        """Return the text, repaired, with the held half before it and without one at its end."""
        if self._halves and text:
            text = self._halves.pop(channel, "") + text
        if not text or text.isascii():
            return text
        if "\ud800" <= text[-1] <= "\udbff":
            self._halves[channel] = text[-1]
            text = text[:-1]
        return repair_surrogates(text)

    def close(self) -> list[Hashable]:
        """Return the channels whose second half is missing; each needs one U+FFFD."""
        channels = list(self._halves)
        self._halves.clear()
        return channels
