"""Requests reach the endpoint, and its bytes reach the client, at once and unchanged."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from akash_gradio.domain.model import ModelCard
from tests.api.serving import (
    CHAT,
    LONG_TIMEOUTS,
    Connection,
    chat_body,
    serving,
    serving_one,
    serving_pair,
)
from tests.stubs import Exchange, StubEndpoint, entry, settings_for, wire
from tests.stubs.behaviors import send_stream
from tests.stubs.wire import DONE, chunk, event, role_event, stream_body, text_event, usage_event

MESSAGES: Any = [{"role": "user", "content": "hi"}]
USAGE_ON: Any = {"include_usage": True}


async def test_streamed_bytes_are_the_endpoints_bytes() -> None:
    async with serving_one() as (served, _):
        response = await served.ask(chat_body(stream=True))
    assert response.body == stream_body().replace("\u2028".encode(), rb"\u2028")
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"


async def test_every_event_is_forwarded_at_once() -> None:
    gates = [asyncio.Event() for _ in range(3)]

    async def handler(x: Exchange) -> None:
        await x.open_stream()
        await x.send(role_event())
        for number, gate in enumerate(gates):
            await x.send(text_event(str(number)))
            await gate.wait()
        await x.send(wire.finish_event() + DONE)
        await x.end()

    async with serving_one(handler) as (served, _), await served.connect() as connection:
        await connection.send("POST", CHAT, chat_body(stream=True))
        await connection.read_head()
        assert await connection.read_chunk() == role_event() + text_event("0")
        gates[0].set()
        assert await connection.read_chunk() == text_event("1")
        gates[1].set()
        assert await connection.read_chunk() == text_event("2")
        gates[2].set()
        rest = b""
        while piece := await connection.read_chunk():
            rest += piece
        assert rest == wire.finish_event() + DONE


async def test_unknown_fields_are_forwarded_in_both_directions() -> None:
    async def handler(x: Exchange) -> None:
        if x.request.json.get("stream"):
            odd = chunk({"content": "a", "x_delta": {"deep": [1]}}, x_top=1.5)
            await send_stream(
                x, role_event(), event(odd), event({**odd, "x_top": 2}), wire.finish_event(), DONE
            )
        else:
            await x.reply(b'{"choices":[{"message":{"content":"a"},"x":1}],  "x_top":1.50}')

    request = chat_body(top_k=3, x_odd={"a": [None, 1.5, "é"]}, logit_bias={"1": -100})
    request["messages"][0]["x_name"] = "y"
    async with serving_one(handler) as (served, stub):
        streamed = await served.ask({**request, "stream": True})
        whole = await served.ask(request)
    assert stub.chats[0].json == {**request, "stream": True, "stream_options": USAGE_ON}
    assert stub.chats[1].json == request
    values = [json.loads(line[6:]) for line in streamed.body.split(b"\n\n")[1:3]]
    assert [value["x_top"] for value in values] == [1.5, 2]
    assert values[0]["choices"][0]["delta"]["x_delta"] == {"deep": [1]}
    assert whole.body == b'{"choices":[{"message":{"content":"a"},"x":1}],  "x_top":1.50}'


async def test_tool_calls_work_with_the_sdk() -> None:
    tools: Any = [{"type": "function", "function": {"name": "f", "parameters": {}}}]

    async def handler(x: Exchange) -> None:
        def call(**fields: Any) -> bytes:
            return event(chunk({"tool_calls": [{"index": 0, **fields}]}))

        first = call(id="call_1", type="function", function={"name": "f", "arguments": ""})
        arguments = [call(function={"arguments": part}) for part in ('{"a"', ":1}")]
        await send_stream(x, role_event(), first, *arguments, wire.finish_event("tool_calls"), DONE)

    async with serving_one(handler) as (served, stub), served.client() as client:
        stream = client.chat.completions.stream(model="m", messages=MESSAGES, tools=tools)
        async with stream as events:
            final = await events.get_final_completion()
    (choice,) = final.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    assert choice.message.tool_calls[0].function.arguments == '{"a":1}'
    assert stub.chats[0].json["tools"] == tools


async def test_only_the_client_sets_sampling_parameters() -> None:
    card = ModelCard(
        id="m", name="M", temperature=0.3, top_p=0.9, custom_headers={"X-Card": "of-the-card"}
    )
    async with (
        StubEndpoint() as stub,
        serving(settings_for(entry(stub), **LONG_TIMEOUTS), card) as served,
    ):
        await served.ask(chat_body())
    (request,) = stub.chats
    assert "temperature" not in request.json
    assert "top_p" not in request.json
    assert request.headers["x-card"] == "of-the-card"
    assert "authorization" not in request.headers


async def test_the_clients_key_is_sent_to_no_endpoint() -> None:
    async with StubEndpoint(key="key-of-the-endpoint") as stub:
        given = entry(stub, apiKey="key-of-the-endpoint")
        async with serving(settings_for(given, GATEWAY_API_KEYS="key-of-the-client")) as served:
            response = await served.ask(chat_body(), authorization="Bearer key-of-the-client")
    assert response.status == 200
    assert stub.chats[0].headers["authorization"] == "Bearer key-of-the-endpoint"


@pytest.mark.parametrize("stream", [True, False])
async def test_the_response_has_the_requested_model_name(stream: bool) -> None:
    async def handler(x: Exchange) -> None:
        own = {"model": x.request.json["model"]}
        if x.request.json.get("stream"):
            parts = [event({**chunk({"content": text}), **own}) for text in "abc"]
            await send_stream(x, *parts, wire.finish_event(), DONE)
        else:
            await x.reply(wire.to_json({**wire.completion(), **own}))

    async with serving_one(handler, {"modelMap": {"m": "org/own"}}) as (served, stub):
        response = await served.ask(chat_body(stream=stream))
    assert stub.chats[0].json["model"] == "org/own"
    assert b"org/own" not in response.body
    assert b'"model":"m"' in response.body


@pytest.mark.parametrize("requested", [True, False])
@pytest.mark.parametrize("name", ["perfect", "rejects_stream_options", "whole_json_for_a_stream"])
async def test_usage_is_sent_only_if_it_is_requested(name: str, requested: bool) -> None:
    options: Any = {"stream_options": {"include_usage": True}} if requested else {}
    async with serving_one(name) as (served, _), served.client() as client:
        stream = await client.chat.completions.create(
            model="m", messages=MESSAGES, stream=True, **options
        )
        chunks = [chunk async for chunk in stream]
    usages = [chunk.usage for chunk in chunks if chunk.usage]
    assert len(usages) == requested
    if usages:
        assert chunks[-1].choices == []
        assert usages[0].completion_tokens > 0
        assert usages[0].prompt_tokens > 0
        estimated = (usages[0].model_extra or {}).get("estimated", False)
        assert estimated == (name == "rejects_stream_options")


async def test_usage_on_other_chunks_is_not_sent_twice() -> None:
    async with serving_one("usage_on_every_chunk") as (served, _):
        response = await served.ask(chat_body(stream=True, stream_options=USAGE_ON))
    assert b'"choices":[]' not in response.body
    assert response.body.endswith(DONE)


async def test_a_header_names_the_fallback_model() -> None:
    async with StubEndpoint("status_500") as bad, StubEndpoint() as good:
        entries = entry(bad, name="bad"), entry(good, name="spare one", models=["other-model"])
        settings = settings_for(*entries, FALLBACK_MODEL="other-model", **LONG_TIMEOUTS)
        async with serving(settings) as served:
            response = await served.ask(chat_body())
    assert response.status == 200
    assert good.chats[0].json["model"] == "other-model"
    assert response.headers["x-fallback-model"] == "other-model"
    assert response.headers["x-endpoint"] == "spare one"
    assert response.headers["x-attempts"] == str(1 + len(bad.chats))


async def test_a_whole_response_may_take_longer_than_a_first_token() -> None:
    async def handler(x: Exchange) -> None:
        await asyncio.sleep(0.2)
        await x.reply(wire.to_json(wire.completion()))

    async with serving_one(handler, FIRST_TOKEN_TIMEOUT=0.2) as (served, _):
        assert (await served.ask(chat_body())).status == 200


async def test_each_response_has_its_own_id() -> None:
    async with serving_pair("status_500") as (served, _, _):
        ids = {(await served.ask(chat_body())).headers["x-request-id"] for _ in range(2)}
        ids |= {(await served.get("/v1/models")).headers["x-request-id"]}
    assert len(ids) == 3


async def test_an_interrupted_answer_ends_with_one_error_and_nothing_after_it() -> None:
    async with serving_one("cuts_in_the_middle") as (served, _):
        response = await served.ask(chat_body(stream=True))
    *events, last, rest = response.body.split(b"\n\n")
    assert (response.status, rest) == (200, b"")
    assert events
    assert not [event for event in events if b'"error"' in event]
    error = json.loads(last.removeprefix(b"data: "))["error"]
    assert (error["type"], error["code"]) == ("server_error", "reply_interrupted")


async def test_two_hundred_concurrent_streams_stay_separate() -> None:
    texts = [f"№{number} 👩‍🚀 {'abcdefghij' * 6} {number * 7919}" for number in range(200)]
    before = asyncio.all_tasks()
    async with StubEndpoint("echoes") as one, StubEndpoint("echoes") as two:
        entries = entry(one, name="one", weight=2), entry(two, name="two")
        options = {"FIRST_TOKEN_TIMEOUT": 60, "IDLE_TIMEOUT": 60}
        async with serving(settings_for(*entries, **options)) as served:
            requests = [served.ask(chat_body(text, stream=True)) for text in texts]
            answers = await asyncio.gather(*requests)
            assert [status.in_flight for status in served.gateway.endpoints()] == [0, 0]
    for text, answer in zip(texts, answers, strict=True):
        pieces = [text_event(text[i : i + 3]) for i in range(0, len(text), 3)]
        assert answer.body == role_event() + b"".join(pieces) + wire.finish_event() + DONE
        assert answer.headers["x-attempts"] == "1"
    assert asyncio.all_tasks() == before


async def test_killing_an_endpoint_under_load_loses_no_request() -> None:
    async with StubEndpoint("echoes") as one, StubEndpoint("echoes") as two:
        entries = entry(one, name="one", weight=5), entry(two, name="two")
        async with serving(settings_for(*entries, **LONG_TIMEOUTS)) as served:
            first = [await served.ask(chat_body(f"a{n}", stream=True)) for n in range(5)]
            one.kill()
            rest = await asyncio.gather(
                *(served.ask(chat_body(f"b{n}", stream=True)) for n in range(40))
            )
    assert {response.status for response in (*first, *rest)} == {200}
    assert all(response.body.endswith(DONE) for response in (*first, *rest))
    assert {response.headers["x-endpoint"] for response in rest} == {"two"}


async def test_usage_chunks_of_the_endpoint_are_forwarded_unchanged() -> None:
    async with serving_one() as (served, _):
        response = await served.ask(chat_body(stream=True, stream_options=USAGE_ON))
    assert response.body.endswith(wire.finish_event() + usage_event() + DONE)


async def test_each_event_restarts_the_idle_timeout() -> None:
    async def handler(x: Exchange) -> None:
        await x.open_stream()
        await x.send(role_event())
        for _ in range(6):
            await x.send(text_event("slowly "))
            await asyncio.sleep(0.2)  # six pauses, together longer than the timeout
        await x.send(wire.finish_event() + DONE)
        await x.end()

    async with serving_one(handler, IDLE_TIMEOUT=0.9) as (served, _):
        response = await served.ask(chat_body(stream=True))
    assert response.body.endswith(wire.finish_event() + DONE)


async def test_a_paused_client_slows_the_endpoint_down_and_misses_nothing() -> None:
    pad = "x" * 20_000  # outside the text, whose length is limited
    words = [event(chunk({"content": f"{number:06d}"}, pad=pad)) for number in range(1500)]
    sent = 0

    async def handler(x: Exchange) -> None:
        nonlocal sent
        await x.open_stream()
        await x.send(role_event())
        for word in words:
            await x.send(word)
            sent += 1
        await x.send(wire.finish_event() + DONE)
        await x.end()

    async with serving_one(handler) as (served, _):
        connection = Connection(*await asyncio.open_connection("127.0.0.1", served.port))
        await connection.send("POST", CHAT, chat_body(stream=True))
        await connection.read_head()
        before = -1
        while sent != before:  # until the endpoint is blocked
            before = sent
            await asyncio.sleep(0.2)
        assert sent < len(words)
        pieces = []
        while piece := await connection.read_chunk():
            pieces.append(piece)
        connection.disconnect()
    assert b"".join(pieces) == role_event() + b"".join(words) + wire.finish_event() + DONE


@pytest.mark.parametrize("stream", [True, False])
async def test_a_part_of_the_next_request_does_not_change_the_answer(stream: bool) -> None:
    gate = asyncio.Event()

    async def wait(x: Exchange) -> None:
        await gate.wait()
        if stream:
            await send_stream(x, role_event(), text_event("a"), wire.finish_event(), DONE)
        else:
            await x.reply(b'{"choices":[{"message":{"content":"a"}}]}')

    async with serving_one(wait) as (served, stub), await served.connect() as connection:
        await connection.send("POST", CHAT, chat_body(stream=stream))
        await stub.wait_for_requests()
        await connection.send_bytes(b"GET /v1/mod")
        await asyncio.sleep(0)
        gate.set()
        answer = await connection.read_response()
        await connection.send_bytes(b"els HTTP/1.1\r\nhost: localhost\r\n\r\n")
        models = await connection.read_response()
    assert (answer.status, models.status) == (200, 200)
    assert b'"a"' in answer.body
    assert models.json["data"][0]["id"] == "m"
