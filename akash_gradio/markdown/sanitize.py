"""Escapes text from a model, and makes invisible characters visible."""

from __future__ import annotations

import re
from html import escape
from typing import Final

_UNSAFE: Final = re.compile(
    r"\r\n?|[\ud800-\udbff][\udc00-\udfff]|"
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_DELETE: Final = "\x7f"
_CONTROL_PICTURES: Final = 0x2400
_DELETE_PICTURE: Final = "\u2421"
_REPLACEMENT: Final = "\ufffd"


def visible(text: str) -> str:
    """Normalize line ends and replace characters that have an invisible effect.

    C0 controls become their pictures (ESC becomes ␛), other controls and lone surrogates U+FFFD;
    a pair of surrogates becomes its character. Bidi overrides, embeddings and isolates are
    removed: with them code can look different from what it does (CVE-2021-42574).
    """
    return _UNSAFE.sub(_replacement, text) if _UNSAFE.search(text) else text


def _replacement(match: re.Match[str]) -> str:
    text = match.group()
    if text[0] == "\r":
        return "\n"
    if len(text) == 2:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    if text < " ":
        return chr(_CONTROL_PICTURES + ord(text))
    if text == _DELETE:
        return _DELETE_PICTURE
    return "" if "\u202a" <= text <= "\u2069" else _REPLACEMENT


def as_text(text: str) -> str:
    """Escape text for HTML. Control characters are replaced again: entities may contain them."""
    return escape(visible(text), quote=False)


def as_attribute(text: str) -> str:
    """Escape text for an attribute in double quotes."""
    return escape(visible(text), quote=True)
