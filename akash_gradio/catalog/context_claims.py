"""Finds context sizes in descriptions, to compare them with `tokenLimit`."""

from __future__ import annotations

import re
from typing import Final

_NUMBER: Final = r"(\d[\d,]*(?:\.\d+)?)\s?([KkMm])?\b"
_TOKENS: Final = r"(?:[- ]?tokens?)?"
_CLAIMS: Final = (
    re.compile(rf"{_NUMBER}{_TOKENS}[- ](?:long[- ])?context", re.IGNORECASE),
    re.compile(rf"{_NUMBER}[- ]tokens?[- ](?:of context|window|context)", re.IGNORECASE),
    re.compile(
        rf"context(?:[- ](?:window|length|size))?(?: of| is|:)?(?: up to)? {_NUMBER}", re.IGNORECASE
    ),
)
_UNITS: Final = {"": (1,), "k": (1000, 1024), "m": (1000**2, 1024**2, 1024 * 1000)}
_TOLERANCE: Final = 0.06
"""131,072 tokens are written as 128K, 130K or 131K. A larger difference is a contradiction."""


def contradictions(text: str, token_limit: int) -> tuple[str, ...]:
    """Return the context sizes in a text, as written, that contradict the token limit."""
    claims: dict[str, None] = {}
    for pattern in _CLAIMS:
        for match in pattern.finditer(text):
            readings = _possible_tokens(match[1], (match[2] or "").lower())
            tolerance = _TOLERANCE * token_limit
            if readings and all(abs(tokens - token_limit) > tolerance for tokens in readings):
                claims[match.group().strip()] = None
    return tuple(claims)


def _possible_tokens(number: str, unit: str) -> list[float]:
    value = float(number.replace(",", ""))
    if not unit and value < 1000:  # "a context of 8" isn't a number of tokens
        return []
    return [value * factor for factor in _UNITS[unit]]
