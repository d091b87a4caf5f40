"""Who may ask: the keys, compared in constant time, or this machine alone where there are none."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import time
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from akash_gradio.api.errors import INVALID, Fault

if TYPE_CHECKING:
    from akash_gradio.config.api_keys import GatewayKey

Headers = Mapping[bytes, bytes]
"""By lower-case names."""
FORWARDED: Final = frozenset({b"x-forwarded-for", b"forwarded", b"x-real-ip"})
"""It came through a proxy, and the peer is not who asks."""


class ApiClient:
    """Live: who asks, and how often it did. models: the only ids it may use, None for all.

    name: "" for this machine. per_minute: requests, None for as many as it likes.
    """

    def __init__(
        self,
        name: str = "",
        models: frozenset[str] | None = None,
        per_minute: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self.models = name, models
        self._per_minute, self._clock = per_minute, clock
        self._left, self._at = float(per_minute or 0), clock()

    def may_use(self, model: str) -> bool:
        """Whether it may ask for this model."""
        return self.models is None or model in self.models

    def spend(self) -> None:
        """It asks once more. Raises Fault when that is too often."""
        if self._per_minute is None:
            return
        now, rate = self._clock(), self._per_minute / 60
        self._left = min(float(self._per_minute), self._left + (now - self._at) * rate)
        self._at = now
        if self._left < 1:
            raise Fault(
                status=429,
                message=f"this key may ask {self._per_minute} times a minute",
                type="rate_limit_error",
                code="rate_limit_exceeded",
                retry_after_s=(1 - self._left) / rate,
            )
        self._left -= 1


class ApiKeyAuth:
    """Lets callers in.

    keyed: whether keys were configured, rightly or not; False lets this machine in, and it
    alone. behind_proxy: a proxy may stand on this machine, so nobody is known by coming from it.
    """

    def __init__(
        self,
        keys: Iterable[GatewayKey],
        *,
        keyed: bool,
        behind_proxy: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keyed, self._published = keyed, behind_proxy
        self._callers = [(_digest(key.key.get_secret_value()), _caller(key, clock)) for key in keys]
        self._this_machine = ApiClient(clock=clock)

    def admit(self, scope: Mapping[str, Any]) -> ApiClient:
        """Who asks. Raises Fault: 401 for a wrong key, 403 where there are no keys."""
        headers: Headers = dict(scope["headers"])
        if not self._keyed:
            if self._is_at_home(scope, headers):
                return self._this_machine
            raise Fault(
                status=403,
                message="no API keys are configured here (GATEWAY_API_KEYS), so /v1 answers only "
                "the machine that it runs on, and nobody where a proxy is in front",
                code="no_api_keys_configured",
            )
        scheme, _, given = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        caller = self._known(given.strip()) if scheme.lower() == "bearer" else None
        if caller is None:
            said = "Incorrect API key provided." if given else "No API key was provided."
            raise Fault(
                status=401,
                message=f"{said} Send it as Authorization: Bearer <key>.",
                type=INVALID,
                code="invalid_api_key",
                headers={"www-authenticate": "Bearer"},
            )
        return caller

    def admit_to_numbers(self, scope: Mapping[str, Any]) -> None:
        """For the metrics: this machine, or any key. Raises Fault."""
        if not self._is_at_home(scope, dict(scope["headers"])):
            self.admit(scope)

    def _is_at_home(self, scope: Mapping[str, Any], headers: Headers) -> bool:
        return not self._published and is_this_machine(scope, headers)

    def _known(self, given: str) -> ApiClient | None:
        """Looks at all keys, whichever it is."""
        digest, found = _digest(given), None
        for known, caller in self._callers:
            if hmac.compare_digest(known, digest):
                found = caller
        return found


def is_this_machine(scope: Mapping[str, Any], headers: Headers) -> bool:
    """Whether the peer is a loopback address, asks for one, and is no page of another site.

    A browser here would send another site's question too, also under a name that was bound
    to 127.0.0.1 for this purpose: so Host and Origin have to be this machine's as well.
    """
    client = scope.get("client")
    if client is None or not FORWARDED.isdisjoint(headers):
        return False
    origin = headers.get(b"origin")
    return (
        _loopback(client[0])
        and _names_loopback(b"//" + headers.get(b"host", b""))
        and (origin is None or _names_loopback(origin))
    )


@lru_cache(maxsize=256)
def _names_loopback(url: bytes) -> bool:
    try:
        return _loopback(urlsplit(url.decode("latin-1")).hostname or "")
    except ValueError:
        return False


@lru_cache(maxsize=256)
def _loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _caller(key: GatewayKey, clock: Callable[[], float]) -> ApiClient:
    models = None if key.models is None else frozenset(key.models)
    return ApiClient(key.name, models, key.limits.requests_per_minute, clock)
