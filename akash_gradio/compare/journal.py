"""A run on disk: its plan, and each row as soon as there is one. One SQLite file a run."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

from akash_gradio.compare.plan import Plan, plan_dict, plan_from
from akash_gradio.compare.rows import OK, Row, row_dict, row_from

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS rows (
  number INTEGER PRIMARY KEY, outcome TEXT NOT NULL, row TEXT NOT NULL
) STRICT;
"""


class JournalError(Exception):
    """The file is no use. reason: `busy` (another run is at work on it), `not_ours`,
    `missing`, `closed` (and maybe removed), or the class of the database's error."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path.name}: {reason}")
        self.path, self.reason = path, reason


class Journal:
    """Live; one process at a time has it open. Close it, or use it with `with`.

    The methods may be called from any thread.
    """

    def __init__(self, path: Path, base: sqlite3.Connection) -> None:
        self._path, self._base = path, base
        self._lock = threading.RLock()
        self.plan = plan_from(self.fact("plan"))

    @classmethod
    def create(cls, path: Path, plan: Plan, **facts: Any) -> Self:
        """A new one. facts: whatever else is to be known of the run, in JSON's types."""
        path.parent.mkdir(parents=True, exist_ok=True)
        base = _connect(path, "rwc")
        with _told(path), base:
            base.executescript(_TABLES)
            told = {"plan": plan_dict(plan), "fingerprint": plan.fingerprint, **facts}
            base.executemany(
                "INSERT INTO facts VALUES (?, ?)",
                [(name, json.dumps(value)) for name, value in told.items()],
            )
        return cls(path, base)

    @classmethod
    def open(cls, path: Path) -> Self:
        """One that is there. Raises JournalError."""
        if not path.is_file():
            raise JournalError(path, "missing")
        base = _connect(path, "rw")
        try:
            with _told(path):
                return cls(path, base)
        except BaseException:
            base.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let others have the file."""
        with self._lock:
            self._base.close()

    def fact(self, name: str, default: Any = None) -> Any:
        """What was said of the run when it was made, or since."""
        with self._lock, _told(self._path):
            found = self._base.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        if found is None and name == "plan":
            raise JournalError(self._path, "not_ours")
        return json.loads(found[0]) if found else default

    def note(self, **facts: Any) -> None:
        """Say more of the run."""
        written = [(name, json.dumps(value)) for name, value in facts.items()]
        with self._lock, _told(self._path), self._base:
            self._base.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", written)

    async def add(self, row: Row) -> None:
        """Keep a row; it is on disk when this returns, and when it is cancelled."""
        writing = asyncio.ensure_future(asyncio.to_thread(self._add, row))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await writing
            raise

    def _add(self, row: Row) -> None:
        written = json.dumps(row_dict(row))
        with self._lock, _told(self._path), self._base:
            self._base.execute(
                "INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", (row.number, row.outcome, written)
            )

    def forget_failed(self) -> int:
        """Take away the rows without a whole answer, so that they are asked again; how many."""
        with self._lock, _told(self._path), self._base:
            return self._base.execute("DELETE FROM rows WHERE outcome != ?", (OK,)).rowcount

    def outcomes(self) -> Mapping[int, str]:
        """Number → outcome of every task that has its row."""
        with self._lock, _told(self._path):
            return dict(self._base.execute("SELECT number, outcome FROM rows"))

    def row(self, number: int) -> Row | None:
        """The row of a task, None while there is none."""
        with self._lock, _told(self._path):
            query = "SELECT row FROM rows WHERE number = ?"
            found = self._base.execute(query, (number,)).fetchone()
        return row_from(json.loads(found[0])) if found else None

    def rows(self) -> Iterator[Row]:
        """Every row in the order of the plan's numbers, one in memory at a time."""
        for number in sorted(self.outcomes()):
            if (row := self.row(number)) is not None:
                yield row


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    with _told(path):
        base = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=0, check_same_thread=False
        )
    try:
        with _told(path):
            # Exclusive: no second process asks the same again, and WAL then works on a network
            # drive too. Source: sqlite.org/wal.html, "Use of WAL Without Shared-Memory".
            base.execute("PRAGMA locking_mode=EXCLUSIVE")
            base.execute("PRAGMA journal_mode=WAL")
            base.execute("PRAGMA synchronous=NORMAL")
            base.execute("BEGIN IMMEDIATE").connection.commit()
    except BaseException:
        base.close()
        raise
    return base


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turns the database's errors into JournalError."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        said = str(error)
        reason = type(error).__name__
        if "locked" in said:
            reason = "busy"
        elif "closed database" in said:
            reason = "closed"
        elif "not a database" in said or "no such table" in said:
            reason = "not_ours"
        raise JournalError(path, reason) from error
