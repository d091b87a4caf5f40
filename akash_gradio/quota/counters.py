"""Counters by name: sliding windows and daily budgets, in this process alone.

`redis_counters.py` has the same for several replicas. Windows are measured with a monotonic clock
and days with the wall clock, so a wall clock that is set back or forward changes no window, and
starts another day's budget at most.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

DAY_S: Final = 86_400
MAX_NAMES: Final = 100_000
"""Most names that are remembered at once; the least recently used are dropped first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a request needs of one daily budget, in tokens or dollars.

    Attributes:
        name: Of the budget.
        limit: The budget of a day.
        fixed: Amount of the input.
        per_token: Amount of each token of output.
    """

    name: str
    limit: float
    fixed: float
    per_token: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A reservation in daily budgets, until it is settled.

    Attributes:
        id: Unique in this process.
        day: Number of the day whose budgets hold it.
        output_tokens: The tokens of output that were reserved.
        amounts: The reserved amount by name of the budget.
        shared_id: Its id in Redis, 0 if it is held in this process alone.
    """

    id: int
    day: int
    output_tokens: int
    amounts: Mapping[str, float]
    shared_id: int = 0


@dataclass(frozen=True, slots=True)
class Shortage:
    """The budget in which a reservation doesn't fit.

    Attributes:
        name: Of the budget.
        held: Whether it would fit without the reservations of requests that still run.
        wait_s: Seconds until the next day's budget.
    """

    name: str
    held: bool
    wait_s: float


class Counters(Protocol):
    """Sliding windows and daily budgets, by name."""

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

    async def reserve(self, demands: Sequence[Demand], output: int, least: int) -> Hold | Shortage:
        """Reserve the input and as much of the output as fits into all budgets, in one step.

        Args:
            demands: One for each budget.
            output: Wanted tokens of output.
            least: Fewest tokens of output; with fewer nothing is reserved.
        """
        ...

    def settle(self, hold: Hold, used: Mapping[str, float]) -> object:
        """Replace a reservation by what was used.

        A second call for the same reservation changes nothing.

        Args:
            hold: The reservation.
            used: The amount by name of the budget, 0 for a missing one.
        """
        ...


class LocalCounters:
    """Counters of this process."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        max_names: int = MAX_NAMES,
    ) -> None:
        """Initialize the counters with nothing counted.

        Args:
            clock: Monotonic seconds.
            wall_clock: Unix time in seconds, for the days.
            max_names: Most names that are remembered at once.
        """
        self._clock, self._wall_clock, self._max_names = clock, wall_clock, max_names
        self._windows: dict[str, deque[float]] = {}
        self._budgets: dict[tuple[int, str], _Budget] = {}
        self._holds: set[int] = set()
        self._last_id = 0
        self._day = 0

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

    async def reserve(self, demands: Sequence[Demand], output: int, least: int) -> Hold | Shortage:
        """See `Counters.reserve`."""
        now = self._wall_clock()
        day = int(now // DAY_S)
        self._start_day(day)
        granted, short = output, ""
        for demand in demands:
            budget = self._budgets.get((day, demand.name)) or _Budget()
            fits = fitting_output(demand, budget.used + budget.held, output)
            if fits < least:
                short = demand.name
                if fitting_output(demand, budget.used, output) < least:
                    return Shortage(short, held=False, wait_s=seconds_left_of_day(now))
            granted = min(granted, fits)
        if short:
            return Shortage(short, held=True, wait_s=seconds_left_of_day(now))
        amounts = {d.name: d.fixed + d.per_token * granted for d in demands}
        return self.hold(day, granted, amounts)

    def hold(
        self, day: int, output: int, amounts: Mapping[str, float], *, shared_id: int = 0
    ) -> Hold:
        """Reserve amounts in budgets of a day without looking at the limits."""
        self._last_id += 1
        hold = Hold(
            id=self._last_id, day=day, output_tokens=output, amounts=amounts, shared_id=shared_id
        )
        self._holds.add(hold.id)
        for name, amount in amounts.items():
            self._budget(day, name).held += amount
        return hold

    def settle(self, hold: Hold, used: Mapping[str, float]) -> bool:
        """See `Counters.settle`."""
        if hold.id not in self._holds:
            return False
        self._holds.remove(hold.id)
        for name, amount in hold.amounts.items():
            budget = self._budget(hold.day, name)
            budget.held = max(0.0, budget.held - amount)
            budget.used += used.get(name, 0.0)
        return True

    def _start_day(self, day: int) -> None:
        """Forget the budgets of other days than this one and its neighbors.

        The day before is kept because its last requests still run. Both are kept because a clock
        may be corrected around midnight.
        """
        if day != self._day:
            self._day = day
            self._budgets = {key: b for key, b in self._budgets.items() if abs(key[0] - day) <= 1}

    def _budget(self, day: int, name: str) -> _Budget:
        """Return a budget, as the last one to be dropped."""
        budget = self._budgets.pop((day, name), None) or _Budget()
        self._budgets[day, name] = budget
        if len(self._budgets) > self._max_names:
            del self._budgets[next(iter(self._budgets))]
        return budget


@dataclass(slots=True)
class _Budget:
    used: float = 0.0
    held: float = 0.0


def fitting_output(demand: Demand, taken: float, output: int) -> int:
    """Return how many of `output` tokens fit beside what is taken; -1 if the input doesn't."""
    free = demand.limit - taken - demand.fixed
    if free < 0:
        return -1
    if not demand.per_token:
        return output
    return min(output, int(free / demand.per_token))


def seconds_left_of_day(now: float) -> float:
    """Return the seconds from a Unix time until the next midnight UTC."""
    return (now // DAY_S + 1) * DAY_S - now


def _wait_s(uses: deque[float], remaining: int, window_s: float, now: float) -> float:
    """Drop the uses that left the window; return the seconds until at most `remaining` are in it.

    Uses are monotonic times in seconds, oldest first.
    """
    while uses and uses[0] <= now - window_s:
        uses.popleft()
    excess = len(uses) - max(0, remaining)
    if excess <= 0:
        return 0.0 if remaining >= 0 else window_s
    return max(0.001, uses[excess - 1] + window_s - now)
