"""A server that is told to end lets running answers come to theirs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

SHUTDOWN_GRACE_S: Final = 20.0
"""Seconds that running answers have. Docker and Akash kill what still runs later."""
LOOK_S: Final = 0.05


class Running:
    """Live: how many answers are being given, and whether new ones may begin."""

    def __init__(self) -> None:
        self.answers = 0
        self.closing = False

    @contextmanager
    def answer(self) -> Iterator[None]:
        """One more, until it is left."""
        self.answers += 1
        try:
            yield
        finally:
            self.answers -= 1


class Server(Protocol):
    """What of `uvicorn.Server` is needed."""

    should_exit: bool


def finish(
    running: Running,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
    last_words_s: float = SHUTDOWN_GRACE_S,
) -> bool:
    """Wait in this thread until nothing runs any more; new answers are refused meanwhile.

    Returns False when some had to be cut after `last_words_s` seconds.
    """
    running.closing = True
    end = clock() + last_words_s
    while running.answers and clock() < end:
        sleep(LOOK_S)
    return not running.answers
