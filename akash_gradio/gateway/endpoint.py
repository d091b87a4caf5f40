"""The live state of one endpoint: its models, its health and its requests in flight."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from akash_gradio.domain.capabilities import Capabilities
from akash_gradio.domain.errors import EndpointError, EndpointRefused, RequestRefused
from akash_gradio.domain.failure_kinds import FailureKind
from akash_gradio.domain.known_secrets import KnownSecrets
from akash_gradio.domain.model import ServedModel
from akash_gradio.domain.ports import EndpointState, EndpointStatus
from akash_gradio.domain.redaction import redact
from akash_gradio.gateway.endpoint_health import EndpointHealth, failure_reason
from akash_gradio.gateway.policies import Candidate
from akash_gradio.gateway.transport import request_secrets

if TYPE_CHECKING:
    from akash_gradio.config.endpoints import EndpointSettings

logger = logging.getLogger(__name__)

NEWEST_WEIGHT: Final = 0.2
"""Weight of the newest time to first token in its moving average."""


class Endpoint:
    """Live state of one endpoint. `now` is the gateway's monotonic clock, in seconds.

    Attributes:
        accepts_usage: Whether it accepts `stream_options`; False once it rejected them.
        listed: Whether its list of models was requested, successfully or not.
        in_flight: Calls that it is answering.
        health: Its breakers, pauses and recent failures.
    """

    def __init__(self, entry: EndpointSettings) -> None:
        self.entry = entry
        self.alias: str = entry.name
        self.accepts_usage = True
        self.listed = False
        self.in_flight = 0
        self.health = EndpointHealth()
        self._models: dict[str, ServedModel] | None = None
        if entry.models is not None:
            self._models = {model: ServedModel(id=model) for model in entry.models}
        self._first_token_s: float | None = None
        self._learned: dict[str, Capabilities] = {}
        self._freed = asyncio.Event()
        self._secrets: dict[tuple[tuple[str, str], ...], KnownSecrets] = {}
        self._logged_addresses: set[str] = set()

    def secrets(self, model_headers: Mapping[str, str]) -> KnownSecrets:
        """Return the secrets of a request to it.

        Args:
            model_headers: The model's custom headers.
        """
        key = tuple(sorted(model_headers.items()))
        if key not in self._secrets:
            self._secrets[key] = request_secrets(self.entry, model_headers)
        return self._secrets[key]

    @property
    def models(self) -> tuple[ServedModel, ...] | None:
        """The models that it serves, None while they aren't known."""
        return None if self._models is None else tuple(self._models.values())

    @property
    def drained(self) -> bool:
        """Whether its weight is 0, so that it gets no requests."""
        return self.entry.weight == 0

    @property
    def busy(self) -> bool:
        """Whether it is at its maximum concurrency."""
        limit = self.entry.max_concurrency
        return limit is not None and max(self.in_flight, self.entry.running_calls) >= limit

    def serves(self, model: str) -> bool:
        """Return whether it lists the model."""
        return self._models is not None and model in self._models

    def token_limit(self, model: str) -> int | None:
        """Return the context that it reports for the model, None when unknown."""
        served = (self._models or {}).get(model)
        return served.token_limit if served is not None else None

    def candidate(self) -> Candidate:
        """Return the view that a routing policy has of it."""
        return Candidate(alias=self.alias, weight=self.entry.weight, in_flight=self.in_flight)

    def begin_call(self, model: str) -> bool:
        """Count a call that is sent now, and return whether it is a breaker's probe."""
        self.in_flight += 1
        return self.health.begin(model)

    def end_call(self, model: str, probe: bool) -> None:
        """Count the end of a call, whatever its outcome."""
        self.in_flight -= 1
        self._freed.set()
        if probe:
            self.health.end(model)

    async def acquire_slot(self) -> None:
        """Wait for a slot for the checker, and occupy it; one slot stays free for chats."""
        limit = self.entry.max_concurrency
        while limit is not None and self.in_flight >= max(1, limit - 1):
            self._freed.clear()
            await self._freed.wait()
        self.in_flight += 1

    def release_slot(self) -> None:
        """Release the slot of `acquire_slot`."""
        self.in_flight -= 1
        self._freed.set()

    def learn(self, model: str, facts: Mapping[str, Any]) -> None:
        """Remember what a check learned about the model: fields of `Capabilities`."""
        learned = replace(self._learned.get(model, Capabilities()), **facts)
        self._learned[model] = learned
        if learned.stream_options is not None:
            self.accepts_usage = learned.stream_options

    def starts_in_reasoning(self, model: str) -> bool:
        """Return whether the model's text starts inside its reasoning, see `reasoning`."""
        learned = self._learned.get(model)
        return learned is not None and learned.reasoning == "end_tag"

    def record_first_token(self, model: str, probe: bool, first_token_s: float | None) -> None:
        """Record a first token, and the seconds to it (None leaves the average unchanged)."""
        self.health.record_first_token(model, probe)
        if first_token_s is not None:
            before = self._first_token_s if self._first_token_s is not None else first_token_s
            self._first_token_s = before + NEWEST_WEIGHT * (first_token_s - before)

    def is_usage_rejection(self, error: RequestRefused) -> bool:
        """Return whether it rejected `stream_options`, which then aren't sent any more."""
        detail = error.detail.lower()
        if not self.accepts_usage or not ("stream_options" in detail or "include_usage" in detail):
            return False
        self.accepts_usage = False
        return True

    def switch_address(self, error: EndpointError | RequestRefused) -> bool:
        """Switch to the URL with or without `/v1`, if there is no API at the present one.

        Returns:
            Whether it was switched, so that the request is repeated. False once it has worked.
        """
        if not isinstance(error, EndpointRefused) or error.kind is not FailureKind.WRONG_URL:
            return False
        other = self.entry.alternative()
        is_redirect = error.upstream_status < 400
        if other is None or is_redirect or self.health.worked:
            return False
        self.entry = other
        return True

    def name_wrong_address(self, error: EndpointError | RequestRefused, path: str) -> None:
        """Add the path at which there is no API to the error, and log the whole address once.

        Visitors see the error, and only the operator sees the log.
        """
        if not isinstance(error, EndpointRefused) or error.kind is not FailureKind.WRONG_URL:
            return
        address = self.entry.shown_address(path)
        requested = redact(urlsplit(address).path)
        error.detail = f"There is no API at {requested}. {error.detail}".strip()
        if address not in self._logged_addresses:
            self._logged_addresses.add(address)
            facts = {"endpoint": self.alias, "status": error.upstream_status, "address": address}
            logger.warning("endpoint.wrong_address", extra=facts)

    def record_reachable(self) -> None:
        """Record a response that shows that the server runs."""
        self.health.record_reachable(self._models or ())

    def set_models(self, models: tuple[ServedModel, ...]) -> None:
        """Set the models that it lists."""
        self._models = {model.id: model for model in models}
        self.record_reachable()

    def record_list_failure(self, error: EndpointError | RequestRefused) -> None:
        """Record that its models couldn't be listed; those it listed before stay.

        The same failure is logged once.
        """
        reason = failure_reason(error)
        if reason != self.health.reason:
            facts = {"endpoint": self.alias, "outcome": reason, "fact": str(error)}
            logger.warning("endpoint.list_failed", extra=facts)
        self.health.reason = reason
        if isinstance(error, EndpointError):
            self.health.last_failure = error

    def status(self, now: float, epoch_s: float = 0.0) -> EndpointStatus:
        """Return a snapshot of its state.

        Args:
            epoch_s: The difference between seconds since the epoch and `now`.
        """
        state = self._state(now)
        since = self.health.down_since(self._models or ())
        return EndpointStatus(
            alias=self.alias,
            state=state,
            weight=self.entry.weight,
            priority=self.entry.priority,
            models=self.models,
            in_flight=self.in_flight,
            reason=self.health.reason,
            first_token_s=self._first_token_s,
            busy=self.busy,
            waking=state is EndpointState.DOWN and self._is_loading,
            down_since=None if since is None else round(since + epoch_s),
            capabilities=self._capabilities(),
        )

    @property
    def _is_loading(self) -> bool:
        """Whether its last failure says that the server is still starting."""
        error = self.health.last_failure
        return isinstance(error, EndpointRefused) and error.kind is FailureKind.LOADING

    def _capabilities(self) -> Mapping[str, Capabilities]:
        if self.accepts_usage:
            return dict(self._learned)
        models = {model.id: Capabilities() for model in self.models or ()} | self._learned
        return {name: replace(known, stream_options=False) for name, known in models.items()}

    def _state(self, now: float) -> EndpointState:
        if self.drained:
            return EndpointState.DRAINED
        if self.health.down(self._models or ()) or (self._models is None and self.listed):
            return EndpointState.DOWN
        if self.health.resting(self._models or (), now):
            return EndpointState.RESTING
        return EndpointState.READY if self.health.worked else EndpointState.UNKNOWN
