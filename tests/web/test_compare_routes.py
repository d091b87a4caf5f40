"""One question to several lanes: what the page is told, and what it may ask."""

from __future__ import annotations

import json
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from akash_gradio.catalog.loader import Catalog
from akash_gradio.domain.chat import ChatRequest
from akash_gradio.domain.errors import AllEndpointsFailed, EndpointSilent, UserError
from akash_gradio.domain.events import Finished, TextDelta
from akash_gradio.domain.model import ModelCard
from akash_gradio.web.comparison import RunningComparisons, compare
from akash_gradio.web.schemas import parse_compare
from tests.web.fakes import (
    STARTED,
    FakeChatGateway,
    Gate,
    chat_request,
    make_deps,
    make_page,
    make_receipt,
    tasks_left,
)

RUN = "0123456789abcdef"


def lane(letter: str, **more: Any) -> dict[str, Any]:
    turns = [{"role": "user", "text": f"to {letter}"}]
    return {"letter": letter, "model": f"model-{letter.lower()}", "turns": turns, **more}


def body(*lanes: dict[str, Any], run: str = RUN) -> bytes:
    return json.dumps({"run": run, "lanes": lanes}).encode()


def by_model(**scripts: list[Any]) -> FakeChatGateway:
    """Plays the script of the model that is asked; `model_a` for `model-a`."""
    return FakeChatGateway(lambda request: scripts[request.model.replace("-", "_")])


async def heard(events: Any) -> list[dict[str, Any]]:
    async with aclosing(events):
        return [event async for event in events]


def of(lane: str, events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events if event["lane"] == lane]


TWO = {"A": chat_request(model="model-a"), "B": chat_request(model="model-b")}


async def test_every_event_says_its_lane():
    said = [STARTED, TextDelta("Hi"), Finished("stop", make_receipt())]
    events = await heard(
        compare(RUN, TWO, by_model(model_a=said, model_b=said), RunningComparisons())
    )
    for letter in "AB":
        assert of(letter, events) == ["started", "patch", "done"]


async def test_a_lane_that_errs_says_so_and_the_others_go_on():
    failed = AllEndpointsFailed("model-a", EndpointSilent("eu-1"))
    said = [STARTED, TextDelta("Hi"), Finished("stop", make_receipt())]
    events = await heard(
        compare(RUN, TWO, by_model(model_a=[failed], model_b=said), RunningComparisons())
    )
    ends = {event["lane"]: event for event in events if event["type"] == "done"}
    assert ends["A"]["error"]["title"] == "model-a is unavailable."
    assert "error" not in ends["B"]


async def test_a_stopped_lane_is_told_and_its_endpoint_left():
    gate, other = Gate(), Gate()
    answerer = by_model(
        model_a=[STARTED, gate],
        model_b=[STARTED, other, TextDelta("Hi"), Finished("stop", make_receipt())],
    )
    races, events = RunningComparisons(), []
    async with aclosing(compare(RUN, TWO, answerer, races)) as told:
        async for event in told:
            events.append(event)
            if event["lane"] == "A" and event["type"] == "started":
                assert races.stop(RUN, "A")
            if event["type"] == "stopped":
                assert [request.model for request in answerer.closed] == ["model-a"]
                other.open()
    assert of("A", events) == ["started", "stopped"]
    assert of("B", events)[-1] == "done"
    assert not races.stop(RUN, "A")
    assert tasks_left() == set()


async def test_nobody_stops_a_run_without_knowing_its_id():
    races = RunningComparisons()
    async with aclosing(
        compare(RUN, TWO, by_model(model_a=[Gate()], model_b=[STARTED, Gate()]), races)
    ) as told:
        await anext(told)
        assert not races.stop("another-id-0123456789", "A")
        assert not races.stop(RUN, "D")


