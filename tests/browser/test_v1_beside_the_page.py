"""`/v1`, `/healthz` and `/metrics` on the port of the page, as `python app.py` serves them."""

from __future__ import annotations

import time
from urllib.request import urlopen

import openai
import pytest

from tests.browser.servers import App, wait_until
from tests.browser.upstreams import Gate, Upstream, answering, answering_at_gate, endless

pytestmark = pytest.mark.browser

RELEASE_LIMIT_S = 0.2


def client_of(app: App) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{app.url}/v1", api_key="any", max_retries=0, timeout=20)


def stream_answer(
    client: openai.OpenAI, model: str
) -> openai.Stream[openai.types.chat.ChatCompletionChunk]:
    return client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "hi"}], stream=True
    )


def test_the_sdk_lists_models_and_streams_an_answer(app: App, upstream: Upstream) -> None:
    upstream.stub.set_behavior(answering("Grüße", " aus", " Wien"))
    with client_of(app) as client:
        assert upstream.model in {model.id for model in client.models.list()}
        stream = stream_answer(client, upstream.model)
        text = "".join(each.choices[0].delta.content or "" for each in stream if each.choices)
    assert text == "Grüße aus Wien"
    assert stream.response.headers["x-endpoint"] == upstream.entries()[0]["name"]
    assert stream.response.headers["x-accel-buffering"] == "no"


def test_events_are_forwarded_without_delay(app: App, upstream: Upstream) -> None:
    gate = Gate()
    upstream.stub.set_behavior(answering_at_gate(gate, before=["one"], after=["two"]))
    with client_of(app) as client:
        words = (each.choices[0].delta.content for each in stream_answer(client, upstream.model))
        received = [next(word for word in words if word)]
        gate.open()
        received += [word for word in words if word]
    assert received == ["one", "two"]


def test_a_disconnect_closes_the_upstream_connection(app: App, upstream: Upstream) -> None:
    upstream.stub.set_behavior(endless())
    with client_of(app) as client:
        # The fastest of five: load only makes it slower.
        assert any(_closed_after_s(client, upstream) < RELEASE_LIMIT_S for _ in range(5))


def _closed_after_s(client: openai.OpenAI, upstream: Upstream) -> float:
    stream = stream_answer(client, upstream.model)
    next(stream)
    closed_at = time.monotonic()
    stream.close()
    wait_until(
        lambda: (upstream.stub.closed_at or 0) > closed_at, 2, "the endpoint's connection to close"
    )
    return (upstream.stub.closed_at or 0) - closed_at


def test_health_and_metrics_are_served(app: App, upstream: Upstream) -> None:
    upstream.stub.set_behavior(answering("a"))
    with client_of(app) as client:
        list(stream_answer(client, upstream.model))
    with urlopen(f"{app.url}/healthz", timeout=10) as health:
        assert health.status == 200
    with urlopen(f"{app.url}/metrics", timeout=10) as page:
        assert (
            f'requests_total{{model="{upstream.model}",outcome="answered"}} 1.0'
            in page.read().decode()
        )
