"""Identifies visitors: by their account, else by a signed cookie, else by their network."""

from __future__ import annotations

import ipaddress
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from akash_gradio.auth.signing import Signer, read_cookie, set_cookie
from akash_gradio.domain.visitor import OwnKey, Visitor, VisitorKind
from akash_gradio.http.asgi import header

COOKIE: Final = "ag_visitor"
COOKIE_MAX_AGE_S: Final = 30 * 86_400
OWN_KEY_HEADER: Final = "x-own-key"
OWN_ENDPOINT_HEADER: Final = "x-own-endpoint"
MAX_OWN_KEY_LENGTH: Final = 500
MAX_OWN_ENDPOINT_LENGTH: Final = 300


class Visitors:
    """Identifies the visitor of a request."""

    def __init__(
        self,
        signer: Signer,
        *,
        proxies: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Initialize the identification.

        Args:
            signer: Signs the cookies.
            proxies: Number of trusted proxies, each of which appends to X-Forwarded-For.
            clock: Unix time in seconds.
        """
        self._signer, self._proxies, self._clock = signer, proxies, clock

    def visitor(self, scope: Mapping[str, Any], user: str = "") -> Visitor:
        """Return the visitor of a request.

        Args:
            scope: The ASGI scope of the request.
            user: User name of the visitor's account, "" without sign-in.
        """
        own_key = _own_key(scope)
        if user:
            user_id = self._signer.opaque(f"user:{user}")
            return Visitor(id=user_id, kind=VisitorKind.USER, own_key=own_key)
        network = self.network_id(scope)
        cookie_id = self._read_cookie(scope)
        if cookie_id:
            return Visitor(id=cookie_id, network=network, kind=VisitorKind.COOKIE, own_key=own_key)
        return Visitor(id=network, own_key=own_key)

    def new_cookie(self, scope: Mapping[str, Any]) -> tuple[str, str] | None:
        """Return the header that identifies a new visitor from now on, None for a known one."""
        if self._read_cookie(scope):
            return None
        expires = self._clock() + COOKIE_MAX_AGE_S
        value = self._signer.sign(COOKIE, secrets.token_urlsafe(16), expires)
        return set_cookie(scope, COOKIE, value, COOKIE_MAX_AGE_S)

    def network_id(self, scope: Mapping[str, Any]) -> str:
        """Return an opaque identifier of the client's network."""
        return self._signer.opaque(f"address:{self.network(scope)}")

    def network(self, scope: Mapping[str, Any]) -> str:
        """Return the client's IPv4 address, or the /64 of its IPv6 address.

        A provider gives a whole /64 to one customer.
        """
        address = client_address(scope, self._proxies)
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return address
        if isinstance(parsed, ipaddress.IPv6Address):
            if parsed.ipv4_mapped is not None:
                return str(parsed.ipv4_mapped)
            return str(ipaddress.ip_network((parsed, 64), strict=False))
        return str(parsed)

    def _read_cookie(self, scope: Mapping[str, Any]) -> str | None:
        return self._signer.read(COOKIE, read_cookie(scope, COOKIE), self._clock())


def client_address(scope: Mapping[str, Any], proxies: int) -> str:
    """Return the address that a request comes from.

    Each proxy appends the address of its peer to X-Forwarded-For, so that entries which a
    client sends itself are further left than those of the trusted proxies.

    Args:
        scope: The ASGI scope of the request.
        proxies: Number of trusted proxies. With fewer entries the connection's peer counts.
    """
    client = scope.get("client")
    peer = str(client[0]) if client else ""
    entries = [entry.strip() for entry in header(scope, "x-forwarded-for").split(",")]
    if proxies < 1 or len(entries) < proxies or not entries[-proxies]:
        return peer
    return _without_port(entries[-proxies])


def _without_port(entry: str) -> str:
    """Proxies write `[::1]:80`, `1.2.3.4:80` or a bare address."""
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry


def _own_key(scope: Mapping[str, Any]) -> OwnKey | None:
    key = header(scope, OWN_KEY_HEADER)
    if not key or not key.isascii() or not key.isprintable() or len(key) > MAX_OWN_KEY_LENGTH:
        return None
    return OwnKey(key=key, endpoint=header(scope, OWN_ENDPOINT_HEADER)[:MAX_OWN_ENDPOINT_LENGTH])
