"""May a request be tried again, when, and who pays."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST_PAUSE_S: Final = 30.0
BUDGET_SHARE: Final = 0.2
BUDGET_FLOOR: Final = 30
BUDGET_WINDOW_S: Final = 10.0
"""A fifth of the requests of 10 seconds, and 3 a second besides. Source of the shape: linkerd's
retry budgets (ratio 0.2, 10 s, a floor of 10 a second)."""

_NUMBER: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")


class RetryBudget:
    """Live count of recent requests and of the retries that they paid for.

    First attempts are free and earn a fifth of a retry; every further attempt, at whichever
    endpoint, costs one. So an outage is not doubled by retries.
    """

    def __init__(self) -> None:
        self._seconds: deque[list[int]] = deque()
        """[second, requests, retries], oldest first."""

    def earn(self, now: float) -> None:
        """A request arrived. now: seconds, monotonic."""
        self._second(now)[1] += 1

    def affords(self, now: float) -> bool:
        """Whether one more attempt can be paid."""
        self._second(now)
        requests = sum(second[1] for second in self._seconds)
        retries = sum(second[2] for second in self._seconds)
        return retries + 1 <= BUDGET_FLOOR + BUDGET_SHARE * requests

    def spend(self, now: float) -> None:
        """One more attempt is made."""
        self._second(now)[2] += 1

    def _second(self, now: float) -> list[int]:
        second = int(now)
        while self._seconds and self._seconds[0][0] <= now - BUDGET_WINDOW_S:
            self._seconds.popleft()
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append([second, 0, 0])
        return self._seconds[-1]


def longest_backoff_s(round_number: int, retry_delay_ms: int) -> float:
    """The longest pause before this round, seconds: the delay doubled each round, 30 at most.

    round_number: 1 before the first repetition.
    """
    return float(min(LONGEST_PAUSE_S, retry_delay_ms / 1000 * 2 ** min(round_number - 1, 20)))


def backoff_s(round_number: int, retry_delay_ms: int, chance: float) -> float:
    """The pause before this round with full jitter, seconds.

    chance: 0 to 1, where between no pause and the longest it falls.
    Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    return chance * longest_backoff_s(round_number, retry_delay_ms)


def parse_retry_after(value: str, *, now: datetime, cap_s: float = 120.0) -> float | None:
    """Seconds to wait before the same endpoint may be asked again.

    value: the header as received, seconds (decimals are seen too) or an HTTP date.
    cap_s: longer waits are cut to this many seconds. A date in the past gives 0.
    Returns None when the value means nothing. Source: RFC 9110, 10.2.3.
    """
    text = value.strip()
    if _NUMBER.fullmatch(text):
        return min(cap_s, float(text))
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(cap_s, max(0.0, (moment - now).total_seconds()))


def delay_from_headers(
    headers: Mapping[str, str], *, now: datetime, cap_s: float = 120.0
) -> float | None:
    """The rest that an answer's headers ask for, seconds; None when they ask for none.

    headers: by lower-case names. `retry-after-ms` is more exact and goes first (OpenAI's
    and Azure's servers send it).
    """
    text = headers.get("retry-after-ms", "").strip()
    if _NUMBER.fullmatch(text):
        return min(cap_s, float(text) / 1000)
    value = headers.get("retry-after")
    return None if value is None else parse_retry_after(value, now=now, cap_s=cap_s)
