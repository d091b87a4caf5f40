"""Decides whether a request comes from a program on the machine that runs the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

from akash_gradio.domain.loopback import is_loopback_host

LocalityCheck = Callable[[Mapping[str, Any]], bool]
"""Returns whether a request, given by its ASGI scope, is a local one."""

_OLD_VERSIONS: Final = frozenset({"0.9", "1.0"})
_PROXY_HEADERS: Final = frozenset(
    {
        b"forwarded", b"via", b"max-forwards", b"cdn-loop", b"client-ip", b"true-client-ip",
        b"incap-client-ip", b"wl-proxy-client-ip", b"x-host", b"x-scheme", b"x-ssl", b"x-varnish",
        b"front-end-https", b"x-client-ip", b"x-client-port",
    }
)  # fmt: skip
_PROXY_PREFIXES: Final = (
    b"x-forwarded", b"x-forwarder", b"x-real-", b"x-cluster-", b"x-original-",
    b"x-remote-", b"x-proxy", b"proxy-", b"cf-", b"fastly-", b"fly-", b"tailscale-", b"akamai-",
    b"x-akamai-", b"x-amzn-", b"x-amz-cf-", b"x-appengine-", b"x-arr-", b"x-azure-", b"x-envoy-",
    b"x-nf-", b"x-nginx-", b"x-railway-", b"x-sucuri-", b"x-traefik-", b"x-vercel-",
)  # fmt: skip
"""Headers that proxies, tunnels and content delivery networks add, from their documentation."""


def locality_check(*, published: bool) -> LocalityCheck:
    """Return the check that decides which requests are local.

    Args:
        published: Whether the server is meant for other machines too. Then no request counts as
            local, since a proxy on this machine may pass on requests from anywhere without
            adding a header (nginx's `proxy_pass` by default).
    """
    return _never_local if published else is_local_request


def _never_local(_scope: Mapping[str, Any]) -> bool:
    return False


def is_local_request(scope: Mapping[str, Any]) -> bool:
    """Return whether a request comes from this machine, directly, and is meant for it.

    The peer must be a loopback address, and there must be no sign of a proxy, behind which the
    client may be anywhere: no header that proxies add, and not HTTP/1.0, which proxies speak to
    their upstreams (nginx by default) and no current client does. A `Host` other than this
    machine's means DNS rebinding: a website whose name resolves to 127.0.0.1. An `Origin` other
    than this machine's means a page of another site in a browser on this machine.

    Args:
        scope: The ASGI scope of the request, with header names in lower case.
    """
    client = scope.get("client")
    if client is None or not is_loopback_host(client[0]) or is_proxied(scope):
        return False
    has_host = False
    for name, value in scope["headers"]:
        if name == b"host":
            if has_host or not _names_loopback(b"//" + value):
                return False
            has_host = True
        elif name == b"origin" and not _names_loopback(value):
            return False
    return has_host


def is_proxied(scope: Mapping[str, Any]) -> bool:
    """Return whether a request shows that it came through a proxy; the absence proves nothing."""
    if scope.get("http_version") in _OLD_VERSIONS:
        return True
    return any(_is_proxy_header(name) for name, _ in scope["headers"])


@lru_cache(maxsize=512)
def _is_proxy_header(name: bytes) -> bool:
    return name in _PROXY_HEADERS or name.startswith(_PROXY_PREFIXES)


@lru_cache(maxsize=256)
def _names_loopback(url: bytes) -> bool:
    try:
        parts = urlsplit(url.decode("latin-1"))
        host, _ = parts.hostname or "", parts.port  # an invalid port raises
    except ValueError:
        return False
    return parts.username is None and is_loopback_host(host)
