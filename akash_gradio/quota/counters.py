"""What was used, by whom. In this process alone; `shared.py` has the same for several replicas."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

DAY_S: Final = 86_400
MOST_NAMES: Final = 100_000
"""Of visitors that are remembered at once; the least lately seen are forgotten first."""


class Counters(Protocol):
    """Sliding windows and sums, by name."""

    async def take(self, name: str, most: int, window_s: float) -> float:
        """One more of at most `most` in any `window_s` seconds.

        Returns 0.0 when it was still free, else the seconds until the next one is.
        """
        ...

    async def total(self, name: str) -> float:
        """The sum under this name; 0.0 when there is none."""
        ...

    def add(self, name: str, amount: float, until: float) -> None:
        """Add to the sum, which is forgotten at `until` (seconds of the Unix clock)."""
        ...


class LocalCounters:
    """Live: this process's own. clock: seconds of the Unix clock."""

    def __init__(
        self, clock: Callable[[], float] = time.time, most_names: int = MOST_NAMES
    ) -> None:
        self._clock, self._most_names = clock, most_names
        self._windows: dict[str, deque[float]] = {}
        self._sums: dict[str, tuple[float, float]] = {}

    async def take(self, name: str, most: int, window_s: float) -> float:
        """See `Counters.take`."""
        now = self._clock()
        taken = self._windows.pop(name, None) or deque()
        self._windows[name] = taken  # the last one in the order of forgetting
        while taken and taken[0] <= now - window_s:
            taken.popleft()
        if len(taken) >= most:
            return taken[len(taken) - most] + window_s - now
        taken.append(now)
        if len(self._windows) > self._most_names:
            del self._windows[next(iter(self._windows))]
        return 0.0

    async def total(self, name: str) -> float:
        """See `Counters.total`."""
        amount, until = self._sums.get(name, (0.0, 0.0))
        return amount if until > self._clock() else 0.0

    def add(self, name: str, amount: float, until: float) -> None:
        """See `Counters.add`."""
        before, ends = self._sums.pop(name, (0.0, 0.0))
        self._sums[name] = ((before if ends > self._clock() else 0.0) + amount, until)
        if len(self._sums) > self._most_names:
            del self._sums[next(iter(self._sums))]


def end_of_day(now: float) -> float:
    """The next midnight UTC, in seconds of the Unix clock."""
    return (now // DAY_S + 1) * DAY_S
