from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from akash_gradio.compare.votes.factory import open_vote_store
from akash_gradio.compare.votes.store import (
    MAX_SENT_VOTES,
    Outcome,
    Vote,
    VoteStore,
    VotesUnavailable,
    parse_votes,
)
from akash_gradio.config.settings import Settings, read_settings
from tests.browser.servers import free_port
from tests.compare.conftest import PLANTED

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def settings(**environment: str) -> Settings:
    result = read_settings(environment, None)
    assert result.problems == ()
    return result


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
    """Return an empty store, opened with settings."""
    if request.param == "sqlite":
        environment = {"DATA_DIR": str(tmp_path / "new" / "folder")}
    else:
        environment = {"DATABASE_URL": drop_table(request.getfixturevalue("postgres_url"))}
    opened = open_vote_store(settings(**environment))
    assert opened is not None
    return opened


def drop_table(url: str) -> str:
    import psycopg

    with psycopg.connect(url) as connection:
        connection.execute("DROP TABLE IF EXISTS votes")
    return url


async def test_a_new_store_is_empty(store: VoteStore) -> None:
    assert await store.all() == ()


async def test_votes_are_read_back_oldest_first(store: VoteStore) -> None:
    cast = [
        vote(0, blind=True, visitor="v-1"),
        vote(1, outcome=Outcome.B, a="модель", b="'; DROP TABLE votes; --"),
        vote(2, outcome=Outcome.TIE),
        vote(3, outcome=Outcome.BOTH_BAD),
    ]
    for each in reversed(cast):
        await store.add(each)
    assert await store.all() == tuple(cast)


async def test_a_vote_that_is_sent_twice_is_stored_once(store: VoteStore) -> None:
    await store.add(vote(outcome=Outcome.A))
    await store.add(vote(outcome=Outcome.B))
    assert await store.all() == (vote(outcome=Outcome.A),)


async def test_concurrent_votes_are_all_stored(store: VoteStore) -> None:
    await asyncio.gather(*(store.add(vote(number)) for number in range(20)))
    assert await store.all() == tuple(vote(number) for number in range(20))


async def test_times_are_converted_to_utc(store: VoteStore) -> None:
    tokyo = NOON.astimezone(timezone(timedelta(hours=9)))
    await store.add(vote(1, when=NOON + timedelta(hours=1)))
    await store.add(vote(0, when=tokyo))
    first, _ = await store.all()
    assert (first.when, first.when.utcoffset()) == (NOON, timedelta(0))


async def test_votes_outlive_the_process(tmp_path: Path) -> None:
    for number in range(2):
        store = open_vote_store(settings(DATA_DIR=str(tmp_path)))
        assert store is not None
        await store.add(vote(number))
        assert await store.all() == tuple(vote(each) for each in range(number + 1))


def test_without_settings_there_is_no_store() -> None:
    assert open_vote_store(settings()) is None


async def test_an_unusable_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = open_vote_store(settings(DATA_DIR=str(tmp_path / "file")))
    assert store is not None
    with pytest.raises(VotesUnavailable) as caught:
        await store.all()
    assert caught.value.facts["store"] == "SQLite"
    assert caught.value.facts["reason"] in ("FileExistsError", "NotADirectoryError")


async def test_an_unreachable_database_is_reported_without_its_password() -> None:
    url = f"postgresql://ann:{PLANTED}@127.0.0.1:{free_port()}/postgres"
    store = open_vote_store(settings(DATABASE_URL=url))
    assert store is not None
    with pytest.raises(VotesUnavailable) as caught:
        await store.add(vote())
    error = caught.value
    assert error.facts == {"store": "PostgreSQL", "reason": "OperationalError"}
    assert PLANTED not in f"{store!r} {error!r} {error.facts} {error.__cause__!r}"


async def test_a_lost_table_is_created_again(postgres_url: str) -> None:
    store = open_vote_store(settings(DATABASE_URL=drop_table(postgres_url)))
    assert store is not None
    await store.add(vote(0))
    drop_table(postgres_url)
    with pytest.raises(VotesUnavailable) as caught:
        await store.add(vote(1))
    assert caught.value.facts["reason"] == "UndefinedTable"
    await store.add(vote(1))
    assert await store.all() == (vote(1),)


# ── votes from browsers ───────────────────────────────────────────────

SENT: dict[str, Any] = {
    "id": "x",
    "when": "2026-11-26T21:00:00+09:00",
    "a": "llama",
    "b": "qwen",
    "outcome": "both_bad",
}


def test_a_sent_vote_is_converted_to_utc() -> None:
    (parsed,) = parse_votes([SENT | {"blind": True, "more": "ignored"}])
    assert parsed == Vote(
        id="x", when=NOON, a="llama", b="qwen", outcome=Outcome.BOTH_BAD, blind=True
    )
    assert parsed.when.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("change", "problem"),
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
def test_an_invalid_vote_is_rejected_with_its_field(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_votes([SENT | change])
    assert str(caught.value).startswith(problem)


def test_too_many_votes_are_rejected() -> None:
    with pytest.raises(ValueError, match=str(MAX_SENT_VOTES)):
        parse_votes([SENT] * (MAX_SENT_VOTES + 1))
