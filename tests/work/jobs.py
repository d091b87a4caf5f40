"""Functions that the tests run in workers."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from typing import Any

from akash_gradio.domain.errors import LimitReached, UserError

Endless = Callable[[], None]


def process_id() -> int:
    return os.getpid()


def cpu_s() -> float:
    """Return the CPU time that this worker has used."""
    return time.process_time()


def echo(value: Any) -> Any:
    return value


def repeat(text: str, *, times: int) -> str:
    return text * times


def refuse(detail: str) -> None:
    raise UserError("invalid_request", {"detail": detail})


def reach_limit() -> None:
    raise LimitReached("work", retry_after_s=7)


def fail(text: str) -> None:
    raise ValueError(text)


def crash() -> None:
    os._exit(3)


def loop() -> None:
    """Run endlessly, and catch every `Exception`."""
    while True:
        try:
            sum(range(1000))
        except Exception:
            continue


def match_slowly() -> None:
    """Run endlessly in one call of the regular expression engine."""
    re.match(r"(a+)+$", "a" * 60 + "b")


_kept: list[bytes] = []


def fill_memory(size: int, *, keep: bool = False) -> int:
    filled = b"x" * size
    if keep:
        _kept.append(filled)
    return len(filled)


def burn(_text: str, seconds: float) -> None:
    """Use CPU time."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        sum(range(1000))
