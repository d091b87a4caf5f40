from __future__ import annotations

import ast
import inspect
import json
import textwrap
from typing import Any

import openai
import pytest

from akash_gradio.auth.api_keys import ApiKeyAuth
from akash_gradio.config.settings import read_settings
from akash_gradio.domain.errors import UserError
from akash_gradio.http.locality import LocalityCheck, locality_check
from tests.api.serving import (
    LONG_TIMEOUTS,
    ReceivedResponse,
    chat_body,
    serving,
    serving_one,
)
from tests.http.test_locality import scope as request_scope
from tests.stubs import StubEndpoint, entry, settings_for

KEY = "sk-of-ann-1234567890"
MESSAGES: Any = [{"role": "user", "content": "hi"}]


def scope(peer: str = "127.0.0.1", **headers: str) -> dict[str, Any]:
    host = headers.pop("host", "localhost:7860")
    lines = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return request_scope(peer, host, None, *lines)


def auth(keys: object, **options: LocalityCheck) -> ApiKeyAuth:
    text = keys if isinstance(keys, str) else json.dumps(keys)
    settings = read_settings({"GATEWAY_API_KEYS": text} if text else {}, None)
    configured = settings.gateway_keys_configured
    return ApiKeyAuth(settings.gateway_keys, keys_configured=configured, **options)


def error_of(auth: ApiKeyAuth, scope: dict[str, Any]) -> tuple[int, str]:
    with pytest.raises(UserError) as raised:
        auth.authenticate(scope)
    return raised.value.status, raised.value.code


def test_without_keys_only_local_requests_are_accepted() -> None:
    client = auth("").authenticate(scope(origin="http://localhost:3000"))
    assert (client.name, client.models, client.requests_per_minute) == ("", None, None)
    for other in (scope("203.0.113.5"), scope(x_forwarded_for="127.0.0.1")):
        assert error_of(auth(""), other) == (403, "no_api_keys_configured")


def test_a_key_is_accepted_from_everywhere() -> None:
    request = scope("203.0.113.5", authorization=f"Bearer {KEY}", host="api.example")
    assert auth(f"other-key, {KEY}").authenticate(request).name == "key-2"
    assert auth([{"name": "ann", "key": KEY}]).authenticate(request).name == "ann"


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("", "api_key_missing"),
        ("Bearer", "api_key_missing"),
        ("Bearer wrong", "api_key_invalid"),
        (f"Basic {KEY}", "api_key_invalid"),
        (KEY, "api_key_missing"),
        (f"Bearer {KEY}x", "api_key_invalid"),
        ("Bearer \xff", "api_key_invalid"),
    ],
)
def test_with_keys_local_requests_need_one_too(authorization: str, code: str) -> None:
    request = scope(authorization=authorization) if authorization else scope()
    assert error_of(auth(KEY), request) == (401, code)


def test_keys_are_compared_in_constant_time() -> None:
    """Measuring time would prove nothing: the source compares by nothing else, and every key."""
    source = ast.parse(textwrap.dedent(inspect.getsource(ApiKeyAuth._find)))
    nodes = list(ast.walk(source))
    assert "compare_digest" in {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    early_exits = ast.Compare | ast.Break | ast.Continue | ast.Subscript
    assert not [node for node in nodes if isinstance(node, early_exits)]
    assert len([node for node in nodes if isinstance(node, ast.Return)]) == 1


def test_if_all_configured_keys_are_invalid_no_request_is_accepted() -> None:
    assert error_of(auth('[{"key": ""}]'), scope()) == (401, "api_key_missing")


def test_the_variable_of_the_older_gateway_is_read_too() -> None:
    settings = read_settings({"PROXY_API_KEY": KEY}, None)
    older = ApiKeyAuth(settings.gateway_keys, keys_configured=settings.gateway_keys_configured)
    client = older.authenticate(scope(authorization=f"bearer {KEY}"))
    assert client.name == "PROXY_API_KEY"
    assert KEY not in repr(settings)


def test_metrics_are_for_local_requests_and_for_keys() -> None:
    auth(KEY).authenticate_metrics(scope())
    auth(KEY).authenticate_metrics(scope("203.0.113.5", authorization=f"Bearer {KEY}"))
    for other in (auth(KEY), auth("")):
        with pytest.raises(UserError):
            other.authenticate_metrics(scope("203.0.113.5"))


def test_once_the_server_is_published_no_request_is_local() -> None:
    published = auth("", is_local=locality_check(published=True))
    assert error_of(published, scope()) == (403, "no_api_keys_configured")
    with pytest.raises(UserError):
        published.authenticate_metrics(scope())


async def test_openais_sdk_raises_an_authentication_error_for_a_wrong_key() -> None:
    async with serving_one(GATEWAY_API_KEYS=KEY) as (served, stub):
        async with served.client("wrong-key") as client:
            with pytest.raises(openai.AuthenticationError):
                await client.chat.completions.create(model="m", messages=MESSAGES)
            with pytest.raises(openai.AuthenticationError):
                await client.models.list()
        async with served.client(KEY) as client:
            await client.chat.completions.create(model="m", messages=MESSAGES)
    assert len(stub.chats) == 1


async def test_a_missing_key_is_explained_in_openais_shape() -> None:
    async with serving_one(GATEWAY_API_KEYS=KEY) as (served, _):
        response = await served.ask(chat_body())
    assert (response.status, response.error["code"]) == (401, "invalid_api_key")
    assert response.headers["www-authenticate"] == "Bearer"


async def test_through_a_proxy_no_request_is_accepted_without_keys() -> None:
    async with serving_one() as (served, stub):
        response = await served.ask(chat_body(), x_forwarded_for="127.0.0.1")
    assert (response.status, response.error["code"]) == (403, "no_api_keys_configured")
    assert not stub.chats


async def test_a_key_for_some_models_lists_and_uses_only_those() -> None:
    keys = [
        {"name": "some", "key": "key-of-some", "models": ["m"]},
        {"name": "few", "key": "key-of-few", "limits": {"requestsPerMinute": 1}},
    ]
    async with StubEndpoint("status_500") as one, StubEndpoint() as two:
        entries = entry(one), entry(two, models=["other-model", "org/deep"])
        options: dict[str, object] = {"FALLBACK_MODEL": "other-model", "RETRY_ATTEMPTS": 0}
        settings = settings_for(
            *entries, GATEWAY_API_KEYS=json.dumps(keys), **options, **LONG_TIMEOUTS
        )
        async with serving(settings) as served:

            async def ask(key: str, model: str = "m") -> ReceivedResponse:
                body = {**chat_body(), "model": model}
                return await served.ask(body, authorization=f"Bearer {key}")

            listed = await served.get("/v1/models", authorization="Bearer key-of-some")
            assert [model["id"] for model in listed.json["data"]] == ["m"]
            hidden = await served.get("/v1/models/org/deep", authorization="Bearer key-of-some")
            assert (hidden.status, hidden.error["code"]) == (404, "model_not_found")
            shown = await served.get("/v1/models/org/deep", authorization="Bearer key-of-few")
            assert shown.json["id"] == "org/deep"
            assert (await ask("key-of-some", "other-model")).status == 404
            assert (await ask("key-of-some")).status == 502  # the key can't use its fallback
            assert (await ask("key-of-few", "other-model")).status == 200
            limited = await ask("key-of-few", "other-model")
            assert (limited.status, limited.error["code"]) == (429, "rate_limit_exceeded")
            assert int(limited.headers["retry-after"]) >= 1
