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


def says(request: ChatRequest) -> list[Step]:
    if request.model == "b" and "two" in prompt_text(request):
        cause = EndpointRefused("eu-1", 500, detail="at https://planted.example/v1")
        return [AllEndpointsFailed("b", cause)]
    return answer(request, f"**{prompt_text(request)}** <script>alert(1)</script>", "Hm.")


@pytest.fixture
def answering() -> FakeGateway:
    return FakeGateway(says, [endpoint("eu-1", "a", "b", "off")])


@pytest.fixture
async def client(tmp_path: Path, answering: FakeGateway) -> AsyncIterator[httpx.AsyncClient]:
    deps = make_deps(answering, tmp_path, catalog=CATALOG)
    transport = httpx.ASGITransport(make_page(deps))
    async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
        yield client


def asked(text: str = "one\ntwo", **more: Any) -> dict[str, Any]:
    return {"set": {"text": text}, "candidates": named("a", "b"), **more}


def named(*models: str) -> list[dict[str, str]]:
    return [{"model": model} for model in models]


async def post(client: httpx.AsyncClient, name: str, body: Any, status: int = 200) -> Any:
    response = await client.post(f"/page/sets/{name}", json=body)
    assert response.status_code == status, response.text
    return response.json()


async def finished(client: httpx.AsyncClient, **more: Any) -> str:
    """The id of a run that has come to its end."""
    begun = await post(client, "start", asked(**more))
    run: str = begun["run"]
    async with asyncio.timeout(20):
        while (await post(client, "status", {"run": run}))["state"] != "done":
            pass
    return run


async def test_a_set_is_read_and_its_mistakes_are_told(client: httpx.AsyncClient) -> None:
    assert await post(client, "validate", {"text": "one\ntwo"}) == {"prompts": 2, "checked": 0}
    written = "prompt,contains\none,1\ntwo,\n"
    assert await post(client, "validate", {"text": written, "name": "a.csv"}) == {
        "prompts": 2,
        "checked": 1,
    }
    told = await post(client, "validate", {"text": 'prompt\n"one', "name": "a.csv"}, 400)
    assert told["error"]["hint"] == "row 2, column 1: a quote is not closed"


async def test_the_forecast_says_calls_tokens_cost_and_time(client: httpx.AsyncClient) -> None:
    told = await post(client, "forecast", asked(temperatures=[0.2, 0.9], repeats=2))
    assert told["calls"] == 16
    for said in (
        "16 calls: 2 prompts × 4 lanes × 2 times\nabout",
        "tokens in",
        "$0.0",
        "Price unknown for Model B.",
    ):
        assert said in told["text"]


async def test_a_run_shows_its_table_and_a_row_its_answers(client: httpx.AsyncClient) -> None:
    run = await finished(client, contains="one")
    look = await post(client, "status", {"run": run})
    assert (look["done"], look["total"], look["text"]) == (4, 4, "4 of 4 · 1 failed")
    assert look["title"] == "one"
    for said in (
        "2 of 2",
        "1 of 2",
        "no endpoint answered for",
        "✗",
        "✓",
        "Model A",
        "one &lt;script",
    ):
        assert said in look["html"]
    assert "**" not in look["html"]
    row = (await post(client, "row", {"run": run, "row": 0}))["html"]
    for said in ("<strong>one</strong>", "contains “one”", "parameters sent", "Hm."):
        assert said in row
    assert re.findall(r'data-go-row="(-?\d+)".*?( disabled)?>', row) == [
        ("-1", " disabled"),
        ("1", ""),
    ]
    assert "<script" not in look["html"] + row
    assert "planted" not in look["html"] + row


def test_before_the_first_answer_a_lane_tells_how_many_there_will_be() -> None:
    asked = plan("one", "two", repeats=2)
    lines = lane_lines(asked, summarize(asked, lambda _number: None), {"a": "A", "b": "B"})
    assert [(line.answered, line.passed) for line in lines] == [("0 of 4", "–"), ("0 of 4", "–")]


async def test_an_answer_that_nothing_was_demanded_of_has_no_mark(
    client: httpx.AsyncClient,
) -> None:
    html = (await post(client, "status", {"run": await finished(client)}))["html"]
    assert 'class="answer ok"' in html
    assert "✓" not in html


async def test_a_report_is_previewed_and_downloaded(client: httpx.AsyncClient) -> None:
    run = await finished(client)
    shown = await post(client, "report", {"run": run, "form": "html", "preview": True})
    file = await client.post("/page/sets/report", json={"run": run, "form": "html"})
    assert file.headers["content-type"].startswith("text/html")
    assert shown["whole"]
    assert "Model A" in file.text
    assert "planted" not in file.text
    told = json.loads(
        (await client.post("/page/sets/report", json={"run": run, "form": "json"})).text
    )
    assert len(told["rows"]) == 4


async def test_a_run_is_compared_with_an_earlier_one(client: httpx.AsyncClient) -> None:
    before, now = await finished(client), await finished(client, text="one\ntwo!")
    look = await post(client, "status", {"run": now, "earlier": before})
    assert "2 cells changed" in look["html"]
    assert "prompt changed" in look["html"]
    same = await post(client, "status", {"run": now, "earlier": now})
    assert "Nothing changed." in same["html"]


