"""With limits, `/v1` accepts only parameters whose cost is counted; without, it forwards all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from akash_gradio.app import create_app
from akash_gradio.domain.errors import UserError
from akash_gradio.gateway import PassthroughRequest
from akash_gradio.quota.parameters import check_parameters
from akash_gradio.quota.request_size import passthrough_size
from tests.stubs import StubEndpoint, entry, settings_for

MESSAGES = [{"role": "user", "content": "Hello"}]
KEYS = [
    {"name": "free", "key": "key-free"},
    {"name": "models", "key": "key-models", "models": ["m"]},
    {"name": "rate", "key": "key-rate", "limits": {"requestsPerMinute": 100}},
]
HARMLESS: dict[str, Any] = {
    "stop": ["x"], "seed": 1, "top_k": 5, "min_p": 0.1, "logit_bias": {"1": 2}, "user": "ann",
    "tools": [{"type": "function", "function": {"name": "f"}}], "response_format": {"type": "text"},
    "reasoning_effort": "low", "max_completion_tokens": 20, "stream_options": {},
}  # fmt: skip
COSTLY: dict[str, Any] = {
    "n_cmpl": 50, "best_of": 50, "min_tokens": 10**6, "ignore_eos": True, "models": ["dear"],
    "route": "fallback", "service_tier": "priority", "web_search_options": {}, "documents": [],
    "use_beam_search": True, "prompt": "x", "thinking": {"budget_tokens": 10**6}, "": 1,
    "{0.__class__}": 1, "MAX_TOKENS": 10**6,
}  # fmt: skip
PART = "messages.content.type="


async def post(
    stub: StubEndpoint, key: str, body: dict[str, Any], **variables: object
) -> httpx.Response:
    """Send a request to `/v1`."""
    settings = settings_for(entry(stub), GATEWAY_API_KEYS=json.dumps(KEYS), **variables)
    app = create_app(settings, page=False, environment={})
    async with app.lifespan():
        transport = httpx.ASGITransport(app.asgi())
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.post(
                "/v1/chat/completions",
                json={"model": "m", "messages": MESSAGES, **body},
                headers={"authorization": f"Bearer {key}"},
            )


@pytest.mark.parametrize(
    ("key", "variables"),
    [
        ("key-free", {"VISITOR_TOKENS_PER_DAY": 10_000}),
        ("key-free", {"VISITOR_MESSAGES_PER_MINUTE": 1000}),
        ("key-free", {"ALLOWED_MODELS": "m"}),
        ("key-free", {"LONGEST_MESSAGE": 1000}),
        ("key-free", {"REQUESTS_AT_ONCE": 10}),
        ("key-models", {}),
        ("key-rate", {}),
    ],
)
@pytest.mark.parametrize("name", ["n_cmpl", "models"])
async def test_any_limit_closes_the_list(key: str, variables: dict[str, object], name: str) -> None:
    async with StubEndpoint() as stub:
        response = await post(stub, key, {name: COSTLY[name]}, **variables)
        assert response.status_code == 400
        error = response.json()["error"]
        assert (error["code"], error["param"]) == ("unsupported_parameter", name)
        assert f"`{name}`" in error["message"]
        assert stub.chats == []


async def test_every_costly_parameter_is_refused_by_its_name_and_no_harmless_one() -> None:
    async with StubEndpoint() as stub:
        for name, value in COSTLY.items():
            response = await post(stub, "key-free", {name: value}, TOKENS_PER_DAY=10**6)
            assert (response.status_code, response.json()["error"]["param"]) == (400, name)
        assert stub.chats == []
        response = await post(stub, "key-free", HARMLESS, TOKENS_PER_DAY=10**6)
        assert response.status_code == 200
        sent = stub.chats[0].json
        assert {name: sent[name] for name in HARMLESS if name != "stream_options"} == {
            name: value for name, value in HARMLESS.items() if name != "stream_options"
        }


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"stream": True, "stream_options": {"x": 1}}, "stream_options.x"),
        ({"messages": [{"role": "user", "content": [{"type": "video_url"}]}]}, PART + "video_url"),
        ({"messages": [{"content": [{"type": "input_audio"}]}]}, PART + "input_audio"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, PART + "None"),
        ({"messages": [{"role": "user", "content": [{"type": ["text"]}]}]}, PART + "['text']"),
    ],
)  # fmt: skip
async def test_parts_of_unknown_cost_are_refused(body: dict[str, Any], param: str) -> None:
    async with StubEndpoint() as stub:
        response = await post(stub, "key-free", body, TOKENS_PER_DAY=10**6)
        assert (response.status_code, response.json()["error"]["param"]) == (400, param)


async def test_without_limits_everything_is_forwarded() -> None:
    body = {**COSTLY, **HARMLESS}
    async with StubEndpoint() as stub:
        response = await post(stub, "key-free", body)
        assert response.status_code == 200
        sent = stub.chats[0].json
    assert {name: sent[name] for name in COSTLY} == COSTLY


KEYWORDS = st.sampled_from(["role", "content", "type", "text", "image_url", "url", "tool_calls"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | KEYWORDS
    | st.sampled_from(["image_url", "text", "data:image/png;base64,A", "\ud800"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYWORDS, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.lists(st.dictionaries(KEYWORDS, VALUES), max_size=3), st.dictionaries(KEYWORDS, VALUES))
def test_any_json_is_measured_or_refused(messages: list[Any], fields: dict[str, Any]) -> None:
    request = PassthroughRequest(model="m", body={**fields, "messages": messages})
    size = passthrough_size(request)
    assert size.longest_message <= size.characters
    assert size.tokens >= 4 * len(messages)
    with suppress(UserError):
        check_parameters(request)


@given(VALUES)
def test_the_size_is_at_least_that_of_all_texts(value: object) -> None:
    """Nothing in a message is left out but the role and the data of pictures."""
    text = json.dumps(value, ensure_ascii=False)
    if "image_url" in text:
        return
    message = {"role": "user", "content": value}
    size = passthrough_size(PassthroughRequest(model="m", body={"messages": [message]}))
    assert size.characters >= sum(map(len, _texts(value)))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        if value.keys() != {"type", "text"} or value["type"] != "text":
            yield from value
            for item in value.values():
                yield from _texts(item)
        else:
            yield from _texts(value["text"])
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
