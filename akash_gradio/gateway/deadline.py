"""A timeout for a sequence of waits, with a single timer and without a task."""

from __future__ import annotations

import asyncio
import math
from types import TracebackType
from typing import Any


class DeadlineExceeded(Exception):
    """A wait took too long."""


class Deadline:
    """A limit for the time spent waiting; the time between two waits doesn't count.

    Wait inside `with deadline:`, one wait at a time, on a running loop. When the time is up,
    the wait is cancelled and the block raises DeadlineExceeded. `begin` and `end` do the same
    for less on the hot path (`with` calls them through C).

    `asyncio.timeout` around each read would arm and disarm a timer for each chunk. This timer
    is armed once; when it fires, it checks whether the time has been extended, and
    cancels only the task that is waiting just then.

    Args:
        seconds: The time for the first waits.
        limit_s: Seconds until the end of the last wait, whatever the time between the waits.
    """

    def __init__(self, seconds: float, *, limit_s: float = math.inf) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit = self._loop.time() + limit_s
        self._left_s = seconds
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._waiting: asyncio.Task[Any] | None = None
        self._cancelled_before = 0
        self._expired = False

    @property
    def limit_passed(self) -> bool:
        """Whether `limit_s` is over."""
        return self._loop.time() >= self._limit

    def renew(self, seconds: float) -> None:
        """Set the time left for the next waits."""
        self._left_s = seconds

    def shorten(self, seconds: float) -> None:
        """Lower the time left to at most `seconds`."""
        self._left_s = min(self._left_s, seconds)

    def extend(self, seconds: float) -> None:
        """Set the time left for the wait in progress."""
        self._due = self._loop.time() + seconds

    def begin(self) -> None:
        """Begin a wait of the current task."""
        task = asyncio.current_task(self._loop)
        assert task is not None
        self._due = self._loop.time() + self._left_s
        if self._timer is None or self._due < self._timer_at:
            self._arm()
        self._cancelled_before = task.cancelling()
        self._waiting = task

    def end(self) -> bool:
        """End the wait.

        Returns:
            Whether the deadline cancelled it, and nothing else did too.
        """
        task, self._waiting = self._waiting, None
        self._left_s = self._due - self._loop.time()
        if not self._expired or task is None:
            return False
        self._expired = False
        return task.uncancel() <= self._cancelled_before  # see asyncio.Timeout.__aexit__

    def __enter__(self) -> None:
        self.begin()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.end() and kind is asyncio.CancelledError:
            raise DeadlineExceeded from None

    def close(self) -> None:
        """Cancel the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self.close()
        self._timer_at = min(self._due, self._limit)
        self._timer = self._loop.call_at(self._timer_at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._waiting is None:
            return
        if self._loop.time() < min(self._due, self._limit):
            self._arm()
        else:
            self._expired = True
            self._waiting.cancel()
