"""Votes are kept where the host keeps any, ranked, told without false order, and taken away."""

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
    MAX_VOTES_PER_REQUEST,
    RANKING_MAX_AGE_S,
    VOTE_LIMIT,
    VoteRoutes,
)
from tests.web.fakes import Clock, FakeChatGateway, endpoint_status, make_deps, make_page

ANSWERER = FakeChatGateway(statuses=[endpoint_status("m", "n")])


def a_vote(number: int = 0, **more: Any) -> dict[str, Any]:
    vote = {"id": f"v{number}", "when": "2026-11-26T04:00:00Z", "a": "m", "b": "n", "outcome": "a"}
    return vote | more


def visiting(tmp_path: Path, votes: Any = None) -> TestClient:
    return TestClient(make_page(make_deps(ANSWERER, tmp_path, votes=votes)))


def post(client: TestClient, path: str, *votes: dict[str, Any]) -> Any:
    return client.post(f"/page/compare/{path}", json={"votes": list(votes)})


@pytest.fixture
def keeping(tmp_path: Path) -> TestClient:
    return visiting(tmp_path, SqliteVotes(tmp_path / "votes.sqlite3"))


def test_a_host_that_keeps_votes_ranks_everybodys(keeping: TestClient):
    assert post(keeping, "votes", a_vote(1)).json() == {"kept": True}
    assert post(keeping, "votes", a_vote(1), a_vote(2)).json() == {"kept": True}
    html = post(keeping, "ranking").json()["html"]
    assert "2 votes. Votes of all visitors" in html
    assert "2 won, 0 lost, 0 tied" in html
    assert "No clear winner between" in html


class Kept:
    """Records what it is to keep."""

    def __init__(self) -> None:
        self.votes: list[Vote] = []

    async def add(self, vote: Vote) -> None:
        self.votes.append(vote)

    async def all(self) -> tuple[Vote, ...]:
        return tuple(self.votes)


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def visitor() -> dict[str, str]:
    """Who asks next; nobody that the server knows while it is empty."""
    return {}


@pytest.fixture
def booth(kept: Kept, clock: Clock, visitor: dict[str, str], tmp_path: Path) -> TestClient:
    """The addresses of votes, each request from the visitor."""
    deps = make_deps(ANSWERER, tmp_path, votes=kept).compare
    deps = replace(deps, limiter=RateLimiter(LocalCounters(clock)))
    votes = Starlette(routes=VoteRoutes(deps, clock).routes())

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        CURRENT_VISITOR.set(Visitor(**visitor) if visitor else ANONYMOUS)
        await votes(scope, receive, send)

    return TestClient(app)


def test_a_kept_vote_is_of_the_visitor_whom_the_server_knows(
    booth: TestClient, kept: Kept, visitor: dict[str, str]
):
    post(booth, "votes", a_vote(1, visitor="made up"))
    visitor["id"] = "known"
    post(booth, "votes", a_vote(2, visitor="made up"))
    assert [vote.visitor for vote in kept.votes] == ["made up", "known"]


def test_a_visitor_casts_so_many_votes_a_minute(
    booth: TestClient, kept: Kept, clock: Clock, visitor: dict[str, str]
):
    visitor |= {"id": "ann", "network": "home"}
    for number in range(VOTE_LIMIT.limit):
        assert post(booth, "votes", a_vote(number)).status_code == 200
    refused = post(booth, "votes", a_vote(60))
    assert (refused.status_code, len(kept.votes)) == (429, VOTE_LIMIT.limit)
    assert refused.json()["error"]["code"] == "too_many_votes"
    for other in range(NETWORK_FACTOR - 1):  # with a new cookie each
        visitor["id"] = f"ann-{other}"
        for number in range(0, VOTE_LIMIT.limit, MAX_VOTES_PER_REQUEST):
            votes = [a_vote(number + each) for each in range(MAX_VOTES_PER_REQUEST)]
            assert post(booth, "votes", *votes).status_code == 200
    visitor["id"] = "ann-again"
    assert post(booth, "votes", a_vote(60)).status_code == 429
    visitor["network"] = "elsewhere"
    assert post(booth, "votes", a_vote(60)).status_code == 200
    visitor |= {"id": "ann", "network": "home"}
    clock.now_s += 60
    assert post(booth, "votes", a_vote(60)).status_code == 200


