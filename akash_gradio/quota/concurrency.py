"""Limits how many answers are given at once; further requests wait in a fair queue."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from typing import Final

from akash_gradio.domain.errors import LimitReached
from akash_gradio.domain.visitor import Visitor
from akash_gradio.quota.limiter import NETWORK_FACTOR

QUEUE_RETRY_S: Final = 10.0
"""Retry-After when the queue is full, in seconds."""


class _Waiter:
    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.changed = asyncio.Event()
        self.position = 0
        self.admitted = self.refused = False


class ConcurrencyLimiter:
    """Slots for answers.

    The next slot goes to the visitor with the fewest answers in progress, and the requests of one
    visitor keep their order. So a visitor with many requests delays another's by one of them at
    most. A network counts as ten visitors.

    Attributes:
        running: Number of slots in use.
    """

    def __init__(self, max_running: int | None, max_waiting: int) -> None:
        """Initialize the limiter with all slots free.

        Args:
            max_running: Number of slots, None for no limit.
            max_waiting: Longest queue.
        """
        self._max_running, self._max_waiting = max_running, max_waiting
        self.running = 0
        self._slots: Counter[str] = Counter()
        self._queue: list[_Waiter] = []

    async def acquire(self, visitor: Visitor) -> AsyncGenerator[int, None]:
        """Wait for a slot; yield the position in the queue whenever it changes.

        Call `release` if the generator has ended, but not if it was closed before.

        Raises:
            LimitReached: The queue is full, and no other visitor has more requests in it.
        """
        if self._max_running is None or self.running < self._max_running:
            self._occupy(visitor)
            return
        waiter, acquired = _Waiter(visitor), False
        self._queue.append(waiter)
        self._update()
        try:
            while not waiter.admitted:
                if waiter.refused:
                    raise LimitReached("queue", retry_after_s=QUEUE_RETRY_S)
                waiter.changed.clear()
                yield waiter.position
                await waiter.changed.wait()
            acquired = True
        finally:
            if not acquired:
                self._abandon(waiter)

    def release(self, visitor: Visitor) -> None:
        """Free a slot, and give it to the next request."""
        self.running -= 1
        self._slots.subtract(_subjects(visitor))
        self._slots += Counter()  # removes those at 0
        if self._queue:
            first = self._queue.pop(0)
            first.admitted = True
            first.changed.set()
            self._occupy(first.visitor)
        self._update()

    def _occupy(self, visitor: Visitor) -> None:
        self.running += 1
        self._slots.update(_subjects(visitor))

    def _abandon(self, waiter: _Waiter) -> None:
        if waiter.admitted:
            self.release(waiter.visitor)
        elif not waiter.refused:
            self._queue.remove(waiter)
            self._update()

    def _update(self) -> None:
        """Sort the queue, refuse what is beyond its end, and report changed positions."""
        counts = self._slots.copy()
        ranks: dict[_Waiter, float] = {}
        for waiter in self._queue:
            ranks[waiter] = _rank(waiter.visitor, counts)
            counts.update(_subjects(waiter.visitor))
        # Stable, so that requests of equal rank keep the order of their arrival.
        self._queue.sort(key=ranks.__getitem__)
        for waiter in self._queue[self._max_waiting :]:
            waiter.refused = True
            waiter.changed.set()
        del self._queue[self._max_waiting :]
        for position, waiter in enumerate(self._queue, start=1):
            if waiter.position != position:
                waiter.position = position
                waiter.changed.set()


def _rank(visitor: Visitor, counts: Counter[str]) -> float:
    """Return how many requests of the visitor precede a new one."""
    return max(counts[visitor.id], counts[visitor.network] / NETWORK_FACTOR)


def _subjects(visitor: Visitor) -> tuple[str, ...]:
    return (visitor.id, visitor.network) if visitor.network else (visitor.id,)
