"""Who may use what is not the page itself, by every sign that the server is published."""

from __future__ import annotations

from functools import cache

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from tests.edge.pages import Page

SIGNS: tuple[dict[str, str], ...] = (
    {"ACCESS_TOKEN": "let-me-in-9f3"},
    {"SIGN_IN": "huggingface", "OAUTH_CLIENT_ID": "client-1"},
    {"ADMIN_PASSWORD": "host-only-7b2"},
    {"GATEWAY_API_KEYS": "key-of-ann-123"},
    {"TRUSTED_PROXIES": "1"},
    {"SPACE_ID": "me/demo"},
    {"ALLOWED_HOSTS": "chat.example"},
    {"GRADIO_SERVER_NAME": "0.0.0.0"},
    {"VISITOR_MESSAGES_PER_MINUTE": "5"},
)
GET_PATHS = ("/v1/models", "/v1/models/m", "/v1/openapi.json", "/v1/x", "/metrics", "/page/check")
BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@cache
def page_with(root_path: str = "", **variables: str) -> Page:
    """Return one page for all tests with these settings."""
    return Page(root_path, **variables)


def statuses(page: Page, **headers: str) -> dict[str, int]:
    """Return the status of each path for a program on this machine."""
    client = TestClient(page.app, "http://127.0.0.1:7860", client=("127.0.0.1", 50_000))
    lines = {name.replace("_", "-"): value for name, value in headers.items()}
    found = {path: client.get(path, headers=lines).status_code for path in GET_PATHS}
    found["POST"] = client.post("/v1/chat/completions", json=BODY, headers=lines).status_code
    return found


@pytest.mark.parametrize("signs", SIGNS, ids=lambda signs: next(iter(signs)))
def test_a_published_server_admits_no_client_by_its_address(signs: dict[str, str]) -> None:
    """nginx's plain `proxy_pass` on the same machine sends what a local program sends."""
    assert set(statuses(page_with(**signs)).values()) <= {401, 403}


def test_below_a_root_path_no_client_is_admitted_by_its_address() -> None:
    assert set(statuses(page_with("/chat")).values()) <= {401, 403}


def test_without_any_sign_a_local_program_is_the_operators() -> None:
    found = statuses(page_with())
    assert {path for path, status in found.items() if status in (401, 403)} == set()


@pytest.mark.parametrize(
    "headers",
    [{"via": "1.1 x"}, {"x_forwarded_host": "a"}, {"forwarded": "for=a"}, {"cf_ray": "1"}],
    ids=str,
)
def test_every_path_agrees_that_a_request_through_a_proxy_is_not_local(
    headers: dict[str, str],
) -> None:
    assert set(statuses(page_with(), **headers).values()) == {403}


def rebound(page: Page, path: str) -> int:
    """Return the status for a page of evil.example whose name resolves to this server."""
    client = TestClient(page.app, "http://evil.example:7860", client=("127.0.0.1", 50_000))
    return client.get(path, headers={"origin": "http://evil.example:7860"}).status_code


@pytest.mark.parametrize("path", ["/", "/page/boot", "/page/sign-in", "/theme.css", "/nothing"])
@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"GRADIO_SERVER_NAME": "0.0.0.0"},
        {"ALLOWED_HOSTS": "chat.example"},
        {"TOKENS_PER_DAY": "5"},
    ],
    ids=str,
)
def test_dns_rebinding_reaches_nothing(variables: dict[str, str], path: str) -> None:
    assert rebound(page_with(**variables), path) == 421


@pytest.mark.parametrize("path", ["/v1/models", "/metrics"])
def test_dns_rebinding_does_not_reach_the_api_without_a_key(path: str) -> None:
    assert rebound(page_with(), path) == 403


def test_the_refusal_names_the_setting() -> None:
    client = TestClient(page_with().app, "http://chat.example")
    error = client.get("/").json()["error"]
    assert error["code"] == "host_not_allowed"
    assert "chat.example" in error["message"]
    assert "ALLOWED_HOSTS" in error["message"]


@pytest.mark.parametrize(
    "variables",
    [{"ALLOWED_HOSTS": "evil.example"}, {"ALLOWED_HOSTS": "*"}, {"TRUSTED_PROXIES": "1"}],
    ids=str,
)
def test_a_name_of_the_servers_own_is_served(variables: dict[str, str]) -> None:
    assert rebound(page_with(**variables), "/page/boot") == 200


def test_behind_a_token_every_name_leads_to_the_sign_in_form() -> None:
    page = page_with(ACCESS_TOKEN="let-me-in-9f3")
    assert rebound(page, "/page/boot") == 401
    assert rebound(page, "/page/sign-in") == 200


def test_no_websocket_is_opened() -> None:
    client = TestClient(page_with().app, "http://127.0.0.1:7860")
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/gradio_api/queue/join"):
        pass
