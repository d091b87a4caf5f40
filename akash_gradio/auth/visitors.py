"""Tells visitors apart: who signed in, else by a signed cookie, else by the address."""

from __future__ import annotations

import ipaddress
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from akash_gradio.auth.signing import Signer, cookie, cookie_of
from akash_gradio.domain.visitor import OwnKey, Visitor
from akash_gradio.http.asgi import header

COOKIE: Final = "ag_visitor"
LASTS_S: Final = 30 * 86_400
OWN_KEY: Final = "x-own-key"
OWN_ENDPOINT: Final = "x-own-endpoint"


class Visitors:
    """Live. proxies: how many stand in front and add to X-Forwarded-For; 0 believes nobody.

    told_apart: False sets no cookie, because nothing is counted.
    """

    def __init__(
        self,
        signer: Signer,
        *,
        proxies: int = 0,
        told_apart: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._signer, self._proxies, self.told_apart = signer, proxies, told_apart
        self._clock = clock

    def visitor(self, scope: Mapping[str, Any], user: str = "") -> Visitor:
        """Who asks. user: the name under which they signed in, "" without one."""
        where = self._signer.opaque(f"address:{self.network(scope)}")
        own = _own_key(scope)
        if user:
            return Visitor(id=self._signer.opaque(f"user:{user}"), own_key=own)
        known = self._signer.read(COOKIE, cookie_of(scope, COOKIE), self._clock())
        if known:
            return Visitor(id=known, network=where, own_key=own)
        return Visitor(id=where, own_key=own)

    def new_cookie(self, scope: Mapping[str, Any]) -> tuple[str, str] | None:
        """The header that lets a new visitor be known again; None when it isn't needed."""
        known = self._signer.read(COOKIE, cookie_of(scope, COOKIE), self._clock())
        if not self.told_apart or known:
            return None
        value = self._signer.sign(COOKIE, secrets.token_urlsafe(16), self._clock() + LASTS_S)
        return cookie(scope, COOKIE, value, LASTS_S)

    def network(self, scope: Mapping[str, Any]) -> str:
        """The address; of an IPv6 address the /64, since one customer has all of it."""
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


def client_address(scope: Mapping[str, Any], proxies: int) -> str:
    """Where the request comes from. proxies: as many entries of X-Forwarded-For are believed.

    Each proxy adds the address that it sees at the end, so that whatever a visitor writes
    there himself stands further left. Without as many entries the connection's own counts.
    """
    client = scope.get("client")
    peer = str(client[0]) if client else ""
    forwarded = [part.strip() for part in header(scope, "x-forwarded-for").split(",")]
    if proxies < 1 or len(forwarded) < proxies or not forwarded[-proxies]:
        return peer
    return _without_port(forwarded[-proxies])


def _without_port(entry: str) -> str:
    """`[::1]:80`, `1.2.3.4:80` and bare addresses are all met in the wild."""
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry


def _own_key(scope: Mapping[str, Any]) -> OwnKey | None:
    key = header(scope, OWN_KEY)
    if not key or not key.isascii() or not key.isprintable() or len(key) > 500:
        return None
    return OwnKey(key=key, endpoint=header(scope, OWN_ENDPOINT)[:300])
