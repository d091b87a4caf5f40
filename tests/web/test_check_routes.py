"""The checker's addresses: for the host alone, and without a secret in what they say."""

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
from akash_gradio.http.locality import is_local_request
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
    answerer = FakeChatGateway(statuses=(endpoint_status("m", alias="stub"),))
    given = {"checks": checks, "is_operator": lambda _scope: True, **parts}
    return TestClient(make_page(make_deps(answerer, folder, **given)))


def events(response: Any) -> list[dict[str, Any]]:
    assert response.status_code == 200
    lines = response.text.split("\n\n")
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


def test_the_host_is_offered_every_endpoint_and_the_costs(client: TestClient) -> None:
    view = client.get("/page/check").json()
    assert view["endpoints"] == [{"alias": "stub", "models": ["m"]}]
    assert set(view["costs"]) == {"quick", "standard", "full"}
    assert view["strings"] == dict(texts.CHECK)


def test_findings_come_row_by_row_between_a_beginning_and_an_end(client: TestClient) -> None:
    asked = {"endpoint": "stub", "level": "quick"}
    first, *rows, last = events(client.post("/page/check/run", json=asked))
    assert first["kind"] == "begin"
    assert sorted(p["probe"] for p in first["probes"]) == sorted(row["probe"] for row in rows)
    assert {row["verdict"] for row in rows} == {"pass"}
    assert last["counts"] == {"pass": len(rows), "warn": 0, "fail": 0, "skipped": 0}


def test_what_was_learned_is_kept_and_every_place_given_back(client, endpoint) -> None:
    client.post("/page/check/run", json={"endpoint": "stub"})
    learned = endpoint.status(0.0).capabilities["m"]
    assert learned == Capabilities(stream_options=True, pictures=True)
    assert endpoint.in_flight == 0


def test_the_host_may_check_any_address_with_a_key_of_its_own(client, stub) -> None:
    asked = {"url": f" {stub.url} ", "key": f" {KEY} ", "model": "m", "level": "quick"}
    *_, last = events(client.post("/page/check/run", json=asked))
    assert last["counts"]["pass"] == 18


def test_no_secret_comes_back(client: TestClient, stub: StubThread) -> None:
    for asked in ({"endpoint": "stub"}, {"url": stub.url, "key": KEY}):
        assert KEY not in client.post("/page/check/run", json={**asked, "level": "quick"}).text


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ({"endpoint": "nobody"}, "There is no endpoint named nobody"),
        ({"url": "ftp://h"}, "The URL must start with https:// or http://."),
        ({"url": "https://me:pass@h"}, "The URL must not contain a user or password"),
    ],
)
def test_what_cannot_be_checked_is_told_in_a_sentence(client, asked, hint) -> None:
    response = client.post("/page/check/run", json=asked)
    assert response.status_code == 422
    assert hint in response.json()["error"]["hint"]
    assert "pass@" not in response.text


@pytest.mark.parametrize(
    "asked", [{}, {"endpoint": "a", "url": "b"}, {"endpoint": 1}, {"endpoint": "a", "more": 1}, []]
)
def test_a_request_of_another_shape_is_refused(client: TestClient, asked: Any) -> None:
    assert client.post("/page/check/run", json=asked).status_code == 400


def test_one_endpoint_is_checked_once_at_a_time(endpoint, tmp_path) -> None:
    checks = CheckService({"stub": endpoint}.get, Catalog())
    checks._running.add(endpoint.entry.url)
    client = client_of(endpoint, tmp_path, checks=checks)
    response = client.post("/page/check/run", json={"endpoint": "stub"})
    assert "already being checked" in response.json()["error"]["title"]


# ── everybody else ──────────────────────────────────────────────────────────


@pytest.mark.parametrize("parts", [{"is_operator": lambda _scope: False}, {"checks": None}])
def test_nobody_else_reaches_it_or_is_shown_the_way(endpoint, stub, tmp_path, parts) -> None:
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


def test_the_host_is_shown_the_way(client: TestClient) -> None:
    assert client.get("/page/boot").json()["is_operator"] is True


def scope(client: str | None = "127.0.0.1", host: str = "localhost:7860", **headers: str):
    pairs = {"host": host, **headers}
    return {
        "type": "http",
        "client": (client, 1) if client else None,
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in pairs.items()],
    }


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1", "[::1]:7860", "127.9.9.9:1"])
def test_who_sits_at_this_machine_is_the_host(host: str) -> None:
    assert is_local_request(scope(host=host))
    assert is_local_request(scope(client="::1", host=host))


@pytest.mark.parametrize(
    "other",
    [
        scope(client="10.0.0.7"),
        scope(client=None),
        scope(x_forwarded_for="203.0.113.9"),
        scope(forwarded="for=203.0.113.9"),
        scope(x_real_ip="127.0.0.1"),
        scope(via="1.1 proxy"),
        scope(host="rebound.example"),
        scope(host="me.hf.space"),
        scope(host="[bad"),
    ],
)
def test_nobody_else_is(other: dict[str, Any]) -> None:
    assert not is_local_request(other)
