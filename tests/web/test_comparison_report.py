"""The report of a comparison contains what the browser sent, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from akash_gradio.web.receipt_view import receipt_view
from tests.web.fakes import FakeChatGateway, make_deps, make_page, make_receipt
from tests.web.test_vote_routes import make_vote


def answer(text: str = "Paris.", **more: Any) -> dict[str, Any]:
    facts = receipt_view(make_receipt(), cost=0.0012)["facts"]
    return {"requested_at": "2026-11-26T05:00:00Z", "text": text, "facts": facts} | more


def lane(model: str, *answers: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    turns = [
        {"prompt": f"Q{number}?", "answer": answer} for number, answer in enumerate(answers, 1)
    ]
    return {"model": model, "turns": turns} | more


def post_report(client: TestClient, form: str, *lanes: dict[str, Any], **more: Any) -> Any:
    return client.post("/page/compare/report", json={"form": form, "lanes": lanes} | more)


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    return TestClient(make_page(make_deps(FakeChatGateway(), tmp_path)))


def test_every_format_contains_prompt_answer_receipt_and_settings(client: TestClient) -> None:
    warm = lane("m", answer("It is <b>Paris</b>."), settings={"temperature": 0.2})
    texts = {form: post_report(client, form, warm, lane("n", answer())).text for form in FORMS}
    for form, text in texts.items():
        assert "Q1?" in text, form
        assert "0.41" in text, form
        assert "temperature" in text, form
        assert "eu-1" in text, form
    assert "<b>Paris</b>" not in texts["html"]
    assert "&lt;b&gt;Paris" in texts["html"]


FORMS = ("html", "md", "csv", "json")


def test_the_json_contains_the_measurements(client: TestClient) -> None:
    report = json.loads(post_report(client, "json", lane("m", answer()), lane("n", answer())).text)
    row = report["rows"][0]
    assert (row["outcome"], row["answer"], row["cost"]) == ("ok", "Paris.", 0.0012)
    assert row["receipt"]["first_token_s"] == 0.41
    assert row["began"] == "2026-11-26T05:00:00+00:00"


def test_failed_and_stopped_answers_are_marked(client: TestClient) -> None:
    lanes = lane("m", answer("Half", stopped=True)), lane("n", answer("", failed="Nobody answered"))
    rows = json.loads(post_report(client, "json", *lanes).text)["rows"]
    assert [row["outcome"] for row in rows] == ["Cancelled", "Failed"]
    assert rows[1]["error"] == "Nobody answered"


def test_the_answers_of_a_later_lane_are_next_to_their_prompts(client: TestClient) -> None:
    late = {"model": "n", "turns": [{"prompt": "Q2?", "answer": answer("Late")}]}
    response = post_report(client, "json", lane("m", answer("One"), answer("Two")), late)
    rows = json.loads(response.text)["rows"]
    answers = [(row["prompt"], row["lane"], row["answer"]) for row in rows]
    assert answers == [
        ("question 1", "m", "One"),
        ("question 2", "m", "Two"),
        ("question 2", "n", "Late"),
    ]


def test_the_report_contains_the_votes_between_its_lanes(client: TestClient) -> None:
    lanes = lane("m", answer()), lane("n", answer())
    votes = [make_vote(1), make_vote(2, b="another model")]
    report = json.loads(post_report(client, "json", *lanes, votes=votes).text)
    assert report["ranking"]["votes"] == 1


def test_a_preview_is_the_beginning_of_the_report(client: TestClient) -> None:
    lanes = lane("m", answer()), lane("n", answer())
    preview = post_report(client, "md", *lanes, preview=True).json()
    assert preview["whole"]
    assert preview["text"] == post_report(client, "md", *lanes).text


@pytest.mark.parametrize(
    "body",
    [{}, {"form": "pdf", "lanes": []}, {"form": "md", "lanes": [{"model": "m", "turns": []}]}],
)
def test_without_prompts_there_is_no_report(client: TestClient, body: dict[str, Any]) -> None:
    answer = client.post("/page/compare/report", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["title"]
