"""The live state of one endpoint: its models, its health and its requests in flight."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from akash_gradio.domain.capabilities import Capabilities
from akash_gradio.domain.errors import EndpointError, EndpointRefused, RequestRefused
from akash_gradio.domain.model import ServedModel
from akash_gradio.domain.ports import EndpointState, EndpointStatus
from akash_gradio.gateway.breaker import Breaker
from akash_gradio.gateway.policies import Candidate

if TYPE_CHECKING:
    from akash_gradio.config.endpoints import EndpointSettings

logger = logging.getLogger(__name__)

MODEL_MISSING_S: Final = 60.0
"""How long a model isn't requested from an endpoint that responded with 404."""
NEWEST_WEIGHT: Final = 0.2
"""Weight of the newest time to first token in its moving average."""
_LOADING: Final = re.compile(r"\b(?:loading|starting|waking|warming)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _MissingModel:
    """A model that the endpoint doesn't have.

    Attributes:
        until: When it may be requested again, as `now` of the endpoint's methods.
        error: The response that said so.
    """

    until: float
    error: EndpointError


class Endpoint:
    """Live state of one endpoint. `now` is the gateway's monotonic clock, in seconds.

    Attributes:
        accepts_usage: Whether it accepts `stream_options`; False once it rejected them.
        listed: Whether its list of models was requested, successfully or not.
        in_flight: Calls that it is answering.
        last_failure: None before any.
    """

    def __init__(self, entry: EndpointSettings) -> None:
        self.entry = entry
        self.alias: str = entry.name
        self.accepts_usage = True
        self.listed = False
        self.in_flight = 0
        self.last_failure: EndpointError | None = None
        self._breaker = Breaker()
        self._models: dict[str, ServedModel] | None = None
        if entry.models is not None:
            self._models = {model: ServedModel(id=model) for model in entry.models}
        self._missing: dict[str, _MissingModel] = {}
        self._worked = False
        self._reason = ""
        self._first_token_s: float | None = None
        self._learned: dict[str, Capabilities] = {}
        self._down_since: float | None = None
        self._freed = asyncio.Event()

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

    def ready_in_s(self, model: str, now: float) -> float:
        """Return the seconds until it may be used for the model, 0 when it may be used now."""
        missing = self._missing.get(model)
        wait_s = self._breaker.ready_in_s(now)
        return max(wait_s, missing.until - now) if missing else wait_s

    def blocking_error(self, model: str, now: float) -> EndpointError | None:
        """Return the failure because of which it isn't used for the model now."""
        missing = self._missing.get(model)
        return missing.error if missing and missing.until > now else self.last_failure

    def candidate(self) -> Candidate:
        """Return the view that a routing policy has of it."""
        return Candidate(alias=self.alias, weight=self.entry.weight, in_flight=self.in_flight)

    def begin_call(self) -> bool:
        """Count a call that is sent now, and return whether it is the breaker's probe."""
        self.in_flight += 1
        return self._breaker.begin()

    def end_call(self, probe: bool) -> None:
        """Count the end of a call, whatever its outcome."""
        self.in_flight -= 1
        self._freed.set()
        self._breaker.abandoned(probe)

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
        self._breaker.first_token(probe)
        self._missing.pop(model, None)
        if first_token_s is not None:
            before = self._first_token_s if self._first_token_s is not None else first_token_s
            self._first_token_s = before + NEWEST_WEIGHT * (first_token_s - before)

    def record_success(self) -> None:
        """Record a complete answer."""
        self._breaker.succeeded()
        self._worked, self._reason = True, ""

    def record_rejection(self, probe: bool) -> None:
        """Record that it rejected a request as invalid, which shows that it works."""
        self._breaker.alive(probe)
        self._worked = True

    def record_failure(
        self, error: EndpointError, model: str, now: float, probe: bool, rest_s: float
    ) -> None:
        """Record a failed attempt or an interrupted answer.

        The error is kept without its traceback and context, which would keep the whole call alive.

        Args:
            rest_s: How long to pause after a 429 without a delay.
        """
        status = error.upstream_status if isinstance(error, EndpointRefused) else None
        retry_after_s = error.retry_after_s if isinstance(error, EndpointRefused) else None
        self.last_failure, self._reason = error.with_traceback(None), type(error).__name__
        error.__context__ = None
        if retry_after_s is not None or status == 429:
            self._breaker.rest(now, rest_s if retry_after_s is None else retry_after_s)
        if status == 404:
            self._missing[model] = _MissingModel(now + MODEL_MISSING_S, error)
        if status in (404, 429):
            self._breaker.alive(probe)
            return
        wrong_key = status in (401, 403)
        if wrong_key:
            self._reason = "key"
        was_open = self._breaker.open
        self._breaker.failed(now, probe, at_once=wrong_key)
        if self._breaker.open and not was_open:
            self._down_since = now

    def rest(self, now: float, seconds: float) -> None:
        """Pause it because another replica found it down."""
        self._breaker.rest(now, seconds)

    def is_usage_rejection(self, error: RequestRefused) -> bool:
        """Return whether it rejected `stream_options`, which then aren't sent any more."""
        detail = error.detail.lower()
        if not self.accepts_usage or not ("stream_options" in detail or "include_usage" in detail):
            return False
        self.accepts_usage = False
        return True

    def record_reachable(self) -> None:
        """Record a response that shows that the server runs."""
        if not self._breaker.open:
            self._worked, self._reason = True, ""

    def set_models(self, models: tuple[ServedModel, ...]) -> None:
        """Set the models that it lists."""
        self._models = {model.id: model for model in models}
        self.record_reachable()

    def record_list_failure(self, error: EndpointError | RequestRefused) -> None:
        """Record that its models couldn't be listed; those it listed before stay.

        The same failure is logged once.
        """
        refused = isinstance(error, EndpointRefused) and error.upstream_status in (401, 403)
        reason = "key" if refused else type(error).__name__
        if reason != self._reason:
            facts = {"endpoint": self.alias, "outcome": reason, "fact": str(error)}
            logger.warning("endpoint.list_failed", extra=facts)
        self._reason = reason
        if isinstance(error, EndpointError):
            self.last_failure = error

    def status(self, now: float, epoch_s: float = 0.0) -> EndpointStatus:
        """Return a snapshot of its state.

        Args:
            epoch_s: The difference between seconds since the epoch and `now`.
        """
        state = self._state(now)
        since = self._down_since if state is EndpointState.DOWN else None
        return EndpointStatus(
            alias=self.alias,
            state=state,
            weight=self.entry.weight,
            priority=self.entry.priority,
            models=self.models,
            in_flight=self.in_flight,
            reason=self._reason,
            first_token_s=self._first_token_s,
            busy=self.busy,
            waking=state is EndpointState.DOWN and self._is_loading,
            down_since=None if since is None else round(since + epoch_s),
            capabilities=self._capabilities(),
        )

    @property
    def _is_loading(self) -> bool:
        """Whether its last failure says that the server is still starting."""
        error = self.last_failure
        if not isinstance(error, EndpointRefused) or error.upstream_status != 503:
            return False
        return _LOADING.search(error.detail) is not None

    def _capabilities(self) -> Mapping[str, Capabilities]:
        if self.accepts_usage:
            return dict(self._learned)
        models = {model.id: Capabilities() for model in self.models or ()} | self._learned
        return {name: replace(known, stream_options=False) for name, known in models.items()}

    def _state(self, now: float) -> EndpointState:
        if self.drained:
            return EndpointState.DRAINED
        if self._breaker.open or (self._models is None and self.listed):
            return EndpointState.DOWN
        if self._breaker.resting(now):
            return EndpointState.RESTING
        return EndpointState.READY if self._worked else EndpointState.UNKNOWN
