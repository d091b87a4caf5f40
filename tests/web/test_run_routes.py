from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from akash_gradio.catalog.loader import Catalog
from akash_gradio.compare.plan import Lane
from akash_gradio.compare.run_store import open_run_store
from akash_gradio.compare.summary import summarize
from akash_gradio.domain.chat import ChatRequest, Default
from akash_gradio.domain.errors import AllEndpointsFailed, EndpointRefused
from akash_gradio.domain.model import ModelCard
from akash_gradio.web.run_routes import START_LIMIT
from akash_gradio.web.run_schemas import RunRequest, build_plan
from akash_gradio.web.run_views import lane_lines
from tests.compare.fakes import FakeGateway, Step, answer, endpoint, plan, prompt_text
from tests.web.fakes import make_deps, make_page

CATALOG = Catalog(
    cards=(
        ModelCard(id="a", name="Model A", prompt_price=1.0, completion_price=2.0),
        ModelCard(id="b", name="Model B"),
        ModelCard(id="off", name="Off", available=False),
    )
)


PREVIEW = {"form": "html", "preview": True}


def answer_prompt(request: ChatRequest) -> list[Step]:
    if request.model == "b" and "two" in prompt_text(request):
        cause = EndpointRefused("eu-1", 500, detail="at https://planted.example/v1")
        return [AllEndpointsFailed("b", cause)]
    return answer(request, f"**{prompt_text(request)}** <script>alert(1)</script>", "Hm.")


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway(answer_prompt, [endpoint("eu-1", "a", "b", "off")])


@pytest.fixture
async def client(tmp_path: Path, gateway: FakeGateway) -> AsyncIterator[httpx.AsyncClient]:
    deps = make_deps(gateway, tmp_path, catalog=CATALOG)
    transport = httpx.ASGITransport(make_page(deps))
    async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
        yield client


def run_body(text: str = "one\ntwo", **more: Any) -> dict[str, Any]:
    return {"set": {"text": text}, "candidates": candidates("a", "b"), **more}


def candidates(*models: str) -> list[dict[str, str]]:
    return [{"model": model} for model in models]


async def post(client: httpx.AsyncClient, name: str, body: Any, status: int = 200) -> Any:
    response = await client.post(f"/page/sets/{name}", json=body)
    assert response.status_code == status, response.text
    return response.json()


async def finished(client: httpx.AsyncClient, **more: Any) -> str:
    """Run a prompt set to its end and return the id of the run."""
    begun = await post(client, "start", run_body(**more))
    run: str = begun["run"]
    async with asyncio.timeout(20):
        while (await post(client, "status", {"run": run}))["state"] != "done":
            pass
    return run


async def test_a_prompt_set_is_validated_and_its_problems_are_reported(
    client: httpx.AsyncClient,
) -> None:
    assert await post(client, "validate", {"text": "one\ntwo"}) == {"prompts": 2, "checked": 0}
    written = "prompt,contains\none,1\ntwo,\n"
    assert await post(client, "validate", {"text": written, "name": "a.csv"}) == {
        "prompts": 2,
        "checked": 1,
    }
    body = await post(client, "validate", {"text": 'prompt\n"one', "name": "a.csv"}, 400)
    assert body["error"]["hint"] == "row 2, column 1: a quote is not closed"


async def test_the_forecast_contains_calls_tokens_cost_and_time(client: httpx.AsyncClient) -> None:
    body = await post(client, "forecast", run_body(temperatures=[0.2, 0.9], repeats=2))
    assert body["calls"] == 16
    for text in (
        "16 calls: 2 prompts × 4 lanes × 2 times\nabout",
        "tokens in",
        "$0.0",
        "Price unknown for Model B.",
    ):
        assert text in body["text"]


async def test_a_run_has_a_table_and_a_row_has_its_answers(client: httpx.AsyncClient) -> None:
    run = await finished(client, contains="one")
    status = await post(client, "status", {"run": run})
    assert (status["done"], status["total"], status["text"]) == (4, 4, "4 of 4 · 1 failed")
    assert status["title"] == "one"
    for text in (
        "2 of 2",
        "1 of 2",
        "no endpoint answered for",
        "✗",
        "✓",
        "Model A",
        "one &lt;script",
    ):
        assert text in status["html"]
    assert "**" not in status["html"]
    row = (await post(client, "row", {"run": run, "row": 0}))["html"]
    for text in ("<strong>one</strong>", "contains “one”", "parameters sent", "Hm."):
        assert text in row
    assert re.findall(r'data-go-row="(-?\d+)".*?( disabled)?>', row) == [
        ("-1", " disabled"),
        ("1", ""),
    ]
    assert "<script" not in status["html"] + row
    assert "planted" not in status["html"] + row


