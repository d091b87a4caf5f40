"""Graceful shutdown: running requests may finish, new ones are refused."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

SHUTDOWN_GRACE_S: Final = 20.0
"""Time that running requests have, in seconds. Docker and Akash kill the process later."""
POLL_S: Final = 0.05


class RunningRequests:
    """Counts the requests in progress.

    Attributes:
        count: Number of requests in progress.
        closing: Whether the server is shutting down, so that no new request may start.
    """

    def __init__(self) -> None:
        self.count = 0
        self.closing = False

    @contextmanager
    def track(self) -> Iterator[None]:
        """Count one request until the context ends."""
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1


def wait_for_requests(
    running: RunningRequests,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
    grace_s: float = SHUTDOWN_GRACE_S,
) -> bool:
    """Refuse new requests, and block this thread until the running ones have finished.

    Returns:
        Whether all of them finished within `grace_s` seconds.
    """
    running.closing = True
    end = clock() + grace_s
    while running.count and clock() < end:
        sleep(POLL_S)
    return not running.count
