"""Compares `/v1/openapi.json` with the routes and with their responses."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from akash_gradio import __version__
from akash_gradio.api.openapi import openapi_description
from akash_gradio.api.routes import api_routes
from tests.api.serving import CHAT, chat_body, serving_one

KEY = "gateway-key-9f3"
EXAMPLES = 15
REST = "/v1/{rest:path}"
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


def paths() -> set[str]:
    api: Any = object()
    return {path.replace(":path}", "}") for path in api_routes(api) if path != REST}


def test_every_route_is_described_and_no_other() -> None:
    assert set(openapi_description()["paths"]) == paths()
    assert openapi_description()["info"]["version"] == __version__


def chat_operation() -> Any:
    load_all_checks()
    return schemathesis.openapi.from_dict(openapi_description())[CHAT]["POST"]


def description_without_security() -> dict[str, Any]:
    """Return the description without security, so that generated requests keep the right key."""
    description = openapi_description()
    for operations in description["paths"].values():
        for operation in operations.values():
            operation["security"] = []
    return description


def exercise_all(url: str, key: str) -> dict[str, set[int]]:
    """Send valid and invalid requests to each route; return the statuses by path."""
    load_all_checks()
    schema = schemathesis.openapi.from_dict(description_without_security())
    statuses: dict[str, set[int]] = {}
    for result in schema.get_all_operations():
        operation = result.ok()  # type: ignore[union-attr]  # raises for an invalid one
        for mode in GenerationMode:
            if operation.body or mode.is_positive:  # without a body no request is invalid
                seen = exercise(operation, mode, url, key)
                statuses[operation.path] = statuses.get(operation.path, set()) | seen
    return statuses


def exercise(operation: Any, mode: GenerationMode, url: str, key: str) -> set[int]:
    seen = set()

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        case.headers["authorization"] = f"Bearer {key}"
        model = case.body.get("model") if isinstance(case.body, dict) else None
        if isinstance(model, str) and model.strip():
            case.body["model"] = "m"
        response = case.call(base_url=url, timeout=20)
        seen.add(response.status_code)
        assert response.status_code < 500
        case.validate_response(response, checks=CHECKS)

    send()
    return seen


async def test_every_response_matches_the_description() -> None:
    async with serving_one(GATEWAY_API_KEYS=KEY) as (served, _):
        url = served.url.removesuffix("/v1")
        statuses = await asyncio.to_thread(exercise_all, url, KEY)
    assert statuses.pop(CHAT) >= {200, 400}
    assert statuses.pop("/v1/models/{model}") == {404}
    assert set.union(*statuses.values()) == {200}


@pytest.mark.parametrize(
    ("behavior", "key", "model", "status"),
    [
        ("perfect", KEY, "m", 200),
        ("perfect", "wrong", "m", 401),
        ("perfect", KEY, "nope", 404),
        ("status_500", KEY, "m", 502),
        ("status_429", KEY, "m", 429),
    ],
)
async def test_every_failure_matches_the_description(
    behavior: str, key: str, model: str, status: int
) -> None:
    async with serving_one(behavior, GATEWAY_API_KEYS=KEY) as (served, _):
        case = chat_operation().Case(
            body=chat_body() | {"model": model},
            headers={"authorization": f"Bearer {key}"},
            media_type="application/json",
        )
        url = served.url.removesuffix("/v1")
        response = await asyncio.to_thread(lambda: case.call(base_url=url, timeout=20))
    assert response.status_code == status
    case.validate_response(response, checks=CHECKS)