def test_a_lane_without_answers_shows_the_total() -> None:
    run_plan = plan("one", "two", repeats=2)
    lines = lane_lines(run_plan, summarize(run_plan, lambda _number: None), {"a": "A", "b": "B"})
    assert [(line.answered, line.passed) for line in lines] == [("0 of 4", "–"), ("0 of 4", "–")]


async def test_an_answer_without_checks_has_no_mark(
    client: httpx.AsyncClient,
) -> None:
    html = (await post(client, "status", {"run": await finished(client)}))["html"]
    assert 'class="answer ok"' in html
    assert "✓" not in html


async def test_a_report_can_be_previewed_and_downloaded(client: httpx.AsyncClient) -> None:
    run = await finished(client)
    shown = await post(client, "report", {"run": run, "form": "html", "preview": True})
    file = await client.post("/page/sets/report", json={"run": run, "form": "html"})
    assert file.headers["content-type"].startswith("text/html")
    assert shown["whole"]
    assert "Model A" in file.text
    assert "planted" not in file.text
    body = json.loads(
        (await client.post("/page/sets/report", json={"run": run, "form": "json"})).text
    )
    assert len(body["rows"]) == 4


async def test_a_run_can_be_compared_with_an_earlier_one(client: httpx.AsyncClient) -> None:
    before, now = await finished(client), await finished(client, text="one\ntwo!")
    status = await post(client, "status", {"run": now, "earlier": before})
    assert "2 cells changed" in status["html"]
    assert "prompt changed" in status["html"]
    same = await post(client, "status", {"run": now, "earlier": now})
    assert "Nothing changed." in same["html"]


async def test_starting_and_stopping_runs_has_a_rate(client: httpx.AsyncClient) -> None:
    for _ in range(START_LIMIT.limit):
        run = (await post(client, "start", run_body()))["run"]
        await post(client, "action", {"run": run, "action": "stop"})
    statuses = [
        (await client.post("/page/sets/start", json=run_body())).status_code for _ in range(200)
    ]
    assert set(statuses) == {429}
    for action in ("resume", "retry"):
        body = await post(client, "action", {"run": run, "action": action}, 429)
        assert body["error"]["title"] == "You can start up to 10 runs per minute."
    await post(client, "action", {"run": run, "action": "delete"})


async def test_the_prompts_of_a_run_have_a_largest_size(client: httpx.AsyncClient) -> None:
    text = "\n".join(["x" * 199_999] * 21)
    body = await post(client, "start", run_body(text), 400)
    assert body["error"]["hint"] == "A run on the page has at most 4 MB of prompts."
    body = await post(client, "start", run_body("x\n" * 5000, contains="y" * 2000), 400)
    assert body["error"]["hint"] == "A run on the page has at most 4 MB of prompts."


async def test_a_run_whose_file_is_closed_while_it_is_read_can_be_read_again(
    tmp_path: Path,
) -> None:
    gateway = FakeGateway(answer_prompt, [endpoint("eu-1", "a", "b")])
    runs = open_run_store(tmp_path, gateway, CATALOG.get)
    transport = httpx.ASGITransport(make_page(make_deps(gateway, tmp_path, runs=runs)))
    async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
        run = await finished(client)
        open_run = await runs.find(run)
        assert open_run is not None
        open_run.journal.close()  # as another request may between finding the run and reading it
        for name, more in (("status", {"earlier": run}), ("row", {"row": 0}), ("report", PREVIEW)):
            body = await post(client, name, {"run": run, **more}, 409)
            assert body["error"]["code"] == "run_elsewhere"
    await runs.close()


async def test_a_run_can_be_paused_stopped_resumed_and_deleted(client: httpx.AsyncClient) -> None:
    run = await finished(client)
    for action in ("pause", "stop", "resume"):
        await post(client, "action", {"run": run, "action": action})
    await post(client, "action", {"run": run, "action": "delete"})
    body = await post(client, "status", {"run": run}, 404)
    assert body["error"]["code"] == "run_not_found"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("status", {"run": "x"}),
        ("status", {"run": "../votes.sqlite3x"}),
        ("validate", {"text": 1}),
        ("start", run_body(candidates=[])),
        ("start", run_body(candidates=[{"model": "a", "temperature": 3}])),
        ("start", run_body(candidates=[{"model": "a", "top_p": -1}])),
        ("start", run_body(candidates=[{"model": "a", "max_tokens": 0}])),
        ("start", run_body(candidates=[{"model": "a", "sead": 1}])),
        ("start", run_body(candidates=[{"model": "a", "stop": ["a"] * 5}])),
        ("start", run_body(candidates=[{"model": "a", "presence_penalty": 3}])),
        ("start", run_body(candidates=[{"model": "a", "reasoning_effort": "as \n"}])),
        ("start", run_body(temperatures=[3])),
        ("start", run_body(repeats=0)),
        ("start", run_body(candidates=candidates(*map(str, range(13))))),
        ("start", run_body(temperatures=[n / 10 for n in range(9)])),
        ("start", run_body(text="x\n" * 2000, repeats=100)),
        ("action", {"run": "x" * 24, "action": "explode"}),
        ("report", {"run": "x" * 24, "form": "exe"}),
    ],
)
async def test_an_invalid_request_is_rejected(
    client: httpx.AsyncClient, name: str, body: Any
) -> None:
    assert (await post(client, name, body, 400))["error"]["hint"]


