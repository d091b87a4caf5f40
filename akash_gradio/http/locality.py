"""Decides whether a request comes from a program on the machine that runs the server."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

_PROXY_HEADERS: Final = frozenset({b"forwarded", b"via", b"x-real-ip"})
_PROXY_PREFIX: Final = b"x-forwarded-"


def is_local_request(scope: Mapping[str, Any]) -> bool:
    """Return whether a request comes from this machine, directly, and is meant for it.

    The peer must be a loopback address, and there must be no header of a proxy, behind which
    the client may be anywhere. A `Host` other than this machine's means DNS rebinding: a website
    whose name resolves to 127.0.0.1. An `Origin` other than this machine's means a page of another
    site in a browser on this machine.

    Args:
        scope: The ASGI scope of the request, with header names in lower case.
    """
    client = scope.get("client")
    if client is None or not _is_loopback(client[0]):
        return False
    has_host = False
    for name, value in scope["headers"]:
        if name in _PROXY_HEADERS or name.startswith(_PROXY_PREFIX):
            return False
        if name == b"host":
            if not _names_loopback(b"//" + value):
                return False
            has_host = True
        elif name == b"origin" and not _names_loopback(value):
            return False
    return has_host


@lru_cache(maxsize=256)
def _names_loopback(url: bytes) -> bool:
    try:
        parts = urlsplit(url.decode("latin-1"))
        host, _ = parts.hostname or "", parts.port  # an invalid port raises
    except ValueError:
        return False
    return parts.username is None and (host == "localhost" or _is_loopback(host))


@lru_cache(maxsize=256)
def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
