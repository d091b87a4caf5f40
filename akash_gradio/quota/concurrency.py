"""So many answers at once; the others wait in line and are told their place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from akash_gradio.domain.errors import LimitReached

QUEUE_RETRY_S: Final = 10.0
"""When the line itself is full."""


class _Place:
    def __init__(self) -> None:
        self.moved = asyncio.Event()
        self.admitted = False


class ConcurrencyLimiter:
    """Live. at_once: None for as many as come. longest: how many may wait."""

    def __init__(self, at_once: int | None, longest: int) -> None:
        self._at_once, self._longest = at_once, longest
        self.inside = 0
        self._line: list[_Place] = []

    async def enter(self) -> AsyncGenerator[int, None]:
        """Wait for one's turn; yields one's place whenever it changes, and ends when inside.

        Who has come to its end must `leave`; who was cut off before needn't.
        Raises LimitReached when too many wait.
        """
        if self._at_once is None or self.inside < self._at_once:
            self.inside += 1
            return
        if len(self._line) >= self._longest:
            raise LimitReached("queue", retry_after_s=QUEUE_RETRY_S)
        place, through = _Place(), False
        self._line.append(place)
        try:
            while not place.admitted:
                place.moved.clear()
                yield self._line.index(place) + 1
                await place.moved.wait()
            through = True
        finally:
            if not through:
                self._gives_up(place)

    def leave(self) -> None:
        """One is through; the first in line comes in."""
        self.inside -= 1
        if self._line:
            first = self._line.pop(0)
            first.admitted = True
            first.moved.set()
            self.inside += 1
        self._tell_all()

    def _gives_up(self, place: _Place) -> None:
        if place.admitted:
            self.leave()
        else:
            self._line.remove(place)
            self._tell_all()

    def _tell_all(self) -> None:
        for place in self._line:
            place.moved.set()
