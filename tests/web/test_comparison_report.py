"""What was said in lanes comes out as a report, and nothing that is not the visitor's with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from akash_gradio.web.receipt_view import receipt_view
from tests.web.fakes import FakeChatGateway, make_deps, make_page, make_receipt
from tests.web.test_vote_routes import a_vote


def answer(text: str = "Paris.", **more: Any) -> dict[str, Any]:
    facts = receipt_view(make_receipt(), cost=0.0012)["facts"]
    return {"requested_at": "2026-11-26T05:00:00Z", "text": text, "facts": facts} | more


def lane(model: str, *answers: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    turns = [{"prompt": f"Q{place}?", "answer": each} for place, each in enumerate(answers, 1)]
    return {"model": model, "turns": turns} | more


def asked(client: TestClient, form: str, *lanes: dict[str, Any], **more: Any) -> Any:
    return client.post("/page/compare/report", json={"form": form, "lanes": lanes} | more)


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    return TestClient(make_page(make_deps(FakeChatGateway(), tmp_path)))


def test_every_form_has_question_answer_receipt_and_settings(client: TestClient):
    warm = lane("m", answer("It is <b>Paris</b>."), settings={"temperature": 0.2})
    texts = {form: asked(client, form, warm, lane("n", answer())).text for form in FORMS}
    for form, text in texts.items():
        assert "Q1?" in text, form
        assert "0.41" in text, form
        assert "temperature" in text, form
        assert "eu-1" in text, form
    assert "<b>Paris</b>" not in texts["html"]
    assert "&lt;b&gt;Paris" in texts["html"]


FORMS = ("html", "md", "csv", "json")


def test_the_json_says_what_was_measured(client: TestClient):
    told = json.loads(asked(client, "json", lane("m", answer()), lane("n", answer())).text)
    row = told["rows"][0]
    assert (row["outcome"], row["answer"], row["cost"]) == ("ok", "Paris.", 0.0012)
    assert row["receipt"]["first_token_s"] == 0.41
    assert row["began"] == "2026-11-26T05:00:00+00:00"


def test_what_failed_or_was_stopped_is_not_called_whole(client: TestClient):
    lanes = lane("m", answer("Half", stopped=True)), lane("n", answer("", failed="Nobody answered"))
    rows = json.loads(asked(client, "json", *lanes).text)["rows"]
    assert [row["outcome"] for row in rows] == ["Cancelled", "Failed"]
    assert rows[1]["error"] == "Nobody answered"


def test_a_lane_that_joined_later_stands_beside_its_own_question(client: TestClient):
    late = {"model": "n", "turns": [{"prompt": "Q2?", "answer": answer("Late")}]}
    told = asked(client, "json", lane("m", answer("One"), answer("Two")), late)
    rows = json.loads(told.text)["rows"]
    said = [(row["prompt"], row["lane"], row["answer"]) for row in rows]
    assert said == [
        ("question 1", "m", "One"),
        ("question 2", "m", "Two"),
        ("question 2", "n", "Late"),
    ]


def test_the_votes_between_these_lanes_go_along(client: TestClient):
    lanes = lane("m", answer()), lane("n", answer())
    votes = [a_vote(1), a_vote(2, b="somebody else")]
    told = json.loads(asked(client, "json", *lanes, votes=votes).text)
    assert told["ranking"]["votes"] == 1


def test_a_preview_is_the_beginning(client: TestClient):
    lanes = lane("m", answer()), lane("n", answer())
    told = asked(client, "md", *lanes, preview=True).json()
    assert told["whole"]
    assert told["text"] == asked(client, "md", *lanes).text


@pytest.mark.parametrize(
    "body",
    [{}, {"form": "pdf", "lanes": []}, {"form": "md", "lanes": [{"model": "m", "turns": []}]}],
)
def test_without_anything_said_there_is_no_report(client: TestClient, body: dict[str, Any]):
    answer = client.post("/page/compare/report", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["title"]