async def test_a_second_run_of_the_same_id_leaves_the_first_one_in_its_place():
    races = RunningComparisons()
    script = [STARTED, Gate()]
    one = {"A": TWO["A"]}
    async with aclosing(compare(RUN, one, by_model(model_a=script), races)) as first:
        await anext(first)
        async with aclosing(compare(RUN, one, by_model(model_a=script), races)) as second:
            await anext(second)
        assert races.stop(RUN, "A")
    assert not races.stop(RUN, "A")


async def test_a_model_that_is_withheld_is_not_asked():
    answerer = by_model(model_b=[STARTED, TextDelta("x"), Finished("stop", make_receipt())])
    told = compare(
        RUN, TWO, answerer, RunningComparisons(), is_withheld=lambda model: model == "model-a"
    )
    events = await heard(told)
    assert of("A", events) == ["done"]
    assert "is not available here" in events[0]["error"]["title"]
    assert [request.model for request in answerer.opened] == ["model-b"]


def test_a_lane_is_pinned_and_never_answered_by_a_fallback():
    run, lanes = parse_compare(body(lane("A", endpoint="eu-1"), lane("C")))
    assert run == RUN
    assert [(letter, r.model, r.endpoint, r.fallback) for letter, r in lanes.items()] == [
        ("A", "model-a", "eu-1", False),
        ("C", "model-c", None, False),
    ]


@pytest.mark.parametrize(
    "sent",
    [
        body(),
        body(lane("A"), lane("A")),
        body(lane("E")),
        body(*(lane(letter) for letter in "ABCDA")),
        body(lane("A"), run="short"),
        body(lane("A"), run="../../../../etc/passwd"),
        body(lane("A", endpoint="")),
        body(lane("A", turns=[])),
        b"[]",
    ],
)
def test_what_is_no_comparison_is_refused(sent: bytes):
    with pytest.raises(UserError):
        parse_compare(sent)


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    card = ModelCard(id="model-a", name="A", prompt_price=1.0, completion_price=2.0, available=True)
    said = [STARTED, TextDelta("Hi"), Finished("stop", make_receipt(answering_model="model-a"))]
    answerer = FakeChatGateway(lambda _request: said)
    return TestClient(make_page(make_deps(answerer, tmp_path, catalog=Catalog(cards=(card,)))))


def post(client: TestClient, path: str, content: bytes) -> Any:
    return client.post(path, content=content, headers={"content-type": "application/json"})


def test_the_address_streams_lanes_with_their_costs(client: TestClient):
    answer = post(client, "/page/compare", body(lane("A"), lane("B")))
    events = [json.loads(line[6:]) for line in answer.text.split("\n\n") if line]
    done = {event["lane"]: event["receipt"] for event in events if event["type"] == "done"}
    assert set(done) == {"A", "B"}
    # 20 tokens in and 512 out, at $1 and $2 a million.
    assert done["A"]["facts"]["cost"] == pytest.approx(0.001044)
    assert "$0.001" in done["A"]["line"]


def test_stopping_what_does_not_run_says_so(client: TestClient):
    sent = json.dumps({"run": RUN, "letter": "A"}).encode()
    assert post(client, "/page/compare/stop", sent).json() == {"stopped": False}


def test_the_difference_of_two_answers(client: TestClient):
    sent = json.dumps({"a": "It was 1889 <b>", "b": "It was 1887 <b>"}).encode()
    found = post(client, "/page/compare/diff", sent).json()
    assert found["a"] == [["It was ", "same"], ["1889 ", "number"], ["<b>", "same"]]
    assert 0 < found["common"] < 1


def test_other_websites_may_not_compare(client: TestClient):
    headers = {"content-type": "application/json", "sec-fetch-site": "cross-site"}
    for path in ("/page/compare", "/page/compare/stop", "/page/compare/diff"):
        assert client.post(path, content=b"{}", headers=headers).status_code == 403


def test_the_request_keeps_the_settings_of_its_lane():
    _, lanes = parse_compare(body(lane("A", settings={"temperature": 0, "seed": 3})))
    request: ChatRequest = lanes["A"]
    assert (request.sampling.temperature, request.sampling.seed) == (0.0, 3)
