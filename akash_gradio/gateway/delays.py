"""Reads how long an endpoint asks to wait: Retry-After and its relatives, and messages.

The headers that say it, the most exact first: `retry-after-ms` (OpenAI, Azure), `retry-after`
(RFC 9110), then the resets of the rate limits that are used up (`x-ratelimit-reset-requests` of
OpenAI and Groq, `anthropic-ratelimit-requests-reset`, `x-ratelimit-reset`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

MAX_DELAY_S: Final = 3600.0
"""The longest delay that is followed; afterwards one request finds out."""

_NUMBER: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")
_RESET_NUMBER: Final = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?")
_UNIT_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PART: Final = re.compile(
    r"([0-9]{1,9}(?:\.[0-9]{1,20})?) ?"
    r"(milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)\b[ ,]{0,2}"
    r"(?:and )?",
    re.IGNORECASE,
)
_JOINED: Final = re.compile(r"(?<=[a-z])(?=[0-9])", re.IGNORECASE)
_IN_TEXT: Final = re.compile(
    r"(?:(?:try|retry|retrying|again|available|resets?|reset|wait)\b[\w ]{0,30}?"
    r"(?:\bin|\bafter|\bfor)|\bwait) (?:about |at least |approximately )?"
    r"([0-9]{1,9}(?:\.[0-9]{1,20})? ?[a-z]{1,12}[\w. ]{0,40})",
    re.IGNORECASE,
)
_RESET: Final = re.compile(r"(?:x-|anthropic-)?ratelimit-(?:(\w+)-)?reset(?:-(\w+))?")
_EPOCH_S: Final = 1_000_000_000
"""A larger number of a reset is a time, not a delay."""


def parse_retry_after(value: str, *, now: datetime, cap_s: float = MAX_DELAY_S) -> float | None:
    """Parse a Retry-After header into a delay.

    Args:
        value: The header as received: seconds (some servers send decimals), or an HTTP date.
        now: The current time, with its time zone.
        cap_s: Upper bound for the result, in seconds.

    Returns:
        Seconds to wait, 0 for a date in the past, or None if the value is invalid. Source:
        RFC 9110, 10.2.3.
    """
    text = value.strip()
    if _NUMBER.fullmatch(text):
        return min(cap_s, float(text))
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return parse_duration(text, cap_s=cap_s)
    return _until(moment, now, cap_s)


def delay_from_headers(
    headers: Mapping[str, str], *, now: datetime, cap_s: float = MAX_DELAY_S
) -> float | None:
    """Return the delay that a response asks for in `retry-after-ms` or `retry-after`.

    Args:
        headers: The response's headers, by lower-case names.
        now: The current time, with its time zone.
        cap_s: Upper bound for the result, in seconds.

    Returns:
        Seconds to wait, or None without a valid header.
    """
    text = headers.get("retry-after-ms", "").strip()
    if _NUMBER.fullmatch(text):
        return min(cap_s, float(text) / 1000)
    value = headers.get("retry-after")
    return None if value is None else parse_retry_after(value, now=now, cap_s=cap_s)


def delay_from_resets(
    headers: Mapping[str, str], *, now: datetime, cap_s: float = MAX_DELAY_S
) -> float | None:
    """Return the seconds until the rate limits that are used up are reset.

    Args:
        headers: The headers of a response with status 429, by lower-case names.
        now: The current time, with its time zone.
        cap_s: Upper bound for the result, in seconds.

    Returns:
        The longest of the limits of which nothing remains; where no header says what remains,
        the shortest of all. None without a valid header.
    """
    used_up, others = [], []
    for remaining, delay_s in _resets(headers, now, cap_s):
        if remaining == "0":
            used_up.append(delay_s)
        elif not remaining:
            others.append(delay_s)
    return max(used_up, default=min(others, default=None))


def parse_duration(text: str, *, cap_s: float = MAX_DELAY_S) -> float | None:
    """Parse a duration into seconds: `26s`, `6m0s`, `1m12.5s`, `120ms`, `20 seconds`, `3.5`.

    Args:
        text: The duration, perhaps with other words behind it.
        cap_s: Upper bound for the result, in seconds.

    Returns:
        Seconds, or None when the text doesn't begin with a duration.
    """
    text = text.strip()[:80]
    if _NUMBER.fullmatch(text):
        return min(cap_s, float(text))
    text, position, total = _JOINED.sub(" ", text), 0, None
    while part := _PART.match(text, position):
        total = (total or 0.0) + float(part[1]) * _UNIT_S[_unit(part[2].lower())]
        position = part.end()
    return None if total is None else min(cap_s, total)


def delay_from_text(text: str, *, cap_s: float = MAX_DELAY_S) -> float | None:
    """Return the delay that a message names, as in "Please try again in 1m12.5s."."""
    match = _IN_TEXT.search(text[:2_000])
    return None if match is None else parse_duration(match[1], cap_s=cap_s)


def _unit(word: str) -> str:
    if word.startswith(("ms", "milli")):
        return "ms"
    return word[0]


def _resets(headers: Mapping[str, str], now: datetime, cap_s: float) -> Iterator[tuple[str, float]]:
    """Yield what remains of each rate limit ("" when unknown), and the seconds to its reset."""
    for name, value in headers.items():
        match = _RESET.fullmatch(name)
        if match is None:
            continue
        delay_s = _until_reset(value.strip(), now, cap_s)
        if delay_s:
            remaining = name.replace("reset", "remaining")
            yield headers.get(remaining, "").strip(), delay_s


def _until_reset(value: str, now: datetime, cap_s: float) -> float | None:
    """Return the seconds to a reset: a delay, seconds or milliseconds of the epoch, or a date."""
    if _RESET_NUMBER.fullmatch(value):
        number = float(value)
        if number >= _EPOCH_S * 1000:
            number /= 1000
        if number >= _EPOCH_S:
            number = max(0.0, number - now.timestamp())
        return min(cap_s, number)
    duration_s = parse_duration(value, cap_s=cap_s)
    if duration_s is not None:
        return duration_s
    try:
        return _until(datetime.fromisoformat(value), now, cap_s)
    except (ValueError, OverflowError):
        return None


def _until(moment: datetime, now: datetime, cap_s: float) -> float:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = (moment - now).total_seconds()
    return min(cap_s, max(0.0, seconds)) if math.isfinite(seconds) else cap_s
