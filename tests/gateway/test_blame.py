"""A failure affects what it says something about, and nothing else: whole requests to stubs."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from akash_gradio.domain.errors import (
    AllEndpointsFailed,
    ContextExceeded,
    EndpointRefused,
    RequestRefused,
)
from akash_gradio.gateway import Gateway, open_gateway
from tests.api.serving import Served, serving
from tests.gateway.fakes import chat_request, collect, error_from, prompt, text_of
from tests.stubs import BEHAVIORS, Exchange, StubEndpoint, entry, settings_for
from tests.stubs.behavior import Handler

FORBIDDEN_WORD = "forbidden-word"
MESSAGES = [{"role": "user", "content": "hi"}]


def refuses_a_word(status: int, body: object, content_type: str = "application/json") -> Handler:
    """Return a handler that refuses requests with a word, and answers all others."""

    async def handle(x: Exchange) -> None:
        if FORBIDDEN_WORD not in x.request.body.decode():
            await BEHAVIORS["perfect"].handler(x)
            return
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        await x.reply(data, status, content_type)

    return handle


def replies(status: int, body: object, **headers: str) -> Handler:
    async def handle(x: Exchange) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        await x.reply(data, status, **headers)

    return handle


@asynccontextmanager
async def gateway_to(
    *stubs: StubEndpoint, fields: Mapping[str, Any] | None = None, **variables: object
) -> AsyncIterator[Gateway]:
    entries = [entry(stub, name=f"e{i}", **(fields or {})) for i, stub in enumerate(stubs)]
    async with open_gateway(settings_for(*entries, **variables)) as gateway:
        yield gateway


PAGE = b"<html><title>Request blocked</title></html>"
TEMPLATE = {"error": {"message": "Jinja Exception: roles must alternate", "code": 500}}
MODERATION = {"error": {"message": "Your input was flagged", "code": 403}}


@pytest.mark.parametrize(
    ("status", "body", "content_type"),
    [
        (403, PAGE, "text/html"),
        (403, MODERATION, "application/json"),
        (403, b"Forbidden", "text/plain"),
        (500, TEMPLATE, "application/json"),
        (413, PAGE, "text/html"),
    ],
)
async def test_a_refusal_of_one_prompt_affects_no_other_request_at_an_only_endpoint(
    status: int, body: object, content_type: str
) -> None:
    async with (
        StubEndpoint(refuses_a_word(status, body, content_type)) as stub,
        gateway_to(stub) as gateway,
    ):
        for _ in range(6):
            error = await error_from(gateway, chat_request(conversation=prompt(FORBIDDEN_WORD)))
            assert isinstance(error, RequestRefused)
            assert text_of(await collect(gateway, chat_request())) == BEHAVIORS["perfect"].text
    assert len(stub.chats) == 12  # none was repeated


async def test_a_prompt_that_one_endpoint_blocks_is_answered_by_another() -> None:
    async with (
        StubEndpoint(refuses_a_word(403, PAGE, "text/html")) as strict,
        StubEndpoint("perfect") as lenient,
        gateway_to(strict, lenient) as gateway,
    ):
        for _ in range(4):
            await collect(gateway, chat_request(conversation=prompt(FORBIDDEN_WORD)))
    assert len(lenient.chats) == 4
    assert len(strict.chats) >= 2  # it isn't avoided


async def test_a_denied_model_leaves_the_endpoints_other_models_alone() -> None:
    async def handle(x: Exchange) -> None:
        if x.request.json["model"] == "denied":
            await x.reply(b'{"error":"no access to model denied"}', 403)
        else:
            await BEHAVIORS["perfect"].handler(x)

    async with (
        StubEndpoint(handle) as stub,
        gateway_to(stub, fields={"models": ["m", "denied"]}) as gateway,
    ):
        error = await error_from(gateway, chat_request("denied"))
        assert isinstance(error, AllEndpointsFailed)
        await collect(gateway, chat_request("m"))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": {"message": "API key not valid. Please pass a valid API key."}}),
        (400, {"error": {"message": "Your credit balance is too low to access the API."}}),
        (402, {"error": {"message": "Insufficient Balance"}}),
        (429, {"error": {"message": "no", "code": "insufficient_quota"}}),
    ],
)
async def test_a_failure_of_the_account_fails_over_without_a_repeat(
    status: int, body: object
) -> None:
    async with (
        StubEndpoint(replies(status, body)) as poor,
        StubEndpoint("perfect") as rich,
        gateway_to(poor, rich, RETRY_ATTEMPTS=3) as gateway,
    ):
        for _ in range(3):
            await collect(gateway, chat_request())
    assert (len(poor.chats), len(rich.chats)) == (1, 3)


async def test_a_longer_context_answers_what_a_shorter_one_refuses() -> None:
    too_long = {"error": {"message": "maximum context length is 4096 tokens", "code": 400}}
    async with (
        StubEndpoint(replies(400, too_long)) as small,
        StubEndpoint("perfect") as large,
        gateway_to(small, large) as gateway,
    ):
        await collect(gateway, chat_request())
    assert (len(small.chats), len(large.chats)) == (1, 1)


async def test_an_endpoint_with_a_known_shorter_context_is_not_called() -> None:
    async def handle(x: Exchange) -> None:
        if x.request.path.endswith("/models"):
            await x.reply(b'{"data":[{"id":"m","max_model_len":2048}]}')
        else:
            await x.reply(b'{"error":{"message":"maximum context length is 2048 tokens"}}', 400)

    async def larger(x: Exchange) -> None:
        if x.request.path.endswith("/models"):
            await x.reply(b'{"data":[{"id":"m","max_model_len":4096}]}')
        else:
            await x.reply(b'{"error":{"message":"maximum context length is 4096 tokens"}}', 400)

    async with (
        StubEndpoint(larger, everywhere=True) as first,
        StubEndpoint(handle, everywhere=True) as second,
        gateway_to(first, second, fields={"models": None}) as gateway,
    ):
        await gateway.discover()
        error = await error_from(gateway, chat_request())
    assert isinstance(error, ContextExceeded)
    assert error.limit_tokens == 4096  # of the larger
    assert len([r for r in second.requests if r.method == "POST"]) == 0


async def test_an_endpoint_whose_context_is_too_short_for_the_prompt_is_not_chosen() -> None:
    def with_context(tokens: int) -> Handler:
        async def handle(x: Exchange) -> None:
            if x.request.path.endswith("/models"):
                listed = {"data": [{"id": "m", "max_model_len": tokens}]}
                await x.reply(json.dumps(listed).encode())
            else:
                await BEHAVIORS["perfect"].handler(x)

        return handle

    async with (
        StubEndpoint(with_context(256), everywhere=True) as short,
        StubEndpoint(with_context(8192), everywhere=True) as long,
        gateway_to(short, long, fields={"models": None}) as gateway,
    ):
        await gateway.discover()
        for _ in range(4):
            await collect(gateway, chat_request(conversation=prompt("word " * 1000)))
        assert (len(short.chats), len(long.chats)) == (0, 4)
        for _ in range(4):
            await collect(gateway, chat_request())
        assert len(short.chats) >= 2
        for _ in range(2):  # longer than both, by the estimate
            await collect(gateway, chat_request(conversation=prompt("word " * 30_000)))


async def test_a_wait_in_the_body_is_followed_and_passed_on_to_the_caller() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "26s"}]
    body = [{"error": {"code": 429, "message": "quota", "details": details}}]
    async with (
        StubEndpoint(replies(429, body)) as stub,
        serving_stub(stub) as served,
    ):
        response = await served.ask({"model": "m", "messages": MESSAGES})
    assert len(stub.chats) == 1
    assert response.status == 429
    assert 25 <= int(response.headers["retry-after"]) <= 26


async def test_insufficient_quota_reaches_the_caller_after_one_request() -> None:
    body = {"error": {"message": "You exceeded your quota.", "code": "insufficient_quota"}}
    async with StubEndpoint(replies(429, body)) as stub, serving_stub(stub) as served:
        response = await served.ask({"model": "m", "messages": MESSAGES})
    assert len(stub.chats) == 1
    assert (response.status, response.error["code"]) == (429, "insufficient_quota")


async def test_code_and_param_of_a_refusal_reach_the_caller() -> None:
    body = {"error": {"message": "no", "code": "invalid_value", "param": "temperature"}}
    async with StubEndpoint(replies(400, body)) as stub, serving_stub(stub) as served:
        response = await served.ask({"model": "m", "messages": MESSAGES})
    assert (response.status, response.error["message"]) == (400, "no")
    assert (response.error["code"], response.error["param"]) == ("invalid_value", "temperature")


@pytest.mark.parametrize("status", [400, 404, 413, 415, 422, 500, 501, 503])
async def test_stream_options_are_left_out_after_any_status_that_names_them(status: int) -> None:
    async def handle(x: Exchange) -> None:
        if "stream_options" in x.request.json:
            await x.reply(b'{"error":"TypeError: unexpected stream_options"}', status)
        else:
            await BEHAVIORS["perfect"].handler(x)

    async with StubEndpoint(handle) as stub, gateway_to(stub) as gateway:
        await collect(gateway, chat_request())
        await collect(gateway, chat_request())
    assert len(stub.chats) == 3


# Addresses.


@pytest.mark.parametrize(
    ("base", "api"),
    [
        ("", ""),  # Perplexity has no version
        ("/inference", "/inference"),  # GitHub Models
        ("/apis/v1/proxy", "/apis/v1/proxy/v1"),  # a proxy whose own path has a version
    ],
)
@pytest.mark.parametrize("models", [["m"], None], ids=["configured", "discovered"])
async def test_an_api_is_found_with_and_without_v1(
    base: str, api: str, models: list[str] | None
) -> None:
    async def handle(x: Exchange) -> None:
        if x.request.path == f"{api}/models":
            await x.reply(b'{"data":[{"id":"m"}]}')
        elif x.request.path == f"{api}/chat/completions":
            await BEHAVIORS["perfect"].handler(x)
        else:
            await x.reply(b'{"detail":"Not Found"}', 404)

    async with StubEndpoint(handle, everywhere=True) as stub:
        url = stub.url.removesuffix("/v1") + base
        async with gateway_to(stub, fields={"url": url, "models": models}) as gateway:
            await collect(gateway, chat_request())
            await collect(gateway, chat_request())
    assert [r.path for r in stub.requests].count(f"{api}/chat/completions") == 2


async def test_a_wrong_address_is_named_without_the_secrets_in_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with StubEndpoint(replies(404, b"404 page not found"), everywhere=True) as stub:
        url = stub.url.removesuffix("/v1") + "/v9?api-version=7&key=planted"
        with caplog.at_level(logging.WARNING, "akash_gradio"):
            async with gateway_to(stub, fields={"url": url}) as gateway:
                error = await error_from(gateway, chat_request())
    assert stub.requests[0].path == "/v9/chat/completions?api-version=7&key=planted"
    assert isinstance(error, AllEndpointsFailed)
    assert isinstance(error.cause, EndpointRefused)
    assert "/v9/chat/completions" in error.cause.detail
    assert "planted" not in error.cause.detail
    addresses = [getattr(record, "address", "") for record in caplog.records]
    assert (
        f"{stub.url.removesuffix('/v1')}/v9/chat/completions?api-version=7&key=[removed]"
        in addresses
    )


async def test_a_fallback_model_that_nothing_serves_is_logged_once_all_lists_are_known(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "akash_gradio"):
        async with (
            StubEndpoint(models=("m", "n")) as stub,
            gateway_to(stub, fields={"models": None}, FALLBACK_MODEL="n,typo") as gateway,
        ):
            assert gateway.unknown_fallbacks() == ()  # the list isn't known yet
            await gateway.discover()
            await collect(gateway, chat_request())
            assert gateway.unknown_fallbacks() == ("typo",)
    warnings = [r for r in caplog.records if r.getMessage() == "fallback.unknown_model"]
    assert [getattr(record, "model", "") for record in warnings] == ["typo"]


@asynccontextmanager
async def serving_stub(stub: StubEndpoint) -> AsyncIterator[Served]:
    async with serving(settings_for(entry(stub))) as served:
        yield served
