"""Backoff delays and the budgets of repeats."""

from __future__ import annotations

from collections import deque
from typing import Final

MAX_BACKOFF_S: Final = 30.0
BUDGET_SHARE: Final = 0.2
BUDGET_FLOOR: Final = 30
BUDGET_WINDOW_S: Final = 10.0
"""Within 10 seconds there may be 30 failed repeats of a model, and one more for every five of its
requests. Source: linkerd's retry budgets (ratio 0.2, 10 s, at least 10 retries per second)."""

RESCUE_EARNINGS: Final = 1 / BUDGET_SHARE - 1
"""How many failed repeats one successful repeat pays for."""
ROUNDING: Final = 1e-6
"""Above the rounding errors of the sums."""


class RetryBudget:
    """Limits the repeats of one model, so that an outage isn't doubled by them.

    A repeat is an attempt at an endpoint that has already failed the same request; a failover to
    another endpoint costs nothing. A request earns a fifth of a repeat, and a repeat costs one
    when it fails. A request that a repeat rescued earns back what its repeats cost, and four more:
    while one repeat in five helps they go on, and in an outage they soon stop. Source of the
    refund: the retry quota of AWS's SDKs. All times are seconds of one monotonic clock.
    """

    def __init__(self) -> None:
        self._seconds: deque[list[float]] = deque()
        """[second, earned, spent], oldest first."""

    def earn(self, now: float, repeats: float = BUDGET_SHARE) -> None:
        """Add repeats: the share of a request, or what a rescued request gets back."""
        self._second(now)[1] += repeats

    def can_afford(self, now: float) -> bool:
        """Return whether the budget covers one more repeat."""
        self._second(now)
        earned = sum(second[1] for second in self._seconds)
        spent = sum(second[2] for second in self._seconds)
        return spent + 1 <= BUDGET_FLOOR + earned + ROUNDING

    def spend(self, now: float) -> None:
        """Count a repeat that failed."""
        self._second(now)[2] += 1

    def _second(self, now: float) -> list[float]:
        second = int(now)
        while self._seconds and self._seconds[0][0] <= now - BUDGET_WINDOW_S:
            self._seconds.popleft()
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append([second, 0.0, 0.0])
        return self._seconds[-1]


def rescue_refund(failed_repeats: int) -> float:
    """Return what a request earns for its model that a repeat rescued.

    Args:
        failed_repeats: How many of its repeats failed before.
    """
    return failed_repeats + RESCUE_EARNINGS


def longest_backoff_s(round_number: int, retry_delay_ms: int) -> float:
    """Return the longest pause before a round, in seconds: doubled each round, 30 at most.

    Args:
        round_number: 1 before the first repetition.
        retry_delay_ms: The longest pause before round 1.
    """
    return float(min(MAX_BACKOFF_S, retry_delay_ms / 1000 * 2 ** min(round_number - 1, 20)))


def backoff_s(round_number: int, retry_delay_ms: int, jitter: float) -> float:
    """Return the pause before a round, between half of the longest pause and the whole of it.

    Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015 (equal jitter).

    Args:
        round_number: 1 before the first repetition.
        retry_delay_ms: The longest pause before round 1.
        jitter: A random number, 0 to 1.
    """
    return (0.5 + 0.5 * jitter) * longest_backoff_s(round_number, retry_delay_ms)
