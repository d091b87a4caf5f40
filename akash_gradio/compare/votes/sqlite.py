"""Votes in one file of DATA_DIR. Several processes of one machine may share it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

from akash_gradio.compare.votes.store import Outcome, Vote, VotesUnavailable

BUSY_TIMEOUT_S: Final = 10.0
"""How long a write waits for another process's."""
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS votes (
  id TEXT PRIMARY KEY, cast_at TEXT NOT NULL, a TEXT NOT NULL, b TEXT NOT NULL,
  outcome TEXT NOT NULL, blind INTEGER NOT NULL, visitor TEXT NOT NULL
) STRICT
"""
_Result = TypeVar("_Result")


class SqliteVotes:
    """A `VoteStore`; each call opens the file, in a thread, so that none is held while idle."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = asyncio.Lock()  # SQLite waits for no one while it takes up or ends its log

    async def add(self, vote: Vote) -> None:
        """See VoteStore."""
        await self._in_thread(lambda base: _add(base, vote))

    async def all(self) -> tuple[Vote, ...]:
        """See VoteStore."""
        return await self._in_thread(_all)

    async def _in_thread(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        def run() -> _Result:
            with _opened(self._path) as base:
                return work(base)

        try:
            async with self._turn:
                return await asyncio.to_thread(run)
        except (sqlite3.Error, OSError) as error:
            raise VotesUnavailable("SQLite", type(error).__name__) from error


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    path.parent.mkdir(parents=True, exist_ok=True)
    base = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)
    try:
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("PRAGMA synchronous=NORMAL")
        base.execute(_TABLE)
        with base:
            yield base
    finally:
        base.close()


def _add(base: sqlite3.Connection, vote: Vote) -> None:
    when = vote.when.astimezone(UTC).isoformat(timespec="microseconds")
    row = (vote.id, when, vote.a, vote.b, vote.outcome, vote.blind, vote.visitor)
    base.execute("INSERT OR IGNORE INTO votes VALUES (?, ?, ?, ?, ?, ?, ?)", row)


def _all(base: sqlite3.Connection) -> tuple[Vote, ...]:
    return tuple(
        Vote(
            id=id_,
            when=datetime.fromisoformat(when),
            a=a,
            b=b,
            outcome=Outcome(outcome),
            blind=bool(blind),
            visitor=visitor,
        )
        for id_, when, a, b, outcome, blind, visitor in base.execute(
            "SELECT * FROM votes ORDER BY cast_at, rowid"
        )
    )
