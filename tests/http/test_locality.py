from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from akash_gradio.http.locality import is_local_request, locality_check

LOCAL_PEERS = ("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1")
OTHER_PEERS = (None, "", "10.0.0.7", "203.0.113.5", "2001:db8::1", "::ffff:10.0.0.7", "testclient")
LOCAL_HOSTS = ("localhost:7860", "LOCALHOST", "127.0.0.1", "127.9.9.9:1", "[::1]:7860")
OTHER_HOSTS = (
    "", "evil.example", "localhost.evil.example", "a.localhost", "me.hf.space", "[::1", "0.0.0.0",
    "me@localhost", "localhost:7860, evil.example", "localhost:port",
)  # fmt: skip
LOCAL_ORIGINS = (None, "http://localhost:3000", "https://127.0.0.1", "http://[::1]:7860")
OTHER_ORIGINS = ("", "null", "https://evil.example", "http://localhost.evil.example", "http://[bad")
PROXY_HEADERS = (
    ("x-forwarded-for", "127.0.0.1"),
    ("x-forwarded-host", "localhost"),
    ("x-forwarded-proto", "https"),
    ("forwarded", "for=127.0.0.1"),
    ("x-real-ip", "127.0.0.1"),
    ("via", "1.1 proxy"),
    ("x-forwarded", "for=127.0.0.1"),
    ("x-forwarded-server", "h"),
    ("x-forwarded-prefix", "/chat"),
    ("x-forwarded-port", "443"),
    ("x-forwarded-ssl", "on"),
    ("x-original-url", "/"),
    ("x-original-forwarded-for", "127.0.0.1"),
    ("x-client-ip", "127.0.0.1"),
    ("x-cluster-client-ip", "127.0.0.1"),
    ("x-remote-addr", "127.0.0.1"),
    ("x-scheme", "https"),
    ("true-client-ip", "127.0.0.1"),
    ("cf-connecting-ip", "127.0.0.1"),
    ("cf-ray", "1"),
    ("cdn-loop", "cloudflare"),
    ("fastly-client-ip", "127.0.0.1"),
    ("fly-client-ip", "127.0.0.1"),
    ("tailscale-user-login", "ann"),
    ("x-amzn-trace-id", "Root=1"),
    ("x-azure-clientip", "127.0.0.1"),
    ("x-envoy-external-address", "127.0.0.1"),
    ("x-appengine-user-ip", "127.0.0.1"),
    ("proxy-connection", "keep-alive"),
    ("max-forwards", "10"),
)


def scope(
    peer: str | None = "127.0.0.1",
    host: str | None = "localhost:7860",
    origin: str | None = None,
    *headers: tuple[str, str],
) -> dict[str, Any]:
    lines = [("accept", "*/*"), *headers]
    lines += [("host", host)] if host is not None else []
    lines += [("origin", origin)] if origin is not None else []
    return {
        "type": "http",
        "client": (peer, 1234) if peer is not None else None,
        "headers": [(name.encode(), value.encode()) for name, value in lines],
    }


@pytest.mark.parametrize(
    ("peer", "host", "origin"), list(product(LOCAL_PEERS, LOCAL_HOSTS, LOCAL_ORIGINS))
)
def test_a_direct_request_of_this_machine_is_local(peer: str, host: str, origin: str) -> None:
    assert is_local_request(scope(peer, host, origin))


@pytest.mark.parametrize("peer", OTHER_PEERS)
def test_a_request_of_another_machine_is_not_local(peer: str | None) -> None:
    assert not is_local_request(scope(peer))


@pytest.mark.parametrize("host", [*OTHER_HOSTS, None])
def test_a_request_for_another_host_is_not_local(host: str | None) -> None:
    assert not is_local_request(scope(host=host))


@pytest.mark.parametrize("origin", OTHER_ORIGINS)
def test_a_request_of_another_sites_page_is_not_local(origin: str) -> None:
    assert not is_local_request(scope(origin=origin))


@pytest.mark.parametrize("header", PROXY_HEADERS)
@pytest.mark.parametrize("peer", LOCAL_PEERS)
def test_a_request_through_a_proxy_is_not_local(peer: str, header: tuple[str, str]) -> None:
    assert not is_local_request(scope(peer, "localhost", None, header))


def test_every_host_and_origin_has_to_be_this_machine() -> None:
    assert not is_local_request(scope("::1", "localhost", None, ("host", "evil.example")))
    assert not is_local_request(
        scope("::1", "localhost", "http://localhost", ("origin", "https://evil.example"))
    )


def test_http_1_0_is_a_sign_of_a_proxy() -> None:
    """nginx's `proxy_pass` adds no header by default, and speaks HTTP/1.0."""
    assert not is_local_request({**scope(), "http_version": "1.0"})
    assert is_local_request({**scope(), "http_version": "1.1"})


def test_no_request_is_local_once_the_server_is_published() -> None:
    assert locality_check(published=False)(scope())
    assert not locality_check(published=True)(scope())
