"""Votes in one file of DATA_DIR. Several processes on one machine may share it."""

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
"""How long a write waits for another process."""
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS votes (
  id TEXT PRIMARY KEY, cast_at TEXT NOT NULL, a TEXT NOT NULL, b TEXT NOT NULL,
  outcome TEXT NOT NULL, blind INTEGER NOT NULL, visitor TEXT NOT NULL
) STRICT
"""
_ResultT = TypeVar("_ResultT")


class SqliteVotes:
    """A VoteStore that opens its file for each call, in a thread, so that no file stays open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # SQLite's busy timeout doesn't cover the creation and removal of the WAL file.
        self._lock = asyncio.Lock()

    async def add(self, vote: Vote) -> None:
        """See VoteStore."""
        await self._in_thread(lambda connection: _add(connection, vote))

    async def all(self) -> tuple[Vote, ...]:
        """See VoteStore."""
        return await self._in_thread(_all)

    async def _in_thread(self, operation: Callable[[sqlite3.Connection], _ResultT]) -> _ResultT:
        def run() -> _ResultT:
            with _connect(self._path) as connection:
                return operation(connection)

        try:
            async with self._lock:
                return await asyncio.to_thread(run)
        except (sqlite3.Error, OSError) as error:
            raise VotesUnavailable("SQLite", type(error).__name__) from error


@contextmanager
def _connect(path: Path) -> Iterator[sqlite3.Connection]:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(_TABLE)
        with connection:
            yield connection
    finally:
        connection.close()


def _add(connection: sqlite3.Connection, vote: Vote) -> None:
    when = vote.when.astimezone(UTC).isoformat(timespec="microseconds")
    row = (vote.id, when, vote.a, vote.b, vote.outcome, vote.blind, vote.visitor)
    connection.execute("INSERT OR IGNORE INTO votes VALUES (?, ?, ?, ?, ?, ?, ?)", row)


def _all(connection: sqlite3.Connection) -> tuple[Vote, ...]:
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
        for id_, when, a, b, outcome, blind, visitor in connection.execute(
            "SELECT * FROM votes ORDER BY cast_at, rowid"
        )
    )