async def test_a_withheld_model_gets_no_request(client: httpx.AsyncClient) -> None:
    for name in ("forecast", "start"):
        body = await post(client, name, run_body(candidates=candidates("a", "off")), 404)
        assert body["error"]["code"] == "model_withheld"


async def test_another_website_cannot_start_a_run(client: httpx.AsyncClient) -> None:
    headers = {"sec-fetch-site": "cross-site"}
    response = await client.post("/page/sets/start", json=run_body(), headers=headers)
    assert response.status_code == 403


def test_a_run_without_settings_sends_no_parameters() -> None:
    sent = RunRequest.model_validate({"set": {"text": "x"}, "candidates": candidates("a")})
    assert build_plan(sent).lanes == (Lane(model="a"),)
    assert (sent.temperatures, sent.max_tokens, sent.repeats) == ([], None, 1)


async def test_a_candidate_is_called_with_its_own_settings(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    own: dict[str, object] = {
        "top_p": 0.5,
        "max_tokens": 9,
        "seed": 3,
        "system": "Be brief.",
        "endpoint": "eu-1",
    }
    own |= {"stop": ["END"], "frequency_penalty": -1, "reasoning_effort": "low"}
    candidates = [{"model": "a", "temperature": 0, **own}, {"model": "a"}]
    more = {"candidates": candidates, "temperatures": [0.7], "system": "Be kind.", "title": "Mine"}
    run = await finished(client, text="one", **more)
    sent = sorted(gateway.requests, key=lambda request: request.endpoint is None)
    assert [
        (r.conversation.system, r.endpoint, r.sampling.temperature, r.sampling.top_p) for r in sent
    ] == [("Be brief.", "eu-1", 0, 0.5), ("Be kind.", None, 0.7, Default.CATALOG)]
    sampling = sent[0].sampling
    assert (sampling.max_tokens, sampling.seed, sampling.stop) == (9, 3, ("END",))
    assert (sampling.frequency_penalty, sampling.reasoning_effort) == (-1, "low")
    status = await post(client, "status", {"run": run})
    assert status["title"] == "Mine"
    for text in (
        "Model A<small>temperature 0, top_p 0.5, max tokens 9, seed 3, stop &#34;END&#34;",
        "Be kind.",
    ):
        assert text in status["html"]


async def test_the_forecast_names_models_without_an_endpoint(
    client: httpx.AsyncClient,
) -> None:
    body = await post(client, "forecast", run_body(candidates=candidates("a", "gone")))
    assert "\nNo endpoint serves gone right now." in body["text"]


async def test_retry_repeats_only_what_failed(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    run = await finished(client)
    assert (await post(client, "status", {"run": run}))["failed"] == 1
    gateway.script = lambda request: answer(request, "At last.")
    before = len(gateway.requests)
    await post(client, "action", {"run": run, "action": "retry"})
    async with asyncio.timeout(20):
        while (status := await post(client, "status", {"run": run}))["state"] != "done":
            pass
    assert [(r.model, prompt_text(r)) for r in gateway.requests[before:]] == [("b", "two")]
    assert (status["failed"], status["text"]) == (0, "4 of 4")


async def test_the_report_renders_answers_like_the_page(
    client: httpx.AsyncClient,
) -> None:
    run = await finished(client)
    made = {form: await report_of(client, run, form) for form in ("html", "md", "json")}
    assert '<p dir="auto"><strong>one</strong> &lt;script&gt;' in made["html"]
    assert "**one** <script>" in made["md"]
    assert json.loads(made["json"])["rows"][0]["answer"].startswith("**one** <script>")


async def report_of(client: httpx.AsyncClient, run: str, form: str) -> str:
    return (await client.post("/page/sets/report", json={"run": run, "form": form})).text


async def test_a_run_of_another_replica_is_shown_as_such(tmp_path: Path) -> None:
    never = asyncio.Event()
    gateway = FakeGateway(lambda _request: [never], [endpoint("eu-1", "a", "b")])
    here, there = (open_run_store(tmp_path, gateway, CATALOG.get) for _ in range(2))
    run = await there.start(plan("x"), "T")
    transport = httpx.ASGITransport(make_page(make_deps(gateway, tmp_path, runs=here)))
    async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
        for name, more in (
            ("status", {}),
            ("row", {"row": 0}),
            ("report", PREVIEW),
            ("action", {"action": "delete"}),
        ):
            body = await post(client, name, {"run": run, **more}, 409)
            assert body["error"]["title"] == "Another replica of the server is using this run."
    await here.close()
    await there.close()