async def test_a_run_that_is_forgotten_while_it_is_looked_at_is_gone(tmp_path: Path) -> None:
    answering = FakeGateway(says, [endpoint("eu-1", "a", "b")])
    runs = open_run_store(tmp_path, answering, CATALOG.get)
    transport = httpx.ASGITransport(make_page(make_deps(answering, tmp_path, runs=runs)))
    async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
        run = await finished(client)
        found = await runs.find(run)
        assert found is not None
        found.journal.close()  # as `forget` does, between finding it and reading it
        for name, more in (("status", {"earlier": run}), ("row", {"row": 0}), ("report", PREVIEW)):
            told = await post(client, name, {"run": run, **more}, 404)
            assert told["error"]["code"] == "run_not_found"
    await runs.close()


async def test_a_run_is_stopped_gone_on_with_and_forgotten(client: httpx.AsyncClient) -> None:
    run = await finished(client)
    for action in ("pause", "stop", "resume"):
        await post(client, "action", {"run": run, "action": action})
    await post(client, "action", {"run": run, "action": "delete"})
    told = await post(client, "status", {"run": run}, 404)
    assert told["error"]["code"] == "run_not_found"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("status", {"run": "x"}),
        ("status", {"run": "../votes.sqlite3x"}),
        ("validate", {"text": 1}),
        ("start", asked(candidates=[])),
        ("start", asked(candidates=[{"model": "a", "temperature": 3}])),
        ("start", asked(candidates=[{"model": "a", "top_p": -1}])),
        ("start", asked(candidates=[{"model": "a", "max_tokens": 0}])),
        ("start", asked(candidates=[{"model": "a", "sead": 1}])),
        ("start", asked(candidates=[{"model": "a", "stop": ["a"] * 5}])),
        ("start", asked(candidates=[{"model": "a", "presence_penalty": 3}])),
        ("start", asked(candidates=[{"model": "a", "reasoning_effort": "as \n"}])),
        ("start", asked(temperatures=[3])),
        ("start", asked(repeats=0)),
        ("start", asked(candidates=named(*map(str, range(13))))),
        ("start", asked(temperatures=[n / 10 for n in range(9)])),
        ("start", asked(text="x\n" * 2000, repeats=100)),
        ("action", {"run": "x" * 24, "action": "explode"}),
        ("report", {"run": "x" * 24, "form": "exe"}),
    ],
)
async def test_what_makes_no_sense_is_refused(
    client: httpx.AsyncClient, name: str, body: Any
) -> None:
    assert (await post(client, name, body, 400))["error"]["hint"]


async def test_a_model_that_is_kept_from_visitors_is_not_asked(client: httpx.AsyncClient) -> None:
    for name in ("forecast", "start"):
        told = await post(client, name, asked(candidates=named("a", "off")), 404)
        assert told["error"]["code"] == "model_withheld"


async def test_another_website_may_not_begin_a_run(client: httpx.AsyncClient) -> None:
    headers = {"sec-fetch-site": "cross-site"}
    response = await client.post("/page/sets/start", json=asked(), headers=headers)
    assert response.status_code == 403


def test_the_defaults_of_a_run_send_nothing_of_their_own() -> None:
    sent = RunRequest.model_validate({"set": {"text": "x"}, "candidates": named("a")})
    assert build_plan(sent).lanes == (Lane(model="a"),)
    assert (sent.temperatures, sent.max_tokens, sent.repeats) == ([], None, 1)


async def test_a_candidate_is_asked_with_what_is_its_own(
    client: httpx.AsyncClient, answering: FakeGateway
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
    sent = sorted(answering.requests, key=lambda request: request.endpoint is None)
    assert [
        (r.conversation.system, r.endpoint, r.sampling.temperature, r.sampling.top_p) for r in sent
    ] == [("Be brief.", "eu-1", 0, 0.5), ("Be kind.", None, 0.7, Default.CATALOG)]
    asked_with = sent[0].sampling
    assert (asked_with.max_tokens, asked_with.seed, asked_with.stop) == (9, 3, ("END",))
    assert (asked_with.frequency_penalty, asked_with.reasoning_effort) == (-1, "low")
    look = await post(client, "status", {"run": run})
    assert look["title"] == "Mine"
    for said in (
        "Model A<small>temperature 0, top_p 0.5, max tokens 9, seed 3, stop &#34;END&#34;",
        "Be kind.",
    ):
        assert said in look["html"]


async def test_a_model_that_nobody_serves_is_told_before_the_start(
    client: httpx.AsyncClient,
) -> None:
    told = await post(client, "forecast", asked(candidates=named("a", "gone")))
    assert "\nNo endpoint serves gone right now." in told["text"]


async def test_what_failed_is_asked_again_and_nothing_else(
    client: httpx.AsyncClient, answering: FakeGateway
) -> None:
    run = await finished(client)
    assert (await post(client, "status", {"run": run}))["failed"] == 1
    answering.script = lambda request: answer(request, "At last.")
    before = len(answering.requests)
    await post(client, "action", {"run": run, "action": "retry"})
    async with asyncio.timeout(20):
        while (look := await post(client, "status", {"run": run}))["state"] != "done":
            pass
    assert [(r.model, prompt_text(r)) for r in answering.requests[before:]] == [("b", "two")]
    assert (look["failed"], look["text"]) == (0, "4 of 4")


async def test_the_report_shows_answers_as_they_are_read_on_the_page(
    client: httpx.AsyncClient,
) -> None:
    run = await finished(client)
    made = {form: await report_of(client, run, form) for form in ("html", "md", "json")}
    assert '<p dir="auto"><strong>one</strong> &lt;script&gt;' in made["html"]
    assert "**one** <script>" in made["md"]
    assert json.loads(made["json"])["rows"][0]["answer"].startswith("**one** <script>")


async def report_of(client: httpx.AsyncClient, run: str, form: str) -> str:
    return (await client.post("/page/sets/report", json={"run": run, "form": form})).text
