"""How many tokens a text is, where nobody counted them."""

from __future__ import annotations

from typing import Final

BYTES_PER_TOKEN: Final = 4
TOKENS_PER_MESSAGE: Final = 4
"""What chat templates put around a message."""


def estimate_tokens(utf8_bytes: int) -> int:
    """Tokens of so many bytes of text, at 4 bytes each and at least one.

    A rule of thumb that is right within a third for English and code, and near enough for
    scripts of three bytes a character; so it is always marked as estimated.
    """
    return max(1, round(utf8_bytes / BYTES_PER_TOKEN)) if utf8_bytes > 0 else 0


def utf8_length(text: str) -> int:
    """Bytes of the text in UTF-8; half a surrogate pair counts three."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
