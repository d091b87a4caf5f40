"""CORS for the sites of ALLOWED_ORIGINS: at `/v1` alone, beside the page, in Gradio's server."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from akash_gradio.app import create_app
from akash_gradio.config.settings import read_settings
from tests.stubs import StubThread

SITE = "https://friend.example"
HEADERS = {"origin": SITE, "authorization": "Bearer k-1234567890"}
CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def preflight(origin: str = SITE) -> dict[str, str]:
    return {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-stainless-lang",
    }


def variables(stub: StubThread, **more: str) -> dict[str, str]:
    return {
        "API_ENDPOINT": stub.url,
        "GATEWAY_API_KEYS": "k-1234567890",
        "EMBEDDED": "off",
        "ALLOWED_ORIGINS": SITE,
        **more,
    }


@pytest.fixture(scope="module")
def stub() -> Iterator[StubThread]:
    with StubThread("perfect") as thread:
        yield thread


@pytest.fixture(scope="module", params=["alone", "page", "gradio"])
def client(request: pytest.FixtureRequest, stub: StubThread) -> Iterator[Any]:
    if request.param == "gradio":
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        settings = read_settings(variables(stub, GRADIO_SERVER_PORT=str(port)), None)
        page = create_app(settings).start()
        try:
            with httpx.Client(base_url=page.url, timeout=30, trust_env=False) as client:
                yield client
        finally:
            page.close()
        return
    app = create_app(read_settings(variables(stub), None), page=request.param == "page")
    with TestClient(app.asgi(), "http://localhost") as client:
        yield client


def test_a_preflight_of_an_allowed_site_is_answered(client: Any) -> None:
    for path in ("/v1/chat/completions", "/v1/models"):
        response = client.options(path, headers=preflight())
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == SITE
        assert "POST" in response.headers["access-control-allow-methods"]
        allowed = response.headers["access-control-allow-headers"].lower()
        assert {"authorization", "content-type", "x-stainless-lang"} <= set(allowed.split(","))


def test_a_response_to_an_allowed_site_is_readable(client: Any) -> None:
    for response in (
        client.get("/v1/models", headers=HEADERS),
        client.post("/v1/chat/completions", headers=HEADERS, json=CHAT),
        client.post("/v1/chat/completions", headers=HEADERS, json={**CHAT, "stream": True}),
    ):
        assert response.status_code == 200
        assert_readable(response.headers)
    refused = client.get("/v1/models", headers={"origin": SITE})
    assert refused.status_code == 401
    assert_readable(refused.headers)  # or a script can't read the error


def assert_readable(headers: Mapping[str, str]) -> None:
    assert headers["access-control-allow-origin"] == SITE
    assert "origin" in headers["vary"].lower()
    assert "x-request-id" in headers["access-control-expose-headers"]


def test_no_response_to_another_site_is_readable(client: Any) -> None:
    other = "https://other.example"
    response = client.options("/v1/models", headers=preflight(other))
    assert "access-control-allow-origin" not in response.headers
    response = client.get("/v1/models", headers={**HEADERS, "origin": other})
    assert "access-control-allow-origin" not in response.headers


def test_a_request_without_an_origin_gets_no_headers_of_cors(client: Any) -> None:
    response = client.get("/v1/models", headers={"authorization": HEADERS["authorization"]})
    assert response.status_code == 200
    assert not [name for name in response.headers if name.startswith("access-control")]
