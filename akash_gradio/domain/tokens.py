"""Token estimates for when an endpoint reports no usage."""

from __future__ import annotations

from typing import Final

BYTES_PER_TOKEN: Final = 4
TOKENS_PER_MESSAGE: Final = 4
"""What a chat template adds around each message."""


def estimate_tokens(utf8_bytes: int) -> int:
    """Estimate the tokens of a text from its size in UTF-8, at 4 bytes per token.

    The estimate is within a third for English and for code, and close enough for scripts of
    three bytes per character. It is always marked as an estimate.
    """
    return max(1, round(utf8_bytes / BYTES_PER_TOKEN)) if utf8_bytes > 0 else 0


def utf8_length(text: str) -> int:
    """Return the size of the text in UTF-8; a lone surrogate counts three bytes."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
