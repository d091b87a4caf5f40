"""Tracks the health of models from the receipts of real requests, in bounded memory."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from akash_gradio.domain.health import Health
from akash_gradio.domain.receipt import Receipt

MINUTE_S: Final = 60.0
MINUTES: Final = 15
HALF_HOUR_S: Final = 1800.0
HALF_HOURS: Final = 48
MAX_MODELS: Final = 1000
"""Upper bound of tracked models. Beyond it, the least recently used model is dropped."""
IGNORED_OUTCOMES: Final = frozenset({"cancelled", "RequestRefused", "ContextExceeded"})
"""Outcomes that count neither for nor against the endpoint."""


@dataclass(slots=True)
class _Interval:
    """Sums over one interval of time; `number` counts intervals since the epoch."""

    number: int = -1
    answered: int = 0
    failed: int = 0
    first_token_s: float = 0.0
    tokens_per_s: float = 0.0
    measured: int = 0


class _Ring:
    """A ring buffer of intervals of equal length."""

    def __init__(self, interval_s: float, count: int) -> None:
        self._interval_s = interval_s
        self._intervals = [_Interval() for _ in range(count)]

    def current(self, now_s: float) -> _Interval:
        """Return the current interval. Its slot is reset if it contains an earlier interval."""
        number = int(now_s // self._interval_s)
        slot = number % len(self._intervals)
        if self._intervals[slot].number != number:
            self._intervals[slot] = _Interval(number=number)
        return self._intervals[slot]

    def recent(self, now_s: float) -> list[_Interval]:
        """Return all intervals up to this moment, oldest first, empty ones included."""
        count, newest = len(self._intervals), int(now_s // self._interval_s)
        oldest = newest - count + 1
        slots = (self._intervals[number % count] for number in range(oldest, newest + 1))
        return [slot if oldest <= slot.number <= newest else _Interval() for slot in slots]


class HealthTracker:
    """The recent health of every model that has been used.

    Args:
        clock: Returns seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._rings: OrderedDict[str, tuple[_Ring, _Ring]] = OrderedDict()
        self._cache: dict[str, tuple[int, Health]] = {}
        """Model to the minute and the health computed in it, until the model is used again."""

    def observe(self, receipt: Receipt) -> None:
        """Record every attempt of one request."""
        now_s = self._clock()
        for attempt in receipt.attempts:
            if attempt.outcome in IGNORED_OUTCOMES:
                continue
            succeeded = attempt.outcome == "ok"
            self._cache.pop(attempt.model, None)
            for ring in self._rings_for(attempt.model):
                interval = ring.current(now_s)
                interval.answered += succeeded
                interval.failed += not succeeded
                # Without a speed, the answer arrived at once and its first token wasn't measured.
                if succeeded and receipt.tokens_per_s is not None:
                    interval.measured += 1
                    interval.first_token_s += attempt.elapsed_ms / 1000
                    interval.tokens_per_s += receipt.tokens_per_s

    def get(self, model: str) -> Health | None:
        """Return the health of a model by its catalog id, None if it hasn't been used."""
        rings = self._rings.get(model)
        if rings is None:
            return None
        minute = int(self._clock() // MINUTE_S)
        if self._cache.get(model, (None,))[0] != minute:
            self._cache[model] = minute, _health(*rings, minute * MINUTE_S)
        return self._cache[model][1]

    def _rings_for(self, model: str) -> tuple[_Ring, _Ring]:
        if model not in self._rings:
            self._rings[model] = _Ring(MINUTE_S, MINUTES), _Ring(HALF_HOUR_S, HALF_HOURS)
            if len(self._rings) > MAX_MODELS:
                dropped, _ = self._rings.popitem(last=False)
                self._cache.pop(dropped, None)
        self._rings.move_to_end(model)
        return self._rings[model]


def _health(minute_ring: _Ring, day_ring: _Ring, now_s: float) -> Health:
    minutes, half_hours = minute_ring.recent(now_s), day_ring.recent(now_s)
    measured = sum(minute.measured for minute in minutes)
    return Health(
        first_token_s=sum(m.first_token_s for m in minutes) / measured if measured else None,
        tokens_per_s=sum(m.tokens_per_s for m in minutes) / measured if measured else None,
        answered=sum(minute.answered for minute in minutes),
        failed=sum(minute.failed for minute in minutes),
        day=tuple(h.tokens_per_s / h.measured if h.measured else None for h in half_hours),
    )
