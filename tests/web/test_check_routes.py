"""The routes of the checker are for the operator only, and no response contains a secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from akash_gradio.catalog.loader import Catalog
from akash_gradio.check.service import CheckService
from akash_gradio.domain.capabilities import Capabilities
from akash_gradio.gateway.endpoint import Endpoint
from akash_gradio.web import texts
from tests.check.helpers import KEY, target
from tests.stubs import StubThread
from tests.stubs.compliant import compliant
from tests.web.fakes import FakeChatGateway, endpoint_status, make_deps, make_page


@pytest.fixture
def stub() -> Iterator[StubThread]:
    with StubThread(compliant(), key=KEY) as stub:
        yield stub


@pytest.fixture
def endpoint(stub: StubThread) -> Endpoint:
    return Endpoint(target(stub, models=["m"]).entry)


@pytest.fixture
def client(endpoint: Endpoint, tmp_path: Path) -> TestClient:
    return client_of(endpoint, tmp_path)


def client_of(endpoint: Endpoint, folder: Path, **parts: Any) -> TestClient:
    checks = CheckService({"stub": endpoint}.get, Catalog())
    gateway = FakeChatGateway(statuses=(endpoint_status("m", alias="stub"),))
    options = {"checks": checks, "is_operator": lambda _scope: True, **parts}
    return TestClient(make_page(make_deps(gateway, folder, **options)))


def events(response: Any) -> list[dict[str, Any]]:
    assert response.status_code == 200
    lines = response.text.split("\n\n")
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


def test_the_operator_gets_the_endpoints_and_the_costs(client: TestClient) -> None:
    view = client.get("/page/check").json()
    assert view["endpoints"] == [{"alias": "stub", "models": ["m"]}]
    assert set(view["costs"]) == {"quick", "standard", "full"}
    assert view["strings"] == dict(texts.CHECK)


def test_findings_are_streamed_between_a_begin_and_an_end_event(client: TestClient) -> None:
    body = {"endpoint": "stub", "level": "quick"}
    first, *rows, last = events(client.post("/page/check/run", json=body))
    assert first["kind"] == "begin"
    assert sorted(p["probe"] for p in first["probes"]) == sorted(row["probe"] for row in rows)
    assert {row["verdict"] for row in rows} == {"pass"}
    assert last["counts"] == {"pass": len(rows), "warn": 0, "fail": 0, "skipped": 0}


def test_a_check_records_capabilities_and_releases_every_slot(
    client: TestClient, endpoint: Endpoint
) -> None:
    client.post("/page/check/run", json={"endpoint": "stub"})
    learned = endpoint.status(0.0).capabilities["m"]
    assert learned == Capabilities(stream_options=True, pictures=True)
    assert endpoint.in_flight == 0


def test_the_operator_can_check_any_address_with_its_key(
    client: TestClient, stub: StubThread
) -> None:
    body = {"url": f" {stub.url} ", "key": f" {KEY} ", "model": "m", "level": "quick"}
    *_, last = events(client.post("/page/check/run", json=body))
    assert last["counts"]["pass"] == 18


def test_no_response_contains_a_secret(client: TestClient, stub: StubThread) -> None:
    for body in ({"endpoint": "stub"}, {"url": stub.url, "key": KEY}):
        assert KEY not in client.post("/page/check/run", json={**body, "level": "quick"}).text


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ({"endpoint": "missing"}, "There is no endpoint named missing"),
        ({"url": "ftp://h"}, "The URL must start with https:// or http://."),
        ({"url": "https://me:pass@h"}, "The URL must not contain a user or password"),
    ],
)
def test_an_endpoint_that_cannot_be_checked_is_an_error_with_a_hint(
    client: TestClient, body: dict[str, str], hint: str
) -> None:
    response = client.post("/page/check/run", json=body)
    assert response.status_code == 422
    assert hint in response.json()["error"]["hint"]
    assert "pass@" not in response.text


@pytest.mark.parametrize(
    "body",
    [{}, {"endpoint": "a", "url": "b"}, {"endpoint": 1}, {"endpoint": "a", "more": 1}, []],
)
def test_an_invalid_request_is_rejected(client: TestClient, body: Any) -> None:
    assert client.post("/page/check/run", json=body).status_code == 400


def test_an_endpoint_is_checked_once_at_a_time(endpoint: Endpoint, tmp_path: Path) -> None:
    checks = CheckService({"stub": endpoint}.get, Catalog())
    checks._running.add(endpoint.entry.url)
    client = client_of(endpoint, tmp_path, checks=checks)
    response = client.post("/page/check/run", json={"endpoint": "stub"})
    assert "already being checked" in response.json()["error"]["title"]


# ── visitors ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("parts", [{"is_operator": lambda _scope: False}, {"checks": None}])
def test_visitors_can_neither_see_nor_use_the_checker(
    endpoint: Endpoint, stub: StubThread, tmp_path: Path, parts: dict[str, Any]
) -> None:
    client = client_of(endpoint, tmp_path, **parts)
    for response in (
        client.get("/page/check"),
        client.post("/page/check/run", json={"endpoint": "stub"}),
        client.post("/page/check/run", json={"url": "http://169.254.169.254/"}),
    ):
        assert response.status_code == 403
        assert response.json()["error"]["code"] == "operator_only"
    assert client.get("/page/boot").json()["is_operator"] is False
    assert stub.requests == []


def test_the_operator_sees_the_checker(client: TestClient) -> None:
    assert client.get("/page/boot").json()["is_operator"] is True
