"""Who may ask."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from typing import Any

import openai
import pytest

from akash_gradio.api.errors import Fault
from akash_gradio.auth.api_keys import ApiClient, ApiKeyAuth, is_this_machine
from akash_gradio.config.settings import read_settings
from tests.api.serving import PATIENT, ReceivedResponse, alone, chat_body, serving
from tests.stubs import StubEndpoint, entry, settings_for

KEY = "sk-of-ann-1234567890"
MESSAGES: Any = [{"role": "user", "content": "hi"}]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def scope(peer: str | None = "127.0.0.1", **headers: str) -> dict[str, Any]:
    given = {"host": "localhost:7860", **headers}
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in given.items()]
    return {"client": (peer, 1234) if peer else None, "headers": pairs}


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1", "[::1]:7860", "a.localhost"])
def test_without_keys_this_machine_may_ask(peer: str, host: str) -> None:
    ApiKeyAuth((), keyed=False).admit(scope(peer, host=host, origin="http://localhost:3000"))


@pytest.mark.parametrize(
    "asking",
    [
        scope("10.0.0.7"),
        scope("203.0.113.5"),
        scope("2001:db8::1"),
        scope(None),
        scope("testclient"),
        scope(x_forwarded_for="127.0.0.1"),
        scope(forwarded="for=127.0.0.1"),
        scope(x_real_ip="127.0.0.1"),
        scope(host="evil.example"),
        scope(host="localhost.evil.example"),
        scope(host=""),
        scope(host="[::1"),
        scope(origin="https://evil.example"),
        scope(origin="null"),
    ],
)
def test_without_keys_nobody_else_may(asking: dict[str, Any]) -> None:
    with pytest.raises(Fault) as raised:
        ApiKeyAuth((), keyed=False).admit(asking)
    assert (raised.value.status, raised.value.code) == (403, "no_api_keys_configured")


def auth(keys: object) -> ApiKeyAuth:
    text = keys if isinstance(keys, str) else json.dumps(keys)
    settings = read_settings({"GATEWAY_API_KEYS": text}, None)
    return ApiKeyAuth(settings.gateway_keys, keyed=settings.gateway_keys_configured)


def test_a_key_lets_in_from_everywhere() -> None:
    asking = scope("203.0.113.5", authorization=f"Bearer {KEY}", host="api.example")
    assert auth(f"other-key, {KEY}").admit(asking).name == "key-2"
    assert auth([{"name": "ann", "key": KEY}]).admit(asking).name == "ann"


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer wrong", f"Basic {KEY}", KEY, f"Bearer {KEY}x", "Bearer \xff"]
)
def test_with_keys_this_machine_needs_one_too(given: str) -> None:
    with pytest.raises(Fault) as raised:
        auth(KEY).admit(scope(authorization=given) if given else scope())
    assert (raised.value.status, raised.value.code) == (401, "invalid_api_key")


def test_keys_are_compared_in_constant_time() -> None:
    """Seconds would prove nothing here: it compares by nothing else, and never ends early."""
    source = ast.parse(textwrap.dedent(inspect.getsource(ApiKeyAuth._known)))
    parts = list(ast.walk(source))
    assert "compare_digest" in {part.attr for part in parts if isinstance(part, ast.Attribute)}
    early = ast.Compare | ast.Break | ast.Continue | ast.Subscript
    assert not [part for part in parts if isinstance(part, early)]
    assert len([part for part in parts if isinstance(part, ast.Return)]) == 1


def test_keys_that_are_all_wrong_let_nobody_in() -> None:
    with pytest.raises(Fault) as raised:
        auth('[{"key": ""}]').admit(scope())
    assert raised.value.status == 401


def test_the_older_gateways_variable_is_read_too() -> None:
    settings = read_settings({"PROXY_API_KEY": KEY}, None)
    found = ApiKeyAuth(settings.gateway_keys, keyed=settings.gateway_keys_configured)
    assert found.admit(scope(authorization=f"bearer {KEY}")).name == "PROXY_API_KEY"
    assert KEY not in repr(settings)


def test_a_key_with_a_limit_is_told_when_it_may_ask_again() -> None:
    clock = Clock()
    caller = ApiClient("ann", None, 30, clock)
    for _ in range(30):
        caller.spend()
    with pytest.raises(Fault) as raised:
        caller.spend()
    assert (raised.value.status, raised.value.all_headers()) == (429, {"retry-after": "2"})
    clock.now += 2
    caller.spend()


def test_numbers_are_for_this_machine_and_for_keys() -> None:
    auth(KEY).admit_to_numbers(scope())
    auth(KEY).admit_to_numbers(scope("203.0.113.5", authorization=f"Bearer {KEY}"))
    with pytest.raises(Fault):
        auth(KEY).admit_to_numbers(scope("203.0.113.5"))
    with pytest.raises(Fault):
        ApiKeyAuth((), keyed=False).admit_to_numbers(scope("203.0.113.5"))


def test_where_a_proxy_may_stand_on_this_machine_coming_from_it_proves_nothing() -> None:
    open_door = ApiKeyAuth((), keyed=False, behind_proxy=True)
    with pytest.raises(Fault) as raised:
        open_door.admit(scope())
    assert raised.value.code == "no_api_keys_configured"
    with pytest.raises(Fault):
        open_door.admit_to_numbers(scope())


def test_a_forwarded_peer_is_not_this_machine() -> None:
    assert not is_this_machine(scope(), {b"host": b"localhost", b"x-forwarded-for": b"::1"})


async def test_the_sdk_raises_what_it_has_for_a_wrong_key() -> None:
    async with alone(GATEWAY_API_KEYS=KEY) as (served, stub):
        async with served.client("wrong-key") as client:
            with pytest.raises(openai.AuthenticationError):
                await client.chat.completions.create(model="m", messages=MESSAGES)
            with pytest.raises(openai.AuthenticationError):
                await client.models.list()
        async with served.client(KEY) as client:
            await client.chat.completions.create(model="m", messages=MESSAGES)
    assert len(stub.chats) == 1


async def test_behind_a_proxy_nobody_may_ask_without_keys() -> None:
    async with alone() as (served, stub):
        said = await served.ask(chat_body(), x_forwarded_for="127.0.0.1")
    assert (said.status, said.error["code"]) == (403, "no_api_keys_configured")
    assert not stub.chats


async def test_a_key_for_some_models_sees_and_gets_only_those() -> None:
    keys = [
        {"name": "some", "key": "key-of-some", "models": ["m"]},
        {"name": "few", "key": "key-of-few", "limits": {"requestsPerMinute": 1}},
    ]
    async with StubEndpoint("status_500") as one, StubEndpoint() as two:
        entries = entry(one), entry(two, models=["other-model", "org/deep"])
        more: dict[str, object] = {"FALLBACK_MODEL": "other-model", "RETRY_ATTEMPTS": 0}
        settings = settings_for(*entries, GATEWAY_API_KEYS=json.dumps(keys), **more, **PATIENT)
        async with serving(settings) as served:

            async def ask(key: str, model: str = "m") -> ReceivedResponse:
                body = {**chat_body(), "model": model}
                return await served.ask(body, authorization=f"Bearer {key}")

            listed = await served.get("/v1/models", authorization="Bearer key-of-some")
            assert [each["id"] for each in listed.json["data"]] == ["m"]
            hidden = await served.get("/v1/models/org/deep", authorization="Bearer key-of-some")
            assert (hidden.status, hidden.error["code"]) == (404, "model_not_found")
            shown = await served.get("/v1/models/org/deep", authorization="Bearer key-of-few")
            assert shown.json["id"] == "org/deep"
            assert (await ask("key-of-some", "other-model")).status == 404
            assert (await ask("key-of-some")).status == 502  # its fallback isn't the key's
            assert (await ask("key-of-few", "other-model")).status == 200
            limited = await ask("key-of-few", "other-model")
            assert (limited.status, limited.error["code"]) == (429, "rate_limit_exceeded")
            assert int(limited.headers["retry-after"]) >= 1
