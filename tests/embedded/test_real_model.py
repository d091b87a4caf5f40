"""The shipped weights in the real server; they are downloaded once into the cache folder."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from akash_gradio.config.endpoints import EndpointSettings
from akash_gradio.config.settings import read_settings
from akash_gradio.domain.progress import Stage
from akash_gradio.embedded.child import running_server
from akash_gradio.embedded.server import Parameters
from akash_gradio.embedded.supervisor import EmbeddedEndpoint, server_command
from akash_gradio.embedded.weights import SMOLLM2, fetch_weights
from tests.embedded.fakes import exits_within, sha256

pytestmark = [pytest.mark.embedded, pytest.mark.asyncio(loop_scope="module")]
MODEL = "smollm2-135m-instruct"
STOP_S = 3.0
"""Stopping takes half a second; a busy machine may add to it."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def endpoint() -> AsyncIterator[EndpointSettings]:
    ready: asyncio.Future[EndpointSettings] = asyncio.get_running_loop().create_future()
    embedded = EmbeddedEndpoint(read_settings(), ready.set_result, lambda: None)
    task = asyncio.create_task(embedded.run())
    pending: set[asyncio.Future[Any]] = {task, ready}
    await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    if task.done() or embedded.progress.stage is Stage.UNAVAILABLE:
        pytest.fail(f"the model can't run here: {embedded.progress}")
    yield ready.result()
    task.cancel()
    await asyncio.wait([task])


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(endpoint: EndpointSettings) -> AsyncIterator[httpx.AsyncClient]:
    headers = {name: value.get_secret_value() for name, value in endpoint.custom_headers.items()}
    assert endpoint.api_key is not None
    headers["Authorization"] = f"Bearer {endpoint.api_key.get_secret_value()}"
    async with httpx.AsyncClient(base_url=endpoint.url, headers=headers, timeout=120) as client:
        yield client


def body(text: str, **fields: object) -> dict[str, object]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **fields}


async def chunks_of(
    client: httpx.AsyncClient, text: str, **fields: object
) -> AsyncGenerator[dict[str, Any], None]:
    request = body(text, stream=True, stream_options={"include_usage": True}, **fields)
    async with client.stream("POST", "/chat/completions", json=request) as response:
        response.raise_for_status()
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                yield json.loads(line[6:])


async def test_a_streamed_request_is_answered(client: httpx.AsyncClient) -> None:
    async with aclosing(chunks_of(client, "Count from one to ten.", temperature=0)) as stream:
        chunks = [chunk async for chunk in stream]
    text = "".join(
        choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]
    )
    assert "10" in text
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] > 3


async def test_without_the_key_every_request_is_rejected(endpoint: EndpointSettings) -> None:
    async with httpx.AsyncClient(base_url=endpoint.url) as client:
        for path in ("/models", "/chat/completions"):
            response = await client.post(path, json=body("hello"))
            assert response.status_code == 401
        response = await client.get("/models")
        assert response.status_code == 401


async def test_it_lists_its_one_model(
    client: httpx.AsyncClient, endpoint: EndpointSettings
) -> None:
    listed = (await client.get("/models")).json()["data"]
    assert [model["id"] for model in listed] == [MODEL] == list(endpoint.models or ())


async def test_no_page_and_no_slots_are_served(
    client: httpx.AsyncClient, endpoint: EndpointSettings
) -> None:
    root = endpoint.url.removesuffix("/v1")
    assert (await client.get(f"{root}/")).status_code == 404
    assert (await client.get(f"{root}/slots")).status_code == 501


async def test_pages_of_other_origins_cannot_read_responses(client: httpx.AsyncClient) -> None:
    response = await client.get("/models", headers={"Origin": "https://evil.example"})
    assert response.headers.get("Access-Control-Allow-Origin", "") == ""


async def test_temperature_zero_with_a_seed_repeats(client: httpx.AsyncClient) -> None:
    request = body("Tell me about the sea.", temperature=0, seed=7, max_tokens=40)
    answers = [
        (await client.post("/chat/completions", json=request)).json()["choices"][0]["message"]
        for _ in range(2)
    ]
    assert answers[0] == answers[1]


async def test_a_prompt_that_exceeds_the_context_is_rejected_with_the_counts(
    client: httpx.AsyncClient,
) -> None:
    response = await client.post("/chat/completions", json=body("word " * 5000))
    error = response.json()["error"]
    assert response.status_code == 400
    assert error["type"] == "exceed_context_size_error"
    assert error["n_ctx"] == 4096
    assert error["n_prompt_tokens"] > 5000


async def test_a_disconnected_client_releases_its_slot(client: httpx.AsyncClient) -> None:
    long_prompt = "Count from one to a thousand."
    for _ in range(4):  # twice as many as there are slots
        async with aclosing(
            chunks_of(client, long_prompt, max_tokens=3000, ignore_eos=True)
        ) as stream:
            await anext(stream)
    began = time.monotonic()
    async with aclosing(chunks_of(client, "Hello", max_tokens=3)) as stream:
        await anext(stream)
    assert time.monotonic() - began < 5.0


def parameters(path: Path, *, n_predict: int = -1) -> Parameters:
    return Parameters(
        model_path=str(path),
        alias=MODEL,
        api_key="k",
        n_ctx=512,
        n_parallel=1,
        n_predict=n_predict,
        repeat_penalty=1.0,
        n_threads=1,
    )


async def test_an_answer_without_max_tokens_ends_at_the_servers_limit(
    endpoint: EndpointSettings,
) -> None:
    weights = await fetch_weights(None, read_settings().cache_dir, lambda _progress: None)
    limited = parameters(weights.path, n_predict=8)
    async with running_server(server_command(), limited, load_timeout_s=60) as child:
        headers = {"Authorization": "Bearer k"}
        async with httpx.AsyncClient(headers=headers, timeout=60) as client:
            request = body("Count.", ignore_eos=True)
            response = await client.post(f"{child.url}/v1/chat/completions", json=request)
    answer = response.json()
    assert answer["usage"]["completion_tokens"] == 8
    assert answer["choices"][0]["finish_reason"] == "length"


async def test_closing_ends_the_child_quickly_even_during_an_answer(
    endpoint: EndpointSettings,
) -> None:
    weights = await fetch_weights(None, read_settings().cache_dir, lambda _progress: None)
    async with AsyncExitStack() as stack:
        server = running_server(server_command(), parameters(weights.path), load_timeout_s=60)
        child = await stack.enter_async_context(server)
        headers = {"Authorization": "Bearer k"}
        async with httpx.AsyncClient(base_url=f"{child.url}/v1", headers=headers) as client:
            request = body("Count.", stream=True, max_tokens=400, ignore_eos=True)
            async with client.stream("POST", "/chat/completions", json=request) as response:
                await anext(response.aiter_lines())
                began = time.monotonic()
                await stack.aclose()
                assert time.monotonic() - began < STOP_S
    assert exits_within(child.process_id, 0)


async def test_the_cached_weights_are_the_pinned_ones(endpoint: EndpointSettings) -> None:
    path = read_settings().cache_dir / "weights" / os.path.basename(SMOLLM2.member)
    assert sha256(path.read_bytes()) == SMOLLM2.sha256
