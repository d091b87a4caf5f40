"""Remembers how the models fare, from the receipts of real answers, in a fixed memory."""

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
MOST_MODELS: Final = 1000
"""Kept at once; beyond that the one that was asked longest ago is forgotten."""
UNHEARD: Final = frozenset({"cancelled", "RequestRefused", "ContextExceeded"})
"""Outcomes that say nothing of the endpoint."""


@dataclass(slots=True)
class _Tally:
    """What happened in one stretch of time. number: of the stretch, since the epoch."""

    number: int = -1
    answered: int = 0
    failed: int = 0
    first_s: float = 0.0
    rate: float = 0.0
    measured: int = 0


class _Ring:
    """The last so many stretches of so many seconds."""

    def __init__(self, stretch_s: float, count: int) -> None:
        self._stretch_s = stretch_s
        self._tallies = [_Tally() for _ in range(count)]

    def now(self, now_s: float) -> _Tally:
        """The stretch of this moment, emptied of what was there a round ago."""
        number = int(now_s // self._stretch_s)
        place = number % len(self._tallies)
        if self._tallies[place].number != number:
            self._tallies[place] = _Tally(number=number)
        return self._tallies[place]

    def last(self, now_s: float) -> list[_Tally]:
        """Every stretch up to this moment, oldest first; empty where nothing happened."""
        count, newest = len(self._tallies), int(now_s // self._stretch_s)
        found = (self._tallies[number % count] for number in range(newest - count + 1, newest + 1))
        return [t if newest - count < t.number <= newest else _Tally() for t in found]


class HealthTracker:
    """Live: two rings for each model that was asked. clock: seconds of the epoch."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._rings: OrderedDict[str, tuple[_Ring, _Ring]] = OrderedDict()
        self._told: dict[str, tuple[int, Health]] = {}
        """Model → the minute and what was said of it then, until it is asked again."""

    def observe(self, receipt: Receipt) -> None:
        """Note one answer, with every attempt at it."""
        now_s = self._clock()
        for attempt in receipt.attempts:
            if attempt.outcome in UNHEARD:
                continue
            whole = attempt.outcome == "ok"
            self._told.pop(attempt.model, None)
            for ring in self._of(attempt.model):
                tally = ring.now(now_s)
                tally.answered += whole
                tally.failed += not whole
                # Without a speed it came in one piece, whose first token says nothing.
                if whole and receipt.tokens_per_s is not None:
                    tally.measured += 1
                    tally.first_s += attempt.elapsed_ms / 1000
                    tally.rate += receipt.tokens_per_s

    def of(self, model: str) -> Health | None:
        """How the model of this catalog id fared; None when nobody asked it in a day."""
        rings = self._rings.get(model)
        if rings is None:
            return None
        minute = int(self._clock() // MINUTE_S)
        if self._told.get(model, (None,))[0] != minute:
            self._told[model] = minute, _health(*rings, minute * MINUTE_S)
        return self._told[model][1]

    def _of(self, model: str) -> tuple[_Ring, _Ring]:
        if model not in self._rings:
            self._rings[model] = _Ring(MINUTE_S, MINUTES), _Ring(HALF_HOUR_S, HALF_HOURS)
            if len(self._rings) > MOST_MODELS:
                forgotten, _ = self._rings.popitem(last=False)
                self._told.pop(forgotten, None)
        self._rings.move_to_end(model)
        return self._rings[model]


def _health(of_minutes: _Ring, of_day: _Ring, now_s: float) -> Health:
    minutes, day = of_minutes.last(now_s), of_day.last(now_s)
    measured = sum(tally.measured for tally in minutes)
    return Health(
        first_token_s=sum(t.first_s for t in minutes) / measured if measured else None,
        tokens_per_s=sum(t.rate for t in minutes) / measured if measured else None,
        answered=sum(tally.answered for tally in minutes),
        failed=sum(tally.failed for tally in minutes),
        day=tuple(t.rate / t.measured if t.measured else None for t in day),
    )
