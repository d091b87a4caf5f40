"""Authenticates API clients: by their keys or, where none are configured, as local requests."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from akash_gradio.domain.errors import UserError
from akash_gradio.http.asgi import header
from akash_gradio.http.locality import LocalityCheck, is_local_request

if TYPE_CHECKING:
    from akash_gradio.config.api_keys import GatewayKey


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiClient:
    """A client of `/v1`.

    Attributes:
        name: Name of its key, "" for a local client where no keys are configured.
        models: Ids of the models that it may use, None for all.
        requests_per_minute: Its rate limit, None for no limit.
        tokens_per_day: Its budget of tokens, None for that of every visitor.
        cost_per_day: Its budget in US dollars, None for no limit.
    """

    name: str = ""
    models: frozenset[str] | None = None
    requests_per_minute: int | None = None
    tokens_per_day: int | None = None
    cost_per_day: float | None = None

    @property
    def limited(self) -> bool:
        """Whether the key has limits of its own."""
        limits = (self.models, self.requests_per_minute, self.tokens_per_day, self.cost_per_day)
        return any(limit is not None for limit in limits)

    def may_use(self, model: str) -> bool:
        """Return whether the client may use the model with this id."""
        return self.models is None or model in self.models


LOCAL_CLIENT: Final = ApiClient()


class ApiKeyAuth:
    """Authenticates the requests to `/v1` and `/metrics`."""

    def __init__(
        self,
        keys: Iterable[GatewayKey],
        *,
        keys_configured: bool,
        is_local: LocalityCheck = is_local_request,
    ) -> None:
        """Initialize the authentication.

        Args:
            keys: The valid keys.
            keys_configured: Whether any were configured, valid or not. If not, local requests
                need no key, and all others are refused.
            is_local: Decides which requests are local, see `http.locality.locality_check`.
        """
        self._keys_configured, self._is_local = keys_configured, is_local
        self._clients = [(_digest(key.key.get_secret_value()), _client(key)) for key in keys]

    def authenticate(self, scope: Mapping[str, Any]) -> ApiClient:
        """Return the client that sent a request.

        Raises:
            UserError: 401 without a valid key, 403 where no keys are configured.
        """
        if not self._keys_configured:
            if self._is_local(scope):
                return LOCAL_CLIENT
            raise UserError("no_api_keys_configured", status=403)
        scheme, _, key = header(scope, "authorization").partition(" ")
        client = self._find(key.strip()) if scheme.lower() == "bearer" else None
        if client is None:
            raise UserError("api_key_invalid" if key else "api_key_missing", status=401)
        return client

    def authenticate_metrics(self, scope: Mapping[str, Any]) -> None:
        """Admit a request for the metrics: a local one, or one with any valid key.

        Raises:
            UserError: See `authenticate`.
        """
        if not self._is_local(scope):
            self.authenticate(scope)

    def _find(self, key: str) -> ApiClient | None:
        """Compare with every key, so that the time doesn't depend on which one matches."""
        digest, match = _digest(key), None
        for known, client in self._clients:
            if hmac.compare_digest(known, digest):
                match = client
        return match


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _client(key: GatewayKey) -> ApiClient:
    return ApiClient(
        name=key.name,
        models=None if key.models is None else frozenset(key.models),
        requests_per_minute=key.limits.requests_per_minute,
        tokens_per_day=key.limits.tokens_per_day,
        cost_per_day=key.limits.cost_per_day,
    )
