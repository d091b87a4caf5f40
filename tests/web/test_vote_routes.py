"""Votes are stored if the operator configures a store, ranked only where proven, and exported."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from akash_gradio.compare.votes.sqlite import SqliteVotes
from akash_gradio.compare.votes.store import Vote, VotesUnavailable
from akash_gradio.domain.visitor import ANONYMOUS, CURRENT_VISITOR, Visitor
from akash_gradio.quota.counters import LocalCounters
from akash_gradio.quota.limiter import NETWORK_FACTOR, RateLimiter
from akash_gradio.web.vote_routes import (
    DAILY_VOTE_LIMIT,
    MAX_VOTES_PER_REQUEST,
    RANKING_MAX_AGE_S,
    VOTE_LIMIT,
    VoteRoutes,
)
from tests.web.fakes import Clock, FakeChatGateway, endpoint_status, make_deps, make_page

GATEWAY = FakeChatGateway(statuses=[endpoint_status("m", "n")])


def make_vote(number: int = 0, **more: Any) -> dict[str, Any]:
    vote = {"id": f"v{number}", "when": "2026-11-26T04:00:00Z", "a": "m", "b": "n", "outcome": "a"}
    return vote | more


def make_client(tmp_path: Path, votes: Any = None) -> TestClient:
    return TestClient(make_page(make_deps(GATEWAY, tmp_path, votes=votes)))


def post(client: TestClient, path: str, *votes: dict[str, Any]) -> Any:
    return client.post(f"/page/compare/{path}", json={"votes": list(votes)})


@pytest.fixture
def stored(tmp_path: Path) -> TestClient:
    return make_client(tmp_path, SqliteVotes(tmp_path / "votes.sqlite3"))


def test_stored_votes_are_ranked_together(stored: TestClient) -> None:
    assert post(stored, "votes", make_vote(1)).json() == {"kept": True}
    assert post(stored, "votes", make_vote(1), make_vote(2)).json() == {"kept": True}
    html = post(stored, "ranking").json()["html"]
    assert "2 votes. Votes of all visitors" in html
    assert "2 won, 0 lost, 0 tied" in html
    assert "No clear winner between" in html


class RecordingStore:
    """Records the votes that are stored."""

    def __init__(self) -> None:
        self.votes: list[Vote] = []

    async def add(self, vote: Vote) -> None:
        self.votes.append(vote)

    async def all(self) -> tuple[Vote, ...]:
        return tuple(self.votes)


@pytest.fixture
def store() -> RecordingStore:
    return RecordingStore()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def visitor() -> dict[str, str]:
    """The current visitor; anonymous while it is empty."""
    return {}


@pytest.fixture
def client_of_store(
    store: RecordingStore, clock: Clock, visitor: dict[str, str], tmp_path: Path
) -> TestClient:
    """A client of the routes, whose requests come from the current visitor."""
    deps = make_deps(GATEWAY, tmp_path, votes=store).compare
    deps = replace(deps, limiter=RateLimiter(LocalCounters(clock)))
    votes = Starlette(routes=VoteRoutes(deps, clock).routes())

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        CURRENT_VISITOR.set(
            Visitor(id=visitor["id"], network=visitor.get("network", "")) if visitor else ANONYMOUS
        )
        await votes(scope, receive, send)

    return TestClient(app)


def test_a_stored_vote_has_the_servers_id_of_its_visitor(
    client_of_store: TestClient, store: RecordingStore, visitor: dict[str, str]
) -> None:
    post(client_of_store, "votes", make_vote(1, visitor="made up"))
    visitor["id"] = "known"
    post(client_of_store, "votes", make_vote(2, visitor="made up"))
    assert [vote.visitor for vote in store.votes] == ["made up", "known"]


def test_votes_are_limited_by_visitor_and_network(
    client_of_store: TestClient, store: RecordingStore, clock: Clock, visitor: dict[str, str]
) -> None:
    visitor |= {"id": "ann", "network": "home"}
    for number in range(VOTE_LIMIT.limit):
        assert post(client_of_store, "votes", make_vote(number)).status_code == 200
    refused = post(client_of_store, "votes", make_vote(60))
    assert (refused.status_code, len(store.votes)) == (429, VOTE_LIMIT.limit)
    assert refused.json()["error"]["code"] == "too_many_votes"
    for other in range(NETWORK_FACTOR - 1):  # with a new cookie each
        visitor["id"] = f"ann-{other}"
        for number in range(0, VOTE_LIMIT.limit, MAX_VOTES_PER_REQUEST):
            votes = [make_vote(number + offset) for offset in range(MAX_VOTES_PER_REQUEST)]
            assert post(client_of_store, "votes", *votes).status_code == 200
    visitor["id"] = "ann-again"
    assert post(client_of_store, "votes", make_vote(60)).status_code == 429
    visitor["network"] = "elsewhere"
    assert post(client_of_store, "votes", make_vote(60)).status_code == 200
    visitor |= {"id": "ann", "network": "home"}
    clock.now_s += 60
    assert post(client_of_store, "votes", make_vote(60)).status_code == 200


def test_a_vote_for_an_unknown_model_is_not_stored(
    client_of_store: TestClient, store: RecordingStore
) -> None:
    for made_up in ("ghost", "ghost, temperature 0.2"):
        refused = post(client_of_store, "votes", make_vote(1), make_vote(2, b=made_up))
        assert refused.status_code == 404
        assert refused.json()["error"]["code"] == "vote_unknown_model"
    assert store.votes == []
    assert post(client_of_store, "votes", make_vote(1, b="m, temperature 0.2")).status_code == 200


def test_the_ranking_of_stored_votes_is_computed_at_most_every_five_seconds(
    client_of_store: TestClient, clock: Clock
) -> None:
    post(client_of_store, "votes", make_vote(1))
    assert "1 vote." in post(client_of_store, "ranking").json()["html"]
    post(client_of_store, "votes", make_vote(2))
    assert "1 vote." in post(client_of_store, "ranking").json()["html"]
    export = json.loads(post(client_of_store, "export/json").json()["text"])
    assert (len(export["votes"]), export["ranking"]["votes"]) == (1, 1)
    clock.now_s += RANKING_MAX_AGE_S
    assert "2 votes." in post(client_of_store, "ranking").json()["html"]


def test_without_a_store_the_browsers_votes_are_ranked(tmp_path: Path) -> None:
    client = make_client(tmp_path)
    assert post(client, "votes", make_vote()).json() == {"kept": False}
    assert "No votes yet" in post(client, "ranking").json()["html"]
    html = post(client, "ranking", make_vote()).json()["html"]
    assert "1 vote. This server does not store votes" in html


def test_many_votes_determine_the_order(tmp_path: Path) -> None:
    html = post(make_client(tmp_path), "ranking", *(make_vote(n) for n in range(60))).json()["html"]
    assert "Not enough votes" not in html
    assert html.index("<b>M</b>") < html.index("<b>N</b>")


def test_a_label_is_escaped_and_split_into_model_and_variant(tmp_path: Path) -> None:
    vote = make_vote(a="m, temperature 0.2", b="<img src=x onerror=alert(1)>")
    html = post(make_client(tmp_path), "ranking", vote).json()["html"]
    assert "<small>temperature 0.2</small>" in html
    assert "<img" not in html


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"votes": 3}',
        b'{"votes": [{}]}',
        json.dumps({"votes": [make_vote(outcome="c")]}).encode(),
        json.dumps({"votes": [make_vote(b="m")]}).encode(),
        json.dumps({"votes": [make_vote(when="today")]}).encode(),
        b'{"votes": ' + b"[" * 50_000,
    ],
)
def test_an_invalid_vote_is_rejected_with_a_hint(stored: TestClient, body: bytes) -> None:
    answer = stored.post(
        "/page/compare/votes", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["hint"]
    assert "No votes yet" in post(stored, "ranking").json()["html"]


def test_more_votes_than_one_prompt_allows_are_rejected(stored: TestClient) -> None:
    votes = [make_vote(n) for n in range(MAX_VOTES_PER_REQUEST + 1)]
    assert post(stored, "votes", *votes).status_code == 400


def test_the_exports_contain_nothing_about_the_voters(tmp_path: Path) -> None:
    client = make_client(tmp_path)
    vote = make_vote(visitor="a voter", a="=cmd()", b="n")
    csv = post(client, "export/csv", vote).json()["text"]
    export = json.loads(post(client, "export/json", vote).json()["text"])
    assert csv.splitlines()[0] == "when,a,b,outcome,blind"
    assert "'=cmd()" in csv
    assert export["votes"][0]["outcome"] == "a"
    assert export["ranking"]["votes"] == 1
    assert "a voter" not in csv + json.dumps(export)


class Broken:
    async def add(self, vote: Vote) -> None:
        raise VotesUnavailable("PostgreSQL", "OperationalError")

    async def all(self) -> tuple[Vote, ...]:
        raise VotesUnavailable("PostgreSQL", "OperationalError")


def test_an_unavailable_database_is_an_error_with_a_hint(tmp_path: Path) -> None:
    client = make_client(tmp_path, Broken())
    for path in ("votes", "ranking", "export/csv"):
        answer = post(client, path, make_vote())
        assert answer.status_code == 503
        assert "database" in answer.json()["error"]["hint"]


def test_votes_are_limited_per_day(
    client_of_store: TestClient, store: RecordingStore, clock: Clock, visitor: dict[str, str]
) -> None:
    visitor |= {"id": "ann", "network": "home"}
    for number in range(DAILY_VOTE_LIMIT.limit):
        if number % VOTE_LIMIT.limit == 0:
            clock.now_s += VOTE_LIMIT.window_s + 1
        assert post(client_of_store, "votes", make_vote(number)).status_code == 200
    clock.now_s += VOTE_LIMIT.window_s + 1
    refused = post(client_of_store, "votes", make_vote(-1))
    assert refused.json()["error"]["code"] == "too_many_votes_today"
    clock.now_s += DAILY_VOTE_LIMIT.window_s
    assert post(client_of_store, "votes", make_vote(-1)).status_code == 200
    assert len(store.votes) == DAILY_VOTE_LIMIT.limit + 1
