"""The file of a run: its plan, and each row as soon as it exists. One SQLite file per run."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

from akash_gradio.compare.plan import Plan, plan_dict, plan_from
from akash_gradio.compare.rows import OK, Row, row_dict, row_from
from akash_gradio.domain.errors import UserError

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS rows (
  number INTEGER PRIMARY KEY, outcome TEXT NOT NULL, row TEXT NOT NULL
) STRICT;
"""


_ERRORS: Final = {
    "missing": ("run_not_found", 404),
    "closed": ("run_elsewhere", 409),
    "too_large": ("run_too_large", 413),
}
"""Reason → code and HTTP status; others have the code `run_not_saved`."""


_DAMAGED: Final = (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError)
"""What reading JSON of another form raises."""


class JournalError(UserError):
    """The file can't be used.

    Attributes:
        path: The file.
        reason: `busy` (another process uses it), `not_a_run`, `missing`, `closed` (and maybe
            removed), `too_large`, or the class name of the database's error.
    """

    def __init__(self, path: Path, reason: str) -> None:
        code, status = _ERRORS.get(reason, ("run_not_saved", 503))
        super().__init__(code, {"file": path.name, "reason": reason}, status)
        self.path, self.reason = path, reason


class Journal:
    """An open run file. Only one process at a time can have it open.

    The methods may be called from any thread. Close it, or use it in a `with` statement.

    Attributes:
        plan: The plan of the run.
        used_at: When it was used last, in monotonic seconds.
    """

    def __init__(
        self, path: Path, database: sqlite3.Connection, max_bytes: int | None = None
    ) -> None:
        self._path, self._database, self._max_bytes = path, database, max_bytes
        self._lock = threading.RLock()
        self.used_at = time.monotonic()
        plan = self.fact("plan")
        with self._using():
            self.plan = plan_from(plan)

    @classmethod
    def create(cls, path: Path, plan: Plan, *, max_bytes: int | None = None, **facts: Any) -> Self:
        """Create a run file.

        Args:
            path: The file, which must not exist. Its folder is created.
            plan: The plan of the run.
            max_bytes: Largest size of the file, None for no limit.
            **facts: More values to store with the run, of JSON's types.

        Raises:
            JournalError: The file can't be created.
        """
        with journal_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        database = _connect(path, "rwc")
        try:
            with journal_errors(path), database:
                database.executescript(_TABLES)
                stored = {"plan": plan_dict(plan), "fingerprint": plan.fingerprint, **facts}
                database.executemany(
                    "INSERT INTO facts VALUES (?, ?)",
                    [(name, json.dumps(value)) for name, value in stored.items()],
                )
            return cls(path, database, max_bytes)
        except BaseException:
            database.close()
            raise

    @classmethod
    def open(cls, path: Path, *, max_bytes: int | None = None) -> Self:
        """Open an existing run file.

        Args:
            path: The file.
            max_bytes: Largest size of the file, None for no limit.

        Raises:
            JournalError: The file is missing, in use, or no run.
        """
        if not path.is_file():
            raise JournalError(path, "missing")
        database = _connect(path, "rw")
        try:
            with journal_errors(path):
                return cls(path, database, max_bytes)
        except BaseException:
            database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, so that other processes can open it."""
        with self._lock:
            self._database.close()

    def fact(self, name: str, default: Any = None) -> Any:
        """Return a value that `create` or `set_facts` stored, else the default.

        Raises:
            JournalError: The file can't be read, or has no plan.
        """
        with self._using():
            query = "SELECT value FROM facts WHERE name = ?"
            stored = self._database.execute(query, (name,)).fetchone()
            if stored is None and name == "plan":
                raise JournalError(self._path, "not_a_run")
            return json.loads(stored[0]) if stored else default

    def set_facts(self, **facts: Any) -> None:
        """Store more values with the run, of JSON's types."""
        values = [(name, json.dumps(value)) for name, value in facts.items()]
        with self._using(), self._database:
            self._database.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", values)

    async def add(self, row: Row) -> None:
        """Write a row. It is on disk when this returns, even if this is cancelled.

        Raises:
            JournalError: It can't be written; `too_large` if the file would exceed its limit.
        """
        writing = asyncio.ensure_future(asyncio.to_thread(self._add, row))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await writing
            raise

    def _add(self, row: Row) -> None:
        text = json.dumps(row_dict(row))
        with self._using(), self._database:
            if self._max_bytes is not None and self._size_bytes() + len(text) > self._max_bytes:
                raise JournalError(self._path, "too_large")
            self._database.execute(
                "INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", (row.number, row.outcome, text)
            )

    def _size_bytes(self) -> int:
        pages: int = self._database.execute("PRAGMA page_count").fetchone()[0]
        page_bytes: int = self._database.execute("PRAGMA page_size").fetchone()[0]
        return pages * page_bytes

    def delete_failed(self) -> int:
        """Delete the rows without a complete answer, so that they are tried again.

        Returns:
            The number of deleted rows.
        """
        with self._using(), self._database:
            return self._database.execute("DELETE FROM rows WHERE outcome != ?", (OK,)).rowcount

    def outcomes(self) -> Mapping[int, str]:
        """Return task number → outcome for every task with a row."""
        with self._using():
            return dict(self._database.execute("SELECT number, outcome FROM rows"))

    def row(self, number: int) -> Row | None:
        """Return the row of a task, None if it has none yet."""
        with self._using():
            query = "SELECT row FROM rows WHERE number = ?"
            stored = self._database.execute(query, (number,)).fetchone()
            return row_from(json.loads(stored[0])) if stored else None

    def rows(self) -> Iterator[Row]:
        """Yield every row in the order of task numbers, with one in memory at a time."""
        for number in sorted(self.outcomes()):
            if (row := self.row(number)) is not None:
                yield row

    @contextmanager
    def _using(self) -> Iterator[None]:
        with self._lock, journal_errors(self._path):
            yield
            self.used_at = time.monotonic()


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    with journal_errors(path):
        database = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=0, check_same_thread=False
        )
    try:
        with journal_errors(path):
            # Exclusive: no second process runs the same plan, and WAL then works on a network
            # drive too. Source: sqlite.org/wal.html, "Use of WAL Without Shared-Memory".
            database.execute("PRAGMA locking_mode=EXCLUSIVE")
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
            database.execute("BEGIN IMMEDIATE").connection.commit()
    except BaseException:
        database.close()
        raise
    return database


@contextmanager
def journal_errors(path: Path) -> Iterator[None]:
    """Convert errors of the database and of the file system to JournalError."""
    try:
        yield
    except _DAMAGED as error:
        raise JournalError(path, "not_a_run") from error
    except (sqlite3.Error, OSError) as error:
        message = str(error)
        reason = type(error).__name__
        if "locked" in message:
            reason = "busy"
        elif "closed database" in message:
            reason = "closed"
        elif "not a database" in message or "no such table" in message:
            reason = "not_a_run"
        raise JournalError(path, reason) from error
