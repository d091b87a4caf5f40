"""Who the host is: whoever sits at the machine that runs the page."""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from starlette.types import Scope

_FORWARDED: Final = frozenset(
    {b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip"}
)


def is_local_request(scope: Scope) -> bool:
    """Whether a request comes straight from this machine, and means this machine.

    One that a proxy passed on says so in its headers. One that names another host comes from
    a website whose name somebody pointed here.
    """
    headers = scope["headers"]
    if any(name.lower() in _FORWARDED for name, _ in headers):
        return False
    client = scope.get("client")
    hosts = [value.decode("latin-1") for name, value in headers if name.lower() == b"host"]
    return client is not None and _loopback(client[0]) and all(map(_names_loopback, hosts))


def _names_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or _loopback(name)


def _loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
