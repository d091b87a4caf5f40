r"""Characters that JSON cut in two: `\ud83d` at the end of one chunk, `\ude00` in the next.

Python keeps such halves in a `str`, which then can't be encoded as UTF-8 any more.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

REPLACEMENT: Final = "\ufffd"


def mended(text: str) -> str:
    """text with halves that meet joined, and U+FFFD in the place of those that don't."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


class SurrogateJoiner:
    """Holds the first half of a character, for each channel of an answer. Live state."""

    def __init__(self) -> None:
        self._halves: dict[Hashable, str] = {}

    def feed(self, channel: Hashable, text: str) -> str:
        """text, mended, with the half that its channel held before and without one at its end."""
        if self._halves and text:
            text = self._halves.pop(channel, "") + text
        if not text or text.isascii():
            return text
        if "\ud800" <= text[-1] <= "\udbff":
            self._halves[channel] = text[-1]
            text = text[:-1]
        return mended(text)

    def close(self) -> list[Hashable]:
        """The channels whose character never came whole: each is owed one U+FFFD."""
        channels = list(self._halves)
        self._halves.clear()
        return channels
