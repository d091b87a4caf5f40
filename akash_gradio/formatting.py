"""Formats money, durations, token counts and speeds, in the same way on every surface.

`assets/js/formatting.js` does the same in the browser; both are tested
against the table in `tests/formatting_cases.json`.
"""

from __future__ import annotations

import math
from typing import Final

NOT_AVAILABLE: Final = "–"
"""Replaces a value that wasn't measured or isn't known."""


def format_seconds(value: float | None) -> str:
    """Format a measured time with three significant digits: `0.41 s`, `12.3 s`, `125 s`."""
    if value is None:
        return NOT_AVAILABLE
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:,.{digits}f} s"


def format_duration(seconds: float) -> str:
    """Format a wait or an estimate, rounded up: `12 s`, `3 min`, `5 h 20 min`. Never `0 s`."""
    whole_s = max(1, math.ceil(seconds))
    if whole_s < 90:
        return f"{whole_s} s"
    minutes = math.ceil(whole_s / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"


def format_cost(dollars: float | None, *, estimated: bool = False) -> str:
    """Format US dollars: cents, or two significant digits below ten cents.

    Args:
        dollars: The sum; None if it isn't known.
        estimated: Whether it follows from token counts that the endpoint didn't report.

    Returns:
        `$1.24`, `$0.05`, `$0.0012`, `≈ $0.0012`.
    """
    if dollars is None:
        return NOT_AVAILABLE
    if dollars >= 0.0995 or dollars <= 0:
        return _approximate(f"${dollars:,.2f}", estimated)
    digits = 1 - math.floor(math.log10(dollars))
    cents, rest = f"{dollars:.{digits}f}"[:4], f"{dollars:.{digits}f}"[4:].rstrip("0")
    return _approximate(f"${cents}{rest}", estimated)


def format_speed(tokens_per_s: float | None, *, estimated: bool = False) -> str:
    """Format tokens per second: `87 tok/s`, `4.2 tok/s`, `≈ 87 tok/s` if they are estimated."""
    if tokens_per_s is None:
        return NOT_AVAILABLE
    digits = 1 if tokens_per_s < 9.95 else 0
    return _approximate(f"{tokens_per_s:,.{digits}f} tok/s", estimated)


def format_tokens(count: int | None, *, estimated: bool = False) -> str:
    """Format a number of tokens: `1,234 tok`, `≈ 1,234 tok` if it is estimated."""
    return NOT_AVAILABLE if count is None else _approximate(f"{count:,} tok", estimated)


def format_context_length(tokens: int) -> str:
    """Format a context length as models are advertised: 131072 and 128000 are both `128K`."""
    thousand = 1024 if tokens % 1024 == 0 and tokens % 1000 else 1000
    if tokens < thousand:
        return str(tokens)
    if tokens < thousand**2:
        return f"{tokens / thousand:.0f}K"
    return f"{tokens / thousand**2:.1f}".removesuffix(".0") + "M"


def _approximate(text: str, estimated: bool) -> str:
    return f"≈ {text}" if estimated else text
