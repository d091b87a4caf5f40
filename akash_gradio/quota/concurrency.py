"""Limits how many answers are given at once; further requests wait in a queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from akash_gradio.domain.errors import LimitReached

QUEUE_RETRY_S: Final = 10.0
"""Retry-After when the queue is full, in seconds."""


class _Waiter:
    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.admitted = False


class ConcurrencyLimiter:
    """Slots for answers, given in the order of the requests.

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
        self._queue: list[_Waiter] = []

    async def acquire(self) -> AsyncGenerator[int, None]:
        """Wait for a slot; yield the position in the queue whenever it changes.

        Call `release` if the generator has ended, but not if it was closed before.

        Raises:
            LimitReached: The queue is full.
        """
        if self._max_running is None or self.running < self._max_running:
            self.running += 1
            return
        if len(self._queue) >= self._max_waiting:
            raise LimitReached("queue", retry_after_s=QUEUE_RETRY_S)
        waiter, acquired = _Waiter(), False
        self._queue.append(waiter)
        try:
            while not waiter.admitted:
                waiter.changed.clear()
                yield self._queue.index(waiter) + 1
                await waiter.changed.wait()
            acquired = True
        finally:
            if not acquired:
                self._abandon(waiter)

    def release(self) -> None:
        """Free a slot, and give it to the first in the queue."""
        self.running -= 1
        if self._queue:
            first = self._queue.pop(0)
            first.admitted = True
            first.changed.set()
            self.running += 1
        self._notify_queue()

    def _abandon(self, waiter: _Waiter) -> None:
        if waiter.admitted:
            self.release()
        else:
            self._queue.remove(waiter)
            self._notify_queue()

    def _notify_queue(self) -> None:
        for waiter in self._queue:
            waiter.changed.set()
