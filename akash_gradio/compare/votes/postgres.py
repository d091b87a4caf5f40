"""Votes in PostgreSQL, shared by replicas. Needs the extra `postgres` (psycopg 3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final, TypeVar

from akash_gradio.compare.votes.store import Outcome, Vote, VotesUnavailable

if TYPE_CHECKING:
    import psycopg

CONNECT_TIMEOUT_S: Final = 10
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS votes (
  id TEXT PRIMARY KEY, cast_at TIMESTAMPTZ NOT NULL, a TEXT NOT NULL, b TEXT NOT NULL,
  outcome TEXT NOT NULL, blind BOOLEAN NOT NULL, visitor TEXT NOT NULL,
  place BIGINT GENERATED ALWAYS AS IDENTITY
)
"""
_LOCK: Final = "SELECT pg_advisory_xact_lock(4711002)"
"""CREATE TABLE IF NOT EXISTS fails if two replicas execute it at the same time."""
_ResultT = TypeVar("_ResultT")


class PostgresVotes:
    """A VoteStore that connects for each call, in a thread: votes are rare."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._table_exists = False

    def __repr__(self) -> str:
        return "PostgresVotes()"

    async def add(self, vote: Vote) -> None:
        """See VoteStore."""
        await self._in_thread(lambda connection: _add(connection, vote))

    async def all(self) -> tuple[Vote, ...]:
        """See VoteStore."""
        return await self._in_thread(_all)

    async def _in_thread(
        self, operation: Callable[[psycopg.Connection[Any]], _ResultT]
    ) -> _ResultT:
        try:
            import psycopg
        except ImportError as error:
            raise VotesUnavailable("PostgreSQL", "psycopg is not installed") from error

        def run() -> _ResultT:
            with psycopg.connect(self._url, connect_timeout=CONNECT_TIMEOUT_S) as connection:
                if not self._table_exists:
                    connection.execute(_LOCK)
                    connection.execute(_TABLE)
                    connection.commit()
                    self._table_exists = True  # only when other connections can see it
                return operation(connection)

        try:
            return await asyncio.to_thread(run)
        except psycopg.Error as error:
            self._table_exists = False
            # Without the cause: its text names the server and the user.
            raise VotesUnavailable("PostgreSQL", type(error).__name__) from None


def _add(connection: psycopg.Connection[Any], vote: Vote) -> None:
    connection.execute(
        "INSERT INTO votes (id, cast_at, a, b, outcome, blind, visitor)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO NOTHING",
        (vote.id, vote.when, vote.a, vote.b, vote.outcome.value, vote.blind, vote.visitor),
    )


def _all(connection: psycopg.Connection[Any]) -> tuple[Vote, ...]:
    rows = connection.execute(
        "SELECT id, cast_at AT TIME ZONE 'UTC', a, b, outcome, blind, visitor"
        " FROM votes ORDER BY cast_at, place"
    )
    return tuple(
        Vote(
            id=id_,
            when=when.replace(tzinfo=UTC),
            a=a,
            b=b,
            outcome=Outcome(outcome),
            blind=blind,
            visitor=visitor,
        )
        for id_, when, a, b, outcome, blind, visitor in rows
    )
