"""Counters by name: sliding windows and daily sums, in this process alone.

`redis_counters.py` has the same for several replicas.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

DAY_S: Final = 86_400
MAX_NAMES: Final = 100_000
"""Most names that are remembered at once; the least recently used are dropped first."""


class Counters(Protocol):
    """Sliding windows and sums, by name."""

    async def take(self, name: str, limit: int, window_s: float, *, amount: int = 1) -> float:
        """Count `amount` uses if the window then holds at most `limit`; otherwise count none.

        Args:
            name: Of the window.
            limit: Most uses in the window.
            window_s: Length of the window in seconds.
            amount: Number of uses.

        Returns:
            0.0 when they were counted, else the seconds until they can be.
        """
        ...

    async def wait_s(self, name: str, limit: int, window_s: float) -> float:
        """Return what `take` would for one use, without counting it."""
        ...

    async def release(self, name: str, *, amount: int = 1) -> None:
        """Take back the latest uses in the window of this name."""
        ...

    async def reset(self, name: str) -> None:
        """Forget the window of this name."""
        ...

    async def total(self, name: str) -> float:
        """Return the sum under this name, 0.0 when there is none."""
        ...

    def add(self, name: str, amount: float, until: float) -> None:
        """Add to the sum, which is forgotten at `until` (Unix time in seconds)."""
        ...


class LocalCounters:
    """Counters of this process."""

    def __init__(self, clock: Callable[[], float] = time.time, max_names: int = MAX_NAMES) -> None:
        """Initialize the counters with nothing counted.

        Args:
            clock: Unix time in seconds.
            max_names: Most names that are remembered at once.
        """
        self._clock, self._max_names = clock, max_names
        self._windows: dict[str, deque[float]] = {}
        self._sums: dict[str, tuple[float, float]] = {}

    async def take(self, name: str, limit: int, window_s: float, *, amount: int = 1) -> float:
        """See `Counters.take`."""
        now = self._clock()
        uses = self._windows.pop(name, None) or deque()
        self._windows[name] = uses  # the last one to be dropped
        if len(self._windows) > self._max_names:
            del self._windows[next(iter(self._windows))]
        wait_s = _wait_s(uses, limit - amount, window_s, now)
        if not wait_s:
            uses.extend([now] * amount)
        return wait_s

    async def wait_s(self, name: str, limit: int, window_s: float) -> float:
        """See `Counters.wait_s`."""
        return _wait_s(self._windows.get(name, deque()), limit - 1, window_s, self._clock())

    async def release(self, name: str, *, amount: int = 1) -> None:
        """See `Counters.release`."""
        uses = self._windows.get(name, deque())
        for _ in range(min(amount, len(uses))):
            uses.pop()

    async def reset(self, name: str) -> None:
        """See `Counters.reset`."""
        self._windows.pop(name, None)

    async def total(self, name: str) -> float:
        """See `Counters.total`."""
        amount, until = self._sums.get(name, (0.0, 0.0))
        return amount if until > self._clock() else 0.0

    def add(self, name: str, amount: float, until: float) -> None:
        """See `Counters.add`."""
        previous, ends = self._sums.pop(name, (0.0, 0.0))
        self._sums[name] = ((previous if ends > self._clock() else 0.0) + amount, until)
        if len(self._sums) > self._max_names:
            del self._sums[next(iter(self._sums))]


def end_of_day(now: float) -> float:
    """Return the next midnight UTC. Both are Unix times in seconds."""
    return (now // DAY_S + 1) * DAY_S


def _wait_s(uses: deque[float], remaining: int, window_s: float, now: float) -> float:
    """Drop the uses that left the window; return the seconds until at most `remaining` are in it.

    Uses are Unix times in seconds, oldest first.
    """
    while uses and uses[0] <= now - window_s:
        uses.popleft()
    excess = len(uses) - max(0, remaining)
    if excess <= 0:
        return 0.0 if remaining >= 0 else window_s
    return max(0.001, uses[excess - 1] + window_s - now)
