"""OpenAI's Python SDK against `/v1` with every misbehaving endpoint."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionChunk

from tests.api.serving import serving_one, serving_pair
from tests.stubs import BEHAVIORS, Ending, Exchange, behaviors_with, wire
from tests.stubs.wire import error, to_json

MESSAGES: Any = [{"role": "user", "content": "Grüße"}]
TAGGED = {
    "think_tags_split": "<think>" + "".join(wire.REASONING) + "</think>" + wire.TEXT,
    "think_end_alone": "".join(wire.REASONING) + "</think>" + wire.TEXT,
}
"""`/v1` forwards what the endpoint sends; the client knows its model."""
ANSWERING = sorted(set(behaviors_with(Ending.COMPLETE)) - {"echoes"})


def timeouts(name: str) -> dict[str, Any]:
    if "Timeout" in BEHAVIORS[name].error:
        return {"FIRST_TOKEN_TIMEOUT": 0.8, "IDLE_TIMEOUT": 1.5}
    return {}


async def stream_into(client: AsyncOpenAI, into: list[str], **fields: Any) -> dict[str, str]:
    """Append the text to `into` as it arrives, and return the headers."""
    asking = client.chat.completions.with_raw_response
    raw = await asking.create(model="m", messages=MESSAGES, stream=True, **fields)
    chunk: ChatCompletionChunk
    async for chunk in raw.parse():
        for choice in chunk.choices:
            into.append(choice.delta.content or "")  # noqa: PERF401 - keeps the text when it raises
    return dict(raw.headers)


async def complete(client: AsyncOpenAI) -> tuple[str | None, dict[str, str]]:
    raw = await client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
    return raw.parse().choices[0].message.content, dict(raw.headers)


@pytest.mark.parametrize("name", behaviors_with(Ending.NO_FIRST_TOKEN))
async def test_a_failure_before_the_first_token_is_hidden(name: str) -> None:
    async with (
        serving_pair(name, **timeouts(name)) as (served, bad, good),
        served.client() as client,
    ):
        text: list[str] = []
        headers = await stream_into(client, text)
    assert "".join(text) == wire.TEXT
    assert (headers["x-endpoint"], headers["x-attempts"]) == ("good", "2")
    assert headers["x-accel-buffering"] == "no"
    assert "x-fallback-model" not in headers
    assert len(good.chats) == 1
    assert len(bad.chats) == (0 if name in {"closed_port", "plain_text_on_https"} else 1)


@pytest.mark.parametrize("name", behaviors_with(Ending.NO_FIRST_TOKEN))
async def test_a_failure_before_a_whole_response_is_hidden(name: str) -> None:
    options = dict.fromkeys(timeouts(name), 0.06)  # multiplied by five for a whole response
    async with serving_pair(name, **options) as (served, _bad, _good), served.client() as client:
        text, headers = await complete(client)
    assert text == wire.TEXT
    assert (headers["x-endpoint"], headers["x-attempts"]) == ("good", "2")


@pytest.mark.parametrize("name", ANSWERING)
async def test_the_sdk_reads_every_way_of_streaming(name: str) -> None:
    async with serving_one(name) as (served, _), served.client() as client:
        text: list[str] = []
        await stream_into(client, text)
    assert "".join(text) == TAGGED.get(name, BEHAVIORS[name].text)


@pytest.mark.parametrize("name", ANSWERING)
async def test_the_sdk_reads_a_whole_response(name: str) -> None:
    async with serving_one(name) as (served, stub), served.client() as client:
        text, headers = await complete(client)
    assert (text or "") == BEHAVIORS[name].whole_text
    assert headers["content-type"] == "application/json"
    assert len(stub.chats) == 1
    assert "stream" not in stub.chats[0].json


@pytest.mark.parametrize("name", behaviors_with(Ending.INTERRUPTED))
async def test_an_interrupted_answer_is_delivered_before_the_sdk_raises(name: str) -> None:
    async with (
        serving_pair(name, **timeouts(name)) as (served, _bad, good),
        served.client() as client,
    ):
        text: list[str] = []
        with pytest.raises(openai.APIError) as raised:
            await stream_into(client, text)
        assert [status.in_flight for status in served.gateway.endpoints()] == [0, 0]
    assert "".join(text) == BEHAVIORS[name].text
    assert raised.value.code == "reply_interrupted"
    assert not good.chats


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("name", behaviors_with(Ending.REQUEST_REFUSED))
async def test_a_refused_request_keeps_its_status_and_message(name: str, stream: bool) -> None:
    kinds: dict[int, type[openai.APIStatusError]] = {
        400: openai.BadRequestError,
        413: openai.APIStatusError,
        422: openai.UnprocessableEntityError,
    }
    too_long = BEHAVIORS[name].error == "ContextExceeded"
    async with serving_pair(name) as (served, bad, good), served.client() as client:
        if too_long:
            good.set_behavior(name)  # or it would answer
        with pytest.raises(openai.APIStatusError) as raised:
            await client.chat.completions.create(model="m", messages=MESSAGES, stream=stream)
    assert isinstance(raised.value, kinds[raised.value.status_code])
    assert raised.value.type == "invalid_request_error"
    if too_long:
        assert raised.value.code == "context_length_exceeded"
        assert "8192" in raised.value.message
    else:
        assert f"failed with {raised.value.status_code}" in raised.value.message
    assert (len(bad.chats), len(good.chats)) == (1, int(too_long))


@pytest.mark.parametrize(
    ("name", "kind", "status"),
    [
        ("closed_port", openai.InternalServerError, 502),
        ("status_500", openai.InternalServerError, 502),
        ("status_401", openai.InternalServerError, 502),
        ("html_with_200", openai.InternalServerError, 502),
        ("done_only", openai.InternalServerError, 502),
        ("status_429", openai.RateLimitError, 429),
        ("retry_after_in_seconds", openai.RateLimitError, 429),
        ("hangs_after_headers", openai.InternalServerError, 504),
        ("hangs_before_headers", openai.InternalServerError, 504),
    ],
)
async def test_when_all_endpoints_fail_the_status_gives_the_reason(
    name: str, kind: type[openai.APIStatusError], status: int
) -> None:
    async with serving_one(name, **timeouts(name)) as (served, _), served.client() as client:
        with pytest.raises(kind) as raised:
            await stream_into(client, [])
        assert raised.value.status_code == status
        if status == 429:
            assert int(raised.value.response.headers["retry-after"]) >= 1
        if name == "retry_after_in_seconds":
            with pytest.raises(openai.RateLimitError) as again:
                await stream_into(client, [])
            assert 1 <= int(again.value.response.headers["retry-after"]) <= 7


async def test_while_all_endpoints_are_paused_the_status_is_503_with_retry_after() -> None:
    async def paused(x: Exchange) -> None:
        await x.reply(to_json(error("maintenance")), 503, retry_after="60")

    async with serving_one(paused) as (served, stub), served.client() as client:
        for _ in range(2):
            with pytest.raises(openai.InternalServerError) as raised:
                await complete(client)
    assert raised.value.status_code == 503
    assert 50 <= int(raised.value.response.headers["retry-after"]) <= 60
    assert raised.value.code == "resting"
    assert len(stub.chats) == 1


async def test_an_unknown_model_is_not_found() -> None:
    async with serving_one() as (served, stub), served.client() as client:
        with pytest.raises(openai.NotFoundError) as raised:
            await client.chat.completions.create(model="nope", messages=MESSAGES)
    assert (raised.value.code, raised.value.param) == ("model_not_found", "model")
    assert not stub.chats
