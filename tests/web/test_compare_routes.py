"""Comparisons: the events of the lanes, stopping one, and what a request may contain."""

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
    Step,
    chat_request,
    make_deps,
    make_page,
    make_receipt,
    tasks_left,
)
from tests.work.fakes import WORK

RUN = "0123456789abcdef"


def lane(letter: str, **more: Any) -> dict[str, Any]:
    turns = [{"role": "user", "text": f"to {letter}"}]
    return {"letter": letter, "model": f"model-{letter.lower()}", "turns": turns, **more}


def body(*lanes: dict[str, Any], run: str = RUN) -> bytes:
    return json.dumps({"run": run, "lanes": lanes}).encode()


def by_model(**scripts: list[Any]) -> FakeChatGateway:
    """Play the script of the requested model; `model_a` for `model-a`."""
    return FakeChatGateway(lambda request: scripts[request.model.replace("-", "_")])


async def collect(events: Any) -> list[dict[str, Any]]:
    async with aclosing(events):
        return [event async for event in events]


def of(lane: str, events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events if event["lane"] == lane]


TWO = {"A": chat_request(model="model-a"), "B": chat_request(model="model-b")}


async def test_every_event_has_the_letter_of_its_lane() -> None:
    script = [STARTED, TextDelta("Hi"), Finished("stop", make_receipt())]
    events = await collect(
        compare(RUN, TWO, by_model(model_a=script, model_b=script), WORK, RunningComparisons())
    )
    for letter in "AB":
        assert of(letter, events) == ["started", "patch", "done"]


async def test_a_failed_lane_does_not_affect_the_others() -> None:
    failed = AllEndpointsFailed("model-a", EndpointSilent("eu-1"))
    script = [STARTED, TextDelta("Hi"), Finished("stop", make_receipt())]
    events = await collect(
        compare(RUN, TWO, by_model(model_a=[failed], model_b=script), WORK, RunningComparisons())
    )
    ends = {event["lane"]: event for event in events if event["type"] == "done"}
    assert ends["A"]["error"]["title"] == "model-a is unavailable."
    assert "error" not in ends["B"]


async def test_a_stopped_lane_ends_with_an_event_and_closes_its_call() -> None:
    gate, other = Gate(), Gate()
    gateway = by_model(
        model_a=[STARTED, gate],
        model_b=[STARTED, other, TextDelta("Hi"), Finished("stop", make_receipt())],
    )
    running, events = RunningComparisons(), []
    async with aclosing(compare(RUN, TWO, gateway, WORK, running)) as stream:
        async for event in stream:
            events.append(event)
            if event["lane"] == "A" and event["type"] == "started":
                assert running.stop(RUN, "A")
            if event["type"] == "stopped":
                assert [request.model for request in gateway.closed] == ["model-a"]
                other.open()
    assert of("A", events) == ["started", "stopped"]
    assert of("B", events)[-1] == "done"
    assert not running.stop(RUN, "A")
    assert tasks_left() == set()


async def test_a_comparison_is_stopped_only_with_its_id() -> None:
    running = RunningComparisons()
    async with aclosing(
        compare(RUN, TWO, by_model(model_a=[Gate()], model_b=[STARTED, Gate()]), WORK, running)
    ) as stream:
        await anext(stream)
        assert not running.stop("another-id-0123456789", "A")
        assert not running.stop(RUN, "D")


async def test_a_second_comparison_with_the_same_id_does_not_replace_the_first() -> None:
    running = RunningComparisons()
    script = [STARTED, Gate()]
    one = {"A": TWO["A"]}
    async with aclosing(compare(RUN, one, by_model(model_a=script), WORK, running)) as first:
        await anext(first)
        async with aclosing(compare(RUN, one, by_model(model_a=script), WORK, running)) as second:
            await anext(second)
        assert running.stop(RUN, "A")
    assert not running.stop(RUN, "A")


async def test_a_withheld_model_gets_no_request() -> None:
    gateway = by_model(model_b=[STARTED, TextDelta("x"), Finished("stop", make_receipt())])
    stream = compare(
        RUN, TWO, gateway, WORK, RunningComparisons(), is_withheld=lambda model: model == "model-a"
    )
    events = await collect(stream)
    assert of("A", events) == ["done"]
    assert "is not available here" in events[0]["error"]["title"]
    assert [request.model for request in gateway.opened] == ["model-b"]


def test_a_lane_is_pinned_to_its_endpoint_and_has_no_fallback() -> None:
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
def test_an_invalid_comparison_is_rejected(sent: bytes) -> None:
    with pytest.raises(UserError):
        parse_compare(sent)


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    card = ModelCard(id="model-a", name="A", prompt_price=1.0, completion_price=2.0, available=True)
    script: list[Step] = [
        STARTED,
        TextDelta("Hi"),
        Finished("stop", make_receipt(answering_model="model-a")),
    ]
    gateway = FakeChatGateway(lambda _request: script)
    return TestClient(make_page(make_deps(gateway, tmp_path, catalog=Catalog(cards=(card,)))))


def post(client: TestClient, path: str, content: bytes) -> Any:
    return client.post(path, content=content, headers={"content-type": "application/json"})


def test_the_route_streams_lanes_with_their_costs(client: TestClient) -> None:
    answer = post(client, "/page/compare", body(lane("A"), lane("B")))
    events = [json.loads(line[6:]) for line in answer.text.split("\n\n") if line]
    done = {event["lane"]: event["receipt"] for event in events if event["type"] == "done"}
    assert set(done) == {"A", "B"}
    # 20 tokens in and 512 out, at $1 and $2 a million.
    assert done["A"]["facts"]["cost"] == pytest.approx(0.001044)
    assert "$0.001" in done["A"]["line"]


def test_stopping_an_unknown_comparison_returns_false(client: TestClient) -> None:
    sent = json.dumps({"run": RUN, "letter": "A"}).encode()
    assert post(client, "/page/compare/stop", sent).json() == {"stopped": False}


def test_the_differences_of_two_answers_are_returned_in_spans(client: TestClient) -> None:
    sent = json.dumps({"a": "It was 1889 <b>", "b": "It was 1887 <b>"}).encode()
    diff = post(client, "/page/compare/diff", sent).json()
    assert diff["a"] == [["It was ", "same"], ["1889 ", "number"], ["<b>", "same"]]
    assert 0 < diff["common"] < 1


def test_other_websites_cannot_compare(client: TestClient) -> None:
    headers = {"content-type": "application/json", "sec-fetch-site": "cross-site"}
    for path in ("/page/compare", "/page/compare/stop", "/page/compare/diff"):
        assert client.post(path, content=b"{}", headers=headers).status_code == 403


def test_a_request_has_the_settings_of_its_lane() -> None:
    _, lanes = parse_compare(body(lane("A", settings={"temperature": 0, "seed": 3})))
    request: ChatRequest = lanes["A"]
    assert (request.sampling.temperature, request.sampling.seed) == (0.0, 3)
