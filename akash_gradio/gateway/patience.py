"""How long an attempt still waits for its endpoint, with one timer and no task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

Waited = TypeVar("Waited")


class OutOfPatience(Exception):
    """What was waited for did not come in time."""


class Patience:
    """Live count of the seconds that are left; only waiting counts, never what the consumer does.

    `asyncio.timeout` around each read would arm and disarm a timer for each chunk. This one
    is armed once, looks when it fires whether the time was meanwhile prolonged, and strikes
    only the task that waits just then. Use it on a running loop; one wait at a time.
    """

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._left_s = seconds
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._waiting: asyncio.Task[Any] | None = None
        self._struck = False

    def renew(self, seconds: float) -> None:
        """From now on there are so many seconds left."""
        self._left_s = seconds

    def shorten(self, seconds: float) -> None:
        """From now on there are at most so many seconds left."""
        self._left_s = min(self._left_s, seconds)

    async def wait(self, for_what: Awaitable[Waited]) -> Waited:
        """Await it. Raises OutOfPatience when the seconds are over, and cancels it then."""
        self._due = self._loop.time() + self._left_s
        if self._timer is None or self._due < self._timer_at:
            self._arm()
        task = self._waiting = asyncio.current_task()
        assert task is not None
        cancelled_before = task.cancelling()
        try:
            return await for_what
        except asyncio.CancelledError:
            # Ours alone, and nobody else's besides: see asyncio.Timeout.__aexit__.
            if self._struck and task.cancelling() - 1 <= cancelled_before:
                raise OutOfPatience from None
            raise
        finally:
            self._waiting = None
            self._left_s = self._due - self._loop.time()
            if self._struck:
                self._struck = False
                task.uncancel()

    def close(self) -> None:
        """No timer is left."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self.close()
        self._timer_at = self._due
        self._timer = self._loop.call_at(self._due, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._waiting is None:
            return
        if self._loop.time() < self._due:
            self._arm()
        else:
            self._struck = True
            self._waiting.cancel()
