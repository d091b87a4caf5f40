from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from akash_gradio.compare.votes.store import (
    MOST_VOTES,
    Outcome,
    Vote,
    VoteStore,
    VotesUnavailable,
    open_vote_store,
    parse_votes,
)
from akash_gradio.config.settings import Settings, read_settings
from tests.compare.conftest import PLANTED, free_port

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def settings(**environment: str) -> Settings:
    found = read_settings(environment, None)
    assert found.problems == ()
    return found


def vote(number: int = 0, **more: Any) -> Vote:
    facts: dict[str, Any] = {
        "id": f"vote-{number}",
        "when": NOON + timedelta(seconds=number),
        "a": "llama",
        "b": "qwen, temperature 0.2",
        "outcome": Outcome.A,
    }
    return Vote(**(facts | more))


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> VoteStore:
    """An empty one, as the settings open it."""
    if request.param == "sqlite":
        environment = {"DATA_DIR": str(tmp_path / "new" / "folder")}
    else:
        environment = {"DATABASE_URL": empty(request.getfixturevalue("postgres_url"))}
    found = open_vote_store(settings(**environment))
    assert found is not None
    return found


def empty(url: str) -> str:
    import psycopg

    with psycopg.connect(url) as base:
        base.execute("DROP TABLE IF EXISTS votes")
    return url


async def test_a_new_store_is_empty(store: VoteStore) -> None:
    assert await store.all() == ()


async def test_votes_come_back_as_they_were_cast_and_oldest_first(store: VoteStore) -> None:
    cast = [
        vote(0, blind=True, visitor="v-1"),
        vote(1, outcome=Outcome.B, a="модель", b="'; DROP TABLE votes; --"),
        vote(2, outcome=Outcome.TIE),
        vote(3, outcome=Outcome.BOTH_BAD),
    ]
    for each in reversed(cast):
        await store.add(each)
    assert await store.all() == tuple(cast)


async def test_a_vote_that_is_sent_twice_counts_once(store: VoteStore) -> None:
    await store.add(vote(outcome=Outcome.A))
    await store.add(vote(outcome=Outcome.B))
    assert await store.all() == (vote(outcome=Outcome.A),)


async def test_votes_cast_in_the_same_moment_are_all_kept(store: VoteStore) -> None:
    await asyncio.gather(*(store.add(vote(number)) for number in range(20)))
    assert await store.all() == tuple(vote(number) for number in range(20))


async def test_a_time_from_another_zone_is_kept_as_that_moment(store: VoteStore) -> None:
    tokyo = NOON.astimezone(timezone(timedelta(hours=9)))
    await store.add(vote(1, when=NOON + timedelta(hours=1)))
    await store.add(vote(0, when=tokyo))
    first, _ = await store.all()
    assert (first.when, first.when.utcoffset()) == (NOON, timedelta(0))


async def test_votes_outlive_the_process_that_took_them(tmp_path: Path) -> None:
    for number in range(2):
        again = open_vote_store(settings(DATA_DIR=str(tmp_path)))
        assert again is not None
        await again.add(vote(number))
    assert await again.all() == (vote(0), vote(1))


def test_without_a_place_nothing_is_kept_here() -> None:
    assert open_vote_store(settings()) is None


async def test_a_folder_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = open_vote_store(settings(DATA_DIR=str(tmp_path / "file")))
    assert store is not None
    with pytest.raises(VotesUnavailable) as told:
        await store.all()
    assert str(told.value) in ("SQLite: FileExistsError", "SQLite: NotADirectoryError")


async def test_a_database_that_is_away_is_told_without_its_password() -> None:
    url = f"postgresql://ann:{PLANTED}@127.0.0.1:{free_port()}/postgres"
    store = open_vote_store(settings(DATABASE_URL=url))
    assert store is not None
    with pytest.raises(VotesUnavailable) as told:
        await store.add(vote())
    assert str(told.value) == "PostgreSQL: OperationalError"
    assert PLANTED not in f"{store!r} {told.value!r} {told.value.__cause__!r}"


async def test_a_database_that_lost_its_table_gets_a_new_one(postgres_url: str) -> None:
    store = open_vote_store(settings(DATABASE_URL=empty(postgres_url)))
    assert store is not None
    await store.add(vote(0))
    empty(postgres_url)
    with pytest.raises(VotesUnavailable, match="UndefinedTable"):
        await store.add(vote(1))
    await store.add(vote(1))
    assert await store.all() == (vote(1),)


# ── votes that a browser sends ───────────────────────────────────────────────

SENT: dict[str, Any] = {
    "id": "x",
    "when": "2026-11-26T21:00:00+09:00",
    "a": "llama",
    "b": "qwen",
    "outcome": "both_bad",
}


def test_a_sent_vote_is_read_in_utc() -> None:
    (read,) = parse_votes([SENT | {"blind": True, "more": "ignored"}])
    assert read == Vote(
        id="x", when=NOON, a="llama", b="qwen", outcome=Outcome.BOTH_BAD, blind=True
    )
    assert read.when.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"outcome": "c"}, "0.outcome: "),
        ({"a": ""}, "0.a: "),
        ({"a": "x" * 301}, "0.a: "),
        ({"a": "x\0"}, "0.a: "),
        ({"b": "llama"}, "a and b are the same lane"),
        ({"id": ""}, "0.id: "),
        ({"id": "x" * 65}, "0.id: "),
        ({"when": "2026-11-26T21:00:00"}, "0.when: "),
        ({"when": "yesterday"}, "0.when: "),
    ],
)
def test_a_vote_that_is_none_is_refused_by_its_field(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError) as told:
        parse_votes([SENT | change])
    assert str(told.value).startswith(says)


def test_more_votes_than_one_browser_holds_are_refused() -> None:
    with pytest.raises(ValueError, match=str(MOST_VOTES)):
        parse_votes([SENT] * (MOST_VOTES + 1))