def test_a_vote_about_a_model_that_nobody_knows_is_not_kept(booth: TestClient, kept: Kept):
    for made_up in ("ghost", "ghost, temperature 0.2"):
        refused = post(booth, "votes", a_vote(1), a_vote(2, b=made_up))
        assert refused.status_code == 404
        assert refused.json()["error"]["code"] == "vote_unknown_model"
    assert kept.votes == []
    assert post(booth, "votes", a_vote(1, b="m, temperature 0.2")).status_code == 200


def test_everybodys_ranking_is_worked_out_every_five_seconds_at_most(
    booth: TestClient, clock: Clock
):
    post(booth, "votes", a_vote(1))
    assert "1 vote." in post(booth, "ranking").json()["html"]
    post(booth, "votes", a_vote(2))
    assert "1 vote." in post(booth, "ranking").json()["html"]
    told = json.loads(post(booth, "export/json").json()["text"])
    assert (len(told["votes"]), told["ranking"]["votes"]) == (1, 1)
    clock.now_s += RANKING_MAX_AGE_S
    assert "2 votes." in post(booth, "ranking").json()["html"]


def test_a_host_that_keeps_none_ranks_what_the_browser_sends(tmp_path: Path):
    client = visiting(tmp_path)
    assert post(client, "votes", a_vote()).json() == {"kept": False}
    assert "No votes yet" in post(client, "ranking").json()["html"]
    html = post(client, "ranking", a_vote()).json()["html"]
    assert "1 vote. This server does not store votes" in html


def test_many_votes_are_an_order(tmp_path: Path):
    html = post(visiting(tmp_path), "ranking", *(a_vote(n) for n in range(60))).json()["html"]
    assert "Not enough votes" not in html
    assert html.index("<b>M</b>") < html.index("<b>N</b>")


def test_a_label_is_shown_as_model_and_variant_and_never_as_html(tmp_path: Path):
    vote = a_vote(a="m, temperature 0.2", b="<img src=x onerror=alert(1)>")
    html = post(visiting(tmp_path), "ranking", vote).json()["html"]
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
        json.dumps({"votes": [a_vote(outcome="c")]}).encode(),
        json.dumps({"votes": [a_vote(b="m")]}).encode(),
        json.dumps({"votes": [a_vote(when="today")]}).encode(),
        b'{"votes": ' + b"[" * 100_000,
    ],
)
def test_what_is_no_vote_is_refused_in_words(keeping: TestClient, body: bytes):
    answer = keeping.post(
        "/page/compare/votes", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["hint"]
    assert "No votes yet" in post(keeping, "ranking").json()["html"]


def test_more_votes_than_one_question_gives_are_refused(keeping: TestClient):
    votes = [a_vote(n) for n in range(MAX_VOTES_PER_REQUEST + 1)]
    assert post(keeping, "votes", *votes).status_code == 400


def test_export_as_csv_and_json_says_nothing_of_the_voters(tmp_path: Path):
    client = visiting(tmp_path)
    vote = a_vote(visitor="somebody", a="=cmd()", b="n")
    csv = post(client, "export/csv", vote).json()["text"]
    told = json.loads(post(client, "export/json", vote).json()["text"])
    assert csv.splitlines()[0] == "when,a,b,outcome,blind"
    assert "'=cmd()" in csv
    assert told["votes"][0]["outcome"] == "a"
    assert told["ranking"]["votes"] == 1
    assert "somebody" not in csv + json.dumps(told)


class Broken:
    async def add(self, vote: Vote) -> None:
        raise VotesUnavailable("PostgreSQL", "OperationalError")

    async def all(self) -> tuple[Vote, ...]:
        raise VotesUnavailable("PostgreSQL", "OperationalError")


def test_a_database_that_is_away_is_said_in_words(tmp_path: Path):
    client = visiting(tmp_path, Broken())
    for path in ("votes", "ranking", "export/csv"):
        answer = post(client, path, a_vote())
        assert answer.status_code == 503
        assert "database" in answer.json()["error"]["hint"]
