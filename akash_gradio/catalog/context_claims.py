"""What a text says of a model's context, to be held against its `tokenLimit`."""

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
_NEAR: Final = 0.06
"""131 072 tokens are called 128K, 130K and 131K; more than that apart is another number."""


def contradictions(text: str, token_limit: int) -> tuple[str, ...]:
    """The claims of a context, as written, that mean another number of tokens."""
    found: dict[str, None] = {}
    for pattern in _CLAIMS:
        for match in pattern.finditer(text):
            meant = _meant(match[1], (match[2] or "").lower())
            if meant and all(abs(tokens - token_limit) > _NEAR * token_limit for tokens in meant):
                found[match.group().strip()] = None
    return tuple(found)


def _meant(number: str, unit: str) -> list[float]:
    value = float(number.replace(",", ""))
    if not unit and value < 1000:  # "a context of 8" is of no tokens
        return []
    return [value * each for each in _UNITS[unit]]
