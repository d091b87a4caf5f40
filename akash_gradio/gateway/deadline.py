"""How long an attempt still waits for its endpoint, with one timer and no task of its own."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any


class DeadlineExceeded(Exception):
    """What was waited for did not come in time."""


class Deadline:
    """Live count of the seconds that are left; only waiting counts, never what the consumer does.

    Wait inside `with patience:`, one wait at a time, on a running loop: DeadlineExceeded comes
    out of it when the seconds are over, and what was waited for is cancelled. Where each token
    comes by, `begin` and `end` say the same for less (`with` calls them through C).

    `asyncio.timeout` around each read would arm and disarm a timer for each chunk. This one
    is armed once, looks when it fires whether the time was meanwhile prolonged, and strikes
    only the task that waits just then.
    """

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._left_s = seconds
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._waiting: asyncio.Task[Any] | None = None
        self._cancelled_before = 0
        self._struck = False

    def renew(self, seconds: float) -> None:
        """From now on there are so many seconds left."""
        self._left_s = seconds

    def shorten(self, seconds: float) -> None:
        """From now on there are at most so many seconds left."""
        self._left_s = min(self._left_s, seconds)

    def go_on(self, seconds: float) -> None:
        """What was waited for came, and the wait goes on for so many seconds."""
        self._due = self._loop.time() + seconds

    def begin(self) -> None:
        """The wait begins."""
        task = asyncio.current_task(self._loop)
        assert task is not None
        self._due = self._loop.time() + self._left_s
        if self._timer is None or self._due < self._timer_at:
            self._arm()
        self._cancelled_before = task.cancelling()
        self._waiting = task

    def end(self) -> bool:
        """The wait is over. Returns whether it was cancelled here, and by nobody else besides."""
        task, self._waiting = self._waiting, None
        self._left_s = self._due - self._loop.time()
        if not self._struck or task is None:
            return False
        self._struck = False
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
