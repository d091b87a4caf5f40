"""Votes are kept where the host keeps any, ranked, told without false order, and taken away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from akash_gradio.compare.votes import Vote, VotesUnavailable
from akash_gradio.compare.votes_sqlite import SqliteVotes
from akash_gradio.ui.vote_routes import MOST_AT_ONCE
from tests.ui.fakes import FakeAnswerer, house, page


def a_vote(number: int = 0, **more: Any) -> dict[str, Any]:
    vote = {"id": f"v{number}", "when": "2026-11-26T04:00:00Z", "a": "m", "b": "n", "outcome": "a"}
    return vote | more


def visiting(tmp_path: Path, votes: Any = None) -> TestClient:
    return TestClient(page(house(FakeAnswerer(), tmp_path, votes=votes)))


def post(client: TestClient, path: str, *votes: dict[str, Any]) -> Any:
    return client.post(f"/page/compare/{path}", json={"votes": list(votes)})


@pytest.fixture
def keeping(tmp_path: Path) -> TestClient:
    return visiting(tmp_path, SqliteVotes(tmp_path / "votes.sqlite3"))


def test_a_host_that_keeps_votes_ranks_everybodys(keeping: TestClient):
    assert post(keeping, "votes", a_vote(1)).json() == {"kept": True}
    assert post(keeping, "votes", a_vote(1), a_vote(2)).json() == {"kept": True}
    html = post(keeping, "ranking").json()["html"]
    assert "2 votes. Everybody who votes" in html
    assert "2 won, 0 lost, 0 even" in html
    assert "Not enough votes to order these two" in html


def test_a_host_that_keeps_none_ranks_what_the_browser_sends(tmp_path: Path):
    client = visiting(tmp_path)
    assert post(client, "votes", a_vote()).json() == {"kept": False}
    assert "No votes yet" in post(client, "ranking").json()["html"]
    html = post(client, "ranking", a_vote()).json()["html"]
    assert "1 vote. This host keeps no votes" in html


def test_many_votes_are_an_order(tmp_path: Path):
    html = post(visiting(tmp_path), "ranking", *(a_vote(n) for n in range(60))).json()["html"]
    assert "Not enough votes" not in html
    assert html.index("<b>m</b>") < html.index("<b>n</b>")


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
    assert answer.json()["error"]["mend"]
    assert "No votes yet" in post(keeping, "ranking").json()["html"]


def test_more_votes_than_one_question_gives_are_refused(keeping: TestClient):
    votes = [a_vote(n) for n in range(MOST_AT_ONCE + 1)]
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
        assert "database" in answer.json()["error"]["mend"]
