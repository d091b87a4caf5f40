"""The sessions that visitors ended before they expired."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from akash_gradio.domain.errors import LimitReached
from akash_gradio.quota.limiter import RateLimit, RateLimiter

logger = logging.getLogger(__name__)

MAX_REMEMBERED: Final = 100_000
"""Most ended sessions in memory (10 MB); the first ones are forgotten."""


class SignedOut:
    """Remembers ended sessions until they would have expired anyway.

    They are shared with other replicas through Redis, and kept in a file where sessions survive a
    restart, which processes with the same folder share.
    """

    def __init__(
        self,
        limiter: RateLimiter,
        lifetime_s: float,
        file: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Initialize the list; nothing is read yet.

        Args:
            limiter: Counts the end of each session, for all replicas.
            lifetime_s: Longest time that a session is valid, in seconds.
            file: Where ended sessions are kept, None to forget them with the process.
            clock: Unix time in seconds.
        """
        self._limiter, self._file, self._clock = limiter, file, clock
        self._lifetime_s = lifetime_s
        self._limit = RateLimit("signed-out", limit=1, window_s=lifetime_s)
        self._ended: dict[str, float] = {}
        self._read_bytes = 0

    async def add(self, session_id: str) -> None:
        """End a session."""
        self._read_file()
        if session_id in self._ended:
            return
        until = self._clock() + self._lifetime_s
        self._remember(session_id, until)
        with suppress(LimitReached):  # another replica ended it before
            await self._limiter.admit(self._limit, session_id)
        if self._file is not None:
            try:
                self._append(self._file, f"{session_id} {until:.0f}\n")
            except OSError as error:
                logger.warning("sign_out.not_saved", extra={"outcome": type(error).__name__})

    async def contains(self, session_id: str) -> bool:
        """Return whether a session was ended."""
        self._read_file()
        if session_id in self._ended:
            return True
        return await self._limiter.wait_s(self._limit, session_id) > 0

    def _remember(self, session_id: str, until: float) -> None:
        self._ended[session_id] = until
        if len(self._ended) > MAX_REMEMBERED:
            del self._ended[next(iter(self._ended))]

    def _append(self, file: Path, line: str) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        with os.fdopen(os.open(file, flags, 0o600), "w", encoding="ascii") as lines:
            lines.write(line)

    def _read_file(self) -> None:
        """Read what this process or another one appended since the last time."""
        if self._file is None:
            return
        with suppress(OSError):
            size = self._file.stat().st_size
            if size == self._read_bytes:
                return
            with self._file.open("rb") as lines:
                lines.seek(self._read_bytes if size > self._read_bytes else 0)
                text = lines.read()
                self._read_bytes = lines.tell()
            for line in text.decode("ascii", "replace").splitlines():
                session_id, _, until = line.partition(" ")
                if until.isdigit() and int(until) > self._clock():
                    self._remember(session_id, float(until))
