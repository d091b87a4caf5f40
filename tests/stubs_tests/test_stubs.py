"""The stubs themselves behave as their names say."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from tests.stubs import BEHAVIORS, Ending, StubEndpoint, StubThread, behaviors_with, shapes, wire
from tests.stubs.behaviors import MEBIBYTE

STREAM = {"model": "m", "messages": [{"role": "user", "content": "Grüße"}], "stream": True}
PLAIN = STREAM | {"stream": False}
TIMEOUT_S = 1.5

HARD_TO_READ = {"byte_order_mark", "data_over_several_lines", "whole_json_for_a_stream"}
HTTPX_RESULTS: dict[str, str] = {
    "closed_port": "ConnectError",
    "plain_text_on_https": "ConnectError",
    "resets_at_once": "ReadError",
    "closes_at_once": "RemoteProtocolError",
    "hangs_before_headers": "ReadTimeout",
    "hangs_after_headers": "200, ReadTimeout",
    "hangs_after_role": "200, ReadTimeout",
    "cuts_before_first_token": "200, RemoteProtocolError",
    "resets_before_first_token": "200, ReadError",
    "cuts_in_the_headers": "RemoteProtocolError",
    "not_http": "RemoteProtocolError",
    "shorter_than_promised": "200, RemoteProtocolError",
    "false_gzip_encoding": "200, DecodingError",
    "cuts_in_the_middle": "200, RemoteProtocolError",
    "resets_in_the_middle": "200, ReadError",
    "hangs_in_the_middle": "200, ReadTimeout",
}
"""What httpx reports if the connection itself fails."""
ENDLESS = {
    "slow_headers",
    "endless_comments",
    "endless_empty_deltas",
    "endless_line",
    "comments_after_the_first_token",
    "endless_line_in_the_middle",
}


@asynccontextmanager
async def post(
    stub: StubEndpoint, body: dict[str, Any] = STREAM, **headers: str
) -> AsyncIterator[httpx.Response]:
    url = f"{stub.url}/chat/completions"
    async with (
        httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client,
        client.stream("POST", url, json=body, headers=headers) as response,
    ):
        yield response


def chunks(body: bytes) -> list[Any]:
    lines = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    values = (line.removeprefix(b"data:").strip() for line in lines if line.startswith(b"data:"))
    return [json.loads(value) for value in values if value != b"[DONE]"]


def joined(body: bytes, field: str) -> str:
    choices = [choice for chunk in chunks(body) for choice in chunk.get("choices", ())]
    return "".join((choice["delta"] or {}).get(field) or "" for choice in choices)


def untagged(name: str, text: str) -> str:
    if name == "think_tags_split":
        return text.removeprefix("<think>").rpartition("</think>")[2]
    return text.replace("</think>", "")


async def httpx_result(name: str) -> str:
    status = ""
    try:
        async with StubEndpoint(name) as stub, post(stub) as response:
            status = str(response.status_code)
            await response.aread()
    except httpx.HTTPError as error:
        return ", ".join(filter(None, (status, type(error).__name__)))
    return status


@pytest.mark.parametrize(
    "name",
    sorted(
        set(behaviors_with(Ending.COMPLETE))
        - HARD_TO_READ
        - {"echoes", "false_gzip_encoding"}
        - shapes.NAMES
    ),
)
async def test_a_stream_has_the_expected_text(name: str) -> None:
    async with StubEndpoint(name) as stub:
        request = STREAM | {"stream_options": {"include_usage": True}}
        if name == "rejects_stream_options":
            request = STREAM
        async with post(stub, request) as response:
            body = await response.aread()
    if name == "whole_json_typed_as_stream":
        assert json.loads(body) == wire.completion()
    else:
        assert untagged(name, joined(body, "content")) == BEHAVIORS[name].text
    if name == "perfect":
        assert chunks(body)[-1]["usage"] == wire.USAGE
        assert body.endswith(wire.DONE)
    if name in ("reasoning", "reasoning_content"):
        assert joined(body, name) == BEHAVIORS[name].reasoning


@pytest.mark.parametrize(
    "name", sorted(set(behaviors_with(Ending.COMPLETE)) - {"false_gzip_encoding"} - shapes.NAMES)
)
async def test_a_plain_answer_has_the_expected_text(name: str) -> None:
    async with StubEndpoint(name) as stub, post(stub, PLAIN) as response:
        reply = json.loads(await response.aread())
    expected = "Grüße" if name == "echoes" else BEHAVIORS[name].whole_text
    assert reply["choices"][0]["message"]["content"] == expected


@pytest.mark.parametrize("name", HTTPX_RESULTS)
async def test_a_connection_fails_as_named(name: str) -> None:
    assert await httpx_result(name) == HTTPX_RESULTS[name]


@pytest.mark.parametrize("name", [name for name in BEHAVIORS if name.startswith("status_")])
async def test_the_status_is_the_one_in_the_name(name: str) -> None:
    assert await httpx_result(name) == name.removeprefix("status_")


async def test_every_ending_has_a_behavior() -> None:
    assert {behavior.ending for behavior in BEHAVIORS.values()} == set(Ending)
    assert all(
        behavior.error for behavior in BEHAVIORS.values() if behavior.ending is not Ending.COMPLETE
    )


@pytest.mark.parametrize("name", sorted(ENDLESS))
async def test_an_endless_response_continues_until_the_client_disconnects(name: str) -> None:
    async with StubEndpoint(name) as stub:
        reader, writer = await asyncio.open_connection("127.0.0.1", stub.port)
        writer.write(raw_request())
        async with asyncio.timeout(10):
            for _ in range(4):
                assert await reader.read(4096)
        assert stub.closed_at is None
        writer.close()
        await stub.wait_for_disconnect()


async def test_each_byte_is_sent_separately() -> None:
    async with StubEndpoint("split_into_bytes") as stub:
        reader, writer = await asyncio.open_connection("127.0.0.1", stub.port)
        writer.write(raw_request())
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(12) == b"1\r\nd\r\n1\r\na\r\n"
        writer.close()


@pytest.mark.parametrize("name", behaviors_with(Ending.INTERRUPTED))
async def test_an_interrupted_answer_begins_with_three_tokens(name: str) -> None:
    async with StubEndpoint(name) as stub:
        received = b""
        try:
            async with post(stub) as response:
                async for data in response.aiter_bytes():
                    received += data
                    if len(received) > MEBIBYTE or received.count(b": keep-alive") > 3:
                        break
        except httpx.HTTPError:
            pass
    whole_events = received[: received.index(wire.TOKENS[2].encode())]
    assert whole_events.count(b"data:") == 4
    assert b'"finish_reason":"stop"' not in received


@pytest.mark.parametrize(
    "name", ["retry_after_in_seconds", "retry_after_as_date", "retry_after_in_milliseconds"]
)
async def test_a_429_requests_a_delay_of_seven_seconds(name: str) -> None:
    async with StubEndpoint(name) as stub, post(stub) as response:
        headers = response.headers
    assert response.status_code == 429
    if name == "retry_after_in_seconds":
        assert headers["retry-after"] == "7"
    elif name == "retry_after_as_date":
        assert parsedate_to_datetime(headers["retry-after"]).tzinfo is not None
    else:
        assert headers["retry-after-ms"] == "7000"


@pytest.mark.parametrize("name", [name for name in BEHAVIORS if name.startswith("overflow_")])
async def test_an_overflow_names_the_limit_and_the_length(name: str) -> None:
    async with StubEndpoint(name) as stub, post(stub) as response:
        body = (await response.aread()).decode()
    assert response.status_code == 400
    assert "8192" in body
    assert "9001" in body


@pytest.mark.parametrize("name", ["redirects_302", "redirects_307"])
async def test_a_redirect_leads_to_the_same_stub_under_another_host(name: str) -> None:
    async with StubEndpoint(name) as stub, post(stub) as response:
        location = httpx.URL(response.headers["location"])
    assert (location.host, location.port) == ("localhost", stub.port)


async def test_only_requests_with_stream_options_are_rejected() -> None:
    async with StubEndpoint("rejects_stream_options") as stub:
        async with post(stub, STREAM | {"stream_options": {}}) as response:
            assert response.status_code == 400
        async with post(stub) as response:
            assert response.status_code == 200


async def test_models_are_listed_and_requests_recorded() -> None:
    async with StubEndpoint(models=("a", "b"), key="sesame") as stub:
        async with httpx.AsyncClient(base_url=stub.url, trust_env=False) as client:
            assert (await client.get("/models")).status_code == 401
            listed = await client.get("/models", headers={"Authorization": "Bearer sesame"})
            assert stub.open_connections == 1
        await stub.wait_for_idle()
    assert [model["id"] for model in listed.json()["data"]] == ["a", "b"]
    assert listed.json()["data"][0]["context_length"] == 8192
    assert [(request.method, request.path) for request in stub.requests] == [
        ("GET", "/v1/models")
    ] * 2
    assert stub.requests[1].headers["authorization"] == "Bearer sesame"


async def test_a_disconnect_is_noticed() -> None:
    async with StubEndpoint("hangs_before_headers") as stub:
        _, writer = await asyncio.open_connection("127.0.0.1", stub.port)
        writer.write(raw_request())
        await stub.wait_for_requests()
        with pytest.raises(AssertionError, match="a disconnect"):
            await stub.wait_for_disconnect(0.02)
        writer.close()
        await stub.wait_for_disconnect(0.2)
        await stub.wait_for_idle()


async def test_a_killed_stub_can_listen_again_on_the_same_port() -> None:
    async with StubEndpoint("hangs_in_the_middle") as stub:
        async with post(stub) as response:
            stub.kill()
            with pytest.raises(httpx.ReadError):
                await response.aread()
        with pytest.raises(httpx.ConnectError):
            await post(stub).__aenter__()
        stub.set_behavior("perfect")
        await stub.listen()
        async with post(stub) as response:
            assert joined(await response.aread(), "content") == wire.TEXT


async def test_a_port_is_reserved_before_listening() -> None:
    async with StubEndpoint(listening=False) as stub:
        with pytest.raises(httpx.ConnectError):
            await post(stub).__aenter__()
        await stub.listen()
        async with post(stub) as response:
            assert response.status_code == 200


async def test_errors_of_a_behavior_are_raised_at_exit() -> None:
    async def faulty(_: object) -> None:
        raise ZeroDivisionError

    stub = await StubEndpoint(faulty).__aenter__()
    with pytest.raises(httpx.HTTPError):
        await post(stub).__aenter__()
    with pytest.raises(ZeroDivisionError):
        await stub.__aexit__()


async def test_no_task_and_no_connection_is_left() -> None:
    async with StubEndpoint("hangs_after_role") as stub:
        _, writer = await asyncio.open_connection("127.0.0.1", stub.port)
        writer.write(raw_request())
        await stub.wait_for_requests()
    assert stub.open_connections == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_tls_handshake_gets_a_plain_text_response() -> None:
    async with StubEndpoint("plain_text_on_https") as stub:
        assert stub.url.startswith("https:")
        with pytest.raises(ssl.SSLError):
            await asyncio.open_connection(
                "127.0.0.1", stub.port, ssl=ssl.create_default_context(), server_hostname="x"
            )


def test_a_stub_runs_in_a_thread_for_synchronous_tests() -> None:
    with StubThread("hangs_after_role", models=("a",)) as stub:
        url = f"{stub.url}/chat/completions"
        with httpx.Client(trust_env=False) as client:
            with client.stream("POST", url, json=STREAM) as response:
                assert response.status_code == 200
                stub.wait_for_requests()
                assert stub.closed_at is None
            assert stub.wait_for_disconnect() == stub.closed_at
            stub.set_behavior("perfect")
            assert joined(client.post(url, json=STREAM).content, "content") == wire.TEXT
            assert [request.json["stream"] for request in stub.chats] == [True, True]
            stub.kill()
            with pytest.raises(httpx.HTTPError):
                client.post(url, json=STREAM)
    assert stub.open_connections == 0


def raw_request() -> bytes:
    body = json.dumps(STREAM).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body
