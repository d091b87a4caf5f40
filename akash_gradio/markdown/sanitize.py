"""Text from a model, made fit to stand in a page."""

from __future__ import annotations

import re
from html import escape
from typing import Final

_ODD: Final = re.compile(
    r"\r\n?|[\ud800-\udbff][\udc00-\udfff]|"
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_DELETE: Final = "\x7f"
_CONTROL_PICTURES: Final = 0x2400
_DELETE_PICTURE: Final = "\u2421"
_REPLACEMENT: Final = "\ufffd"


def visible(text: str) -> str:
    """The text with one kind of line end and without anything that acts unseen.

    C0 controls become their pictures (ESC is ␛), other controls and lone surrogates U+FFFD;
    a pair of surrogates becomes its character. Bidi overrides, embeddings and isolates are
    dropped: they can make code read other than it runs (CVE-2021-42574).
    """
    return _ODD.sub(_stand_in, text) if _ODD.search(text) else text


def _stand_in(match: re.Match[str]) -> str:
    found = match.group()
    if found[0] == "\r":
        return "\n"
    if len(found) == 2:
        return found.encode("utf-16", "surrogatepass").decode("utf-16")
    if found < " ":
        return chr(_CONTROL_PICTURES + ord(found))
    if found == _DELETE:
        return _DELETE_PICTURE
    return "" if "\u202a" <= found <= "\u2069" else _REPLACEMENT


def as_text(text: str) -> str:
    """HTML that shows the text. Entities may have brought odd characters back: cleaned again."""
    return escape(visible(text), quote=False)


def as_attribute(text: str) -> str:
    """The text for between double quotes."""
    return escape(visible(text), quote=True)
