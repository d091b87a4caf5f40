"""`/v1/models`, `/healthz`, `/metrics`."""

from __future__ import annotations

from contextlib import aclosing

import pytest
from prometheus_client.parser import text_string_to_metric_families

from akash_gradio.api.metrics import Metrics
from akash_gradio.config.endpoints import EndpointSettings
from akash_gradio.config.settings import read_settings
from akash_gradio.domain.chat import ChatRequest, Conversation, Role, Turn
from akash_gradio.domain.model import ModelCard
from akash_gradio.domain.receipt import Attempt, Count, Receipt
from tests.api.serving import chat_body, serving, serving_one, serving_pair
from tests.stubs import StubEndpoint, entry, settings_for


async def test_served_models_are_listed_in_openais_shape() -> None:
    cards = (
        ModelCard(id="m", name="Em", token_limit=4096),
        ModelCard(id="not-served", name="No", available=True),
    )
    async with StubEndpoint() as stub:
        settings = settings_for(entry(stub, models=["m", "org/models"]))
        async with serving(settings, *cards) as served, served.client() as client:
            models = [model async for model in await client.models.list()]
            model = await client.models.retrieve("org/models")
    assert [model.id for model in models] == ["m", "org/models"]
    assert models[0].object == "model"
    assert models[0].created > 1_700_000_000
    assert (models[0].model_extra or {})["context_length"] == 4096
    assert model == models[1]


async def test_the_server_is_healthy_while_a_model_is_available() -> None:
    async with serving_one("status_401") as (served, _):
        good = await served.get("/healthz")
        assert (good.status, good.json) == (200, {"status": "ok", "models": 1})
        await served.ask(chat_body())
        bad = await served.get("/healthz")
        assert bad.status == 503
        assert bad.json == {"status": "unavailable", "reason": "every endpoint is down"}


async def test_an_unhealthy_server_gives_the_reason() -> None:
    async with serving(read_settings({}, None)) as served:
        none = await served.get("/healthz")
        assert (none.status, none.json["reason"]) == (503, "no endpoint is configured")
        served.gateway.expect_endpoint("this-computer", ("m",))
        loading = await served.get("/healthz", x_forwarded_for="203.0.113.5")
        assert "is loading" in loading.json["reason"]
        response = await served.ask(chat_body())
        assert (response.status, response.headers["retry-after"]) == (503, "5")
        drained = EndpointSettings(url="https://a.test", name="a", models=("m",), weight=0)
        served.gateway.remove_endpoint("this-computer")
        served.gateway.put_endpoint(drained)
        assert "drained" in (await served.get("/healthz")).json["reason"]


async def test_answers_attempts_and_tokens_are_counted() -> None:
    async with serving_pair("status_500") as (served, _, _):
        await served.ask(chat_body(stream=True))
        await served.ask({**chat_body(), "model": "unknown-" + "x" * 50})
        page = await served.get("/metrics")
    assert page.headers["content-type"].startswith("text/plain")
    numbers = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page.body.decode())
        for sample in family.samples
    }

    def number(name: str, **labels: str) -> float:
        return numbers[f"akash_gradio_{name}", *sorted(labels.items())]

    assert number("requests_total", model="m", outcome="answered") == 1
    assert number("requests_total", model="other", outcome="failed") == 1
    assert number("attempts_total", endpoint="bad", outcome="EndpointRefused") == 1
    assert number("attempts_total", endpoint="good", outcome="ok") == 1
    assert number("tokens_total", model="m", direction="out", source="reported") == 9
    assert number("first_token_seconds_count", model="m") == 1
    assert number("answer_seconds_count", model="m") == 1
    assert number("in_flight", endpoint="good") == 0
    assert number("endpoint_state", endpoint="good", state="ready") == 1
    assert number("endpoint_state", endpoint="good", state="down") == 0


async def test_an_open_breaker_is_a_metric() -> None:
    async with serving_one("closed_port") as (served, _):
        for _ in range(3):
            await served.ask(chat_body())
        assert b'state{endpoint="only",state="down"} 1.0' in (await served.get("/metrics")).body


async def test_metrics_are_not_public() -> None:
    async with serving_one() as (served, _):
        assert (await served.get("/metrics", x_forwarded_for="203.0.113.5")).status == 403


@pytest.mark.parametrize("finish", ["stop", "length", "whatever an endpoint sends"])
def test_labels_are_bounded_whatever_an_endpoint_or_a_client_sends(finish: str) -> None:
    metrics = Metrics(lambda model: model == "m")
    attempt = Attempt(endpoint="a", model="m", reason="weighted", outcome="ok", elapsed_ms=1)
    for model in ("m", *(f"made-up-{number}" for number in range(50))):
        metrics.observe(
            Receipt(
                requested_model=model,
                answering_model=model,
                endpoint="a",
                attempts=(attempt,),
                first_token_s=0.1,
                tokens_out=Count(tokens=3, reported=False),
                finish=finish,
            )
        )
    page = metrics.export().decode()
    assert "made-up" not in page
    assert "whatever" not in page
    assert 'requests_total{model="other",outcome="answered"} 50.0' in page
    assert 'tokens_total{direction="out",model="other",source="estimated"} 150.0' in page


async def test_answers_of_the_page_are_counted_too() -> None:
    conversation = Conversation(turns=(Turn(role=Role.USER, content="hi"),))
    async with serving_one() as (served, _):
        stream = served.gateway.stream(ChatRequest(model="m", conversation=conversation))
        async with aclosing(stream) as events:
            async for _event in events:
                pass
        assert b'requests_total{model="m",outcome="answered"} 1.0' in served.metrics.export()
