from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akash_gradio.config.endpoints import EndpointSettings
from akash_gradio.domain.errors import EndpointMalformed, EndpointRefused
from akash_gradio.domain.model import ServedModel
from akash_gradio.gateway.discovery import (
    MAX_LIST_BYTES,
    fetch_models,
    parse_models,
    to_catalog_ids,
)
from tests.gateway.fakes import FakeReply, FakeTransport, error_reply


def read(value: Any) -> list[tuple[str, int | None]]:
    models = parse_models("a", json.dumps(value).encode())
    return [(model.id, model.token_limit) for model in models]


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ({"object": "list", "data": [{"id": "x"}, {"id": "y"}]}, ["x", "y"]),
        ({"models": [{"name": "x", "model": "x:1b"}]}, ["x:1b"]),
        ({"models": [{"name": "x"}], "data": [{"id": "y"}]}, ["y"]),
        ([{"id": "x"}], ["x"]),
        (["x", "y"], ["x", "y"]),
        ({"data": ["x"]}, ["x"]),
        ({"data": []}, []),
        ({"data": None}, []),
        ({"data": [{"id": "x"}, {"id": "x"}, {"id": " x "}]}, ["x"]),
        ({"data": [{"id": ""}, {"id": 7}, None, 3, {}, {"id": "x"}]}, ["x"]),
        ({"data": [{"id": "e", "type": "embedding"}, {"id": "c", "type": "chat"}]}, ["c"]),
    ],
)
def test_parses_the_lists_that_servers_send(value: Any, ids: list[str]) -> None:
    assert [model for model, _ in read(value)] == ids


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ({"context_length": 4096}, 4096),
        ({"max_model_len": 4096}, 4096),
        ({"context_window": 4096}, 4096),
        ({"meta": {"n_ctx": 4096, "n_ctx_train": 32768}}, 4096),
        ({"meta": {"n_ctx_train": 32768}}, None),
        ({"top_provider": {"context_length": 4096}}, 4096),
        ({"max_context_length": 32768, "loaded_context_length": 4096}, 4096),
        ({"context_length": 4096.0}, 4096),
        ({"context_length": None, "max_model_len": 0, "context_window": "4096"}, None),
        ({"context_length": True}, None),
        ({"context_length": -1}, None),
        ({"context_length": 1e300}, None),
        ({"meta": None}, None),
        ({}, None),
    ],
)
def test_finds_the_context_window_in_every_field(fields: dict[str, Any], limit: int | None) -> None:
    assert read({"data": [{"id": "x", **fields}]}) == [("x", limit)]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>", "html"),
        (b"", "json"),
        (b"{", "json"),
        (b"[" * 100_000, "json"),
        (b"7", "shape"),
        (b'{"error": {"message": "no"}}', "shape"),
        (b'{"data": {"id": "x"}}', "shape"),
    ],
)
def test_another_response_is_malformed(body: bytes, reason: str) -> None:
    with pytest.raises(EndpointMalformed) as error:
        parse_models("a", body)
    assert error.value.reason == reason


def test_a_byte_order_mark_is_skipped() -> None:
    assert parse_models("a", b'\xef\xbb\xbf["x"]') == (ServedModel(id="x"),)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["data", "id", "meta"]), inner),
)


@given(json_values)
def test_any_json_is_parsed_or_malformed(value: Any) -> None:
    try:
        models = parse_models("a", json.dumps(value).encode())
    except EndpointMalformed:
        return
    assert all(model.id.strip() for model in models)


def test_own_ids_are_translated_into_catalog_ids() -> None:
    own = (ServedModel(id="org/m", token_limit=9), ServedModel(id="other"))
    named = to_catalog_ids(own, {"m": "org/m"})
    assert named == (ServedModel(id="m", token_limit=9), ServedModel(id="other"))


ENTRY = EndpointSettings(name="a", url="http://a.test")


async def test_an_error_response_is_raised() -> None:
    network = FakeTransport()
    network.model_lists["a"] = error_reply(401)
    with pytest.raises(EndpointRefused):
        await fetch_models(network, ENTRY, connect_timeout_s=1)
    assert network.closed == ["a"]


async def test_a_list_that_is_too_large_is_malformed_and_closed() -> None:
    network = FakeTransport()
    network.model_lists["a"] = FakeReply(
        parts=[b" " * (1 << 20)] * (MAX_LIST_BYTES // (1 << 20) + 1)
    )
    with pytest.raises(EndpointMalformed) as error:
        await fetch_models(network, ENTRY, connect_timeout_s=1)
    assert (error.value.reason, network.closed) == ("too_long", ["a"])
