"""Slots for CPU work. The visitor who has used the least time gets the next free one."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from akash_gradio.domain.errors import LimitReached
from akash_gradio.domain.size_limits import (
    WAITING_BYTES,
    WAITING_BYTES_OF_VISITOR,
    WAITING_JOBS,
)
from akash_gradio.domain.visitor import Visitor

HALF_LIFE_S: Final = 20.0
"""Used time counts half as much after this time."""
SHARE_S: Final = 15.0
"""Time that a visitor may have used before further jobs wait: 15 s in a burst, and in the long run
about half of one slot."""
NETWORK_FACTOR: Final = 10
"""How many shares all visitors of one network have together: a new cookie makes a new visitor,
but not a new network."""
MAX_WAIT_S: Final = 60.0
"""A job that waits longer is refused: proxies and browsers give up at about this time."""
_PRUNE_ABOVE: Final = 10_000
_NEGLIGIBLE_S: Final = 0.001


class UsedTime:
    """The time that each visitor and network has used, with exponential decay."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._used: dict[str, tuple[float, float]] = {}

    def add(self, subject: str, seconds: float) -> None:
        """Add used time of a subject."""
        self._used[subject] = (self.get(subject) + seconds, self._clock())
        if len(self._used) > _PRUNE_ABOVE:
            self._used = {
                name: self._used[name] for name in self._used if self.get(name) > _NEGLIGIBLE_S
            }

    def get(self, subject: str) -> float:
        """Return the used time of a subject in seconds, as far as it still counts."""
        seconds, at = self._used.get(subject, (0.0, 0.0))
        return seconds * 0.5 ** ((self._clock() - at) / HALF_LIFE_S) if seconds else 0.0


@dataclass(slots=True, eq=False)
class _Ticket:
    visitor: Visitor
    number: int
    size_bytes: int
    granted: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class FairQueue:
    """A limited number of slots. Use it on one event loop only.

    One visitor never holds all slots, so that another one waits for none of this visitor's jobs.
    """

    def __init__(
        self,
        slots: int,
        *,
        share_s: float = SHARE_S,
        max_wait_s: float = MAX_WAIT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create the queue with all slots free.

        Args:
            slots: Number of slots.
            share_s: See `SHARE_S`.
            max_wait_s: See `MAX_WAIT_S`.
            clock: Monotonic seconds.
        """
        self._free, self._slots_of_one = slots, max(1, slots - 1)
        self._share_s, self._max_wait_s, self._clock = share_s, max_wait_s, clock
        self._used = UsedTime(clock)
        self._running: Counter[str] = Counter()
        self._queues: dict[str, deque[_Ticket]] = {}
        self._count = 0
        self._waiting_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def slot(self, visitor: Visitor, size_bytes: int = 0) -> AsyncIterator[None]:
        """Hold a slot, and charge its time to the visitor.

        Args:
            visitor: Whose job it is.
            size_bytes: What the job keeps in memory while it waits.

        Raises:
            LimitReached: Too many jobs of the visitor wait, or this one waited too long.
        """
        await self._acquire(visitor, size_bytes)
        began = self._clock()
        try:
            yield
        finally:
            seconds = self._clock() - began
            self._used.add(visitor.id, seconds)
            if visitor.network:
                self._used.add(visitor.network, seconds)
            self._release(visitor)

    def used_s(self, visitor: Visitor) -> float:
        """Return the time that a visitor has used, or a tenth of the network's if that is more."""
        of_network = self._used.get(visitor.network) / NETWORK_FACTOR if visitor.network else 0.0
        return max(self._used.get(visitor.id), of_network)

    async def _acquire(self, visitor: Visitor, size_bytes: int) -> None:
        if self._is_full(visitor, size_bytes):
            raise LimitReached("work", retry_after_s=self._wait_s(visitor))
        self._count += 1
        ticket = _Ticket(visitor, self._count, size_bytes)
        self._queues.setdefault(visitor.id, deque()).append(ticket)
        self._waiting_bytes += size_bytes
        self._dispatch()
        try:
            async with asyncio.timeout(self._max_wait_s):
                await ticket.granted
        except BaseException as error:
            if ticket.granted.done() and not ticket.granted.cancelled():
                self._release(visitor)
            elif ticket in self._queues.get(visitor.id, ()):
                self._remove(ticket)
            if isinstance(error, TimeoutError):
                raise LimitReached("work", retry_after_s=self._wait_s(visitor)) from None
            raise

    def _release(self, visitor: Visitor) -> None:
        self._free += 1
        self._running[visitor.id] -= 1
        if self._running[visitor.id] <= 0:
            del self._running[visitor.id]
        self._dispatch()

    def _is_full(self, visitor: Visitor, size_bytes: int) -> bool:
        """Return whether another job can't wait; one job of a visitor always can."""
        queue = self._queues.get(visitor.id, ())
        if not queue:
            return False
        of_visitor = size_bytes + sum(ticket.size_bytes for ticket in queue)
        return (
            len(queue) >= WAITING_JOBS
            or of_visitor > WAITING_BYTES_OF_VISITOR
            or self._waiting_bytes + size_bytes > WAITING_BYTES
        )

    def _remove(self, ticket: _Ticket) -> None:
        self._waiting_bytes -= ticket.size_bytes
        queue = self._queues[ticket.visitor.id]
        queue.remove(ticket)
        if not queue:
            del self._queues[ticket.visitor.id]

    def _dispatch(self) -> None:
        while self._free > 0 and (ticket := self._next()) is not None:
            self._remove(ticket)
            if ticket.granted.cancelled():
                continue
            self._free -= 1
            self._running[ticket.visitor.id] += 1
            ticket.granted.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._free > 0 and self._queues:  # all who wait are above their share
            self._timer = asyncio.get_running_loop().call_later(1.0, self._dispatch)

    def _next(self) -> _Ticket | None:
        """Return the first ticket of the visitor who has used the least time."""
        best: _Ticket | None = None
        best_used = self._share_s
        for subject, queue in self._queues.items():
            used = self.used_s(queue[0].visitor)
            if self._running[subject] >= self._slots_of_one or used >= self._share_s:
                continue
            if best is None or (used, queue[0].number) < (best_used, best.number):
                best, best_used = queue[0], used
        return best

    def _wait_s(self, visitor: Visitor) -> float:
        """Return when the visitor is below its share again, at least some seconds."""
        excess = self.used_s(visitor) / self._share_s
        return max(5.0, HALF_LIFE_S * math.log2(excess)) if excess > 0 else 5.0
