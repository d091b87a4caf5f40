"""One endpoint as it is now: what it serves, how it fares, how much it is doing."""

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
"""Seconds without a question for a model that the endpoint did not find (404)."""
AVERAGE_SHARE: Final = 0.2
"""Of the newest time to first token in the moving average."""
_LOADING: Final = re.compile(r"\b(?:loading|starting|waking|warming)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Missing:
    """A model that the endpoint said it hasn't got. until: monotonic seconds."""

    until: float
    error: EndpointError


class Endpoint:
    """Live state of one endpoint. All times are `now` of the gateway's clock, in seconds."""

    def __init__(self, entry: EndpointSettings) -> None:
        self.entry = entry
        self.alias: str = entry.name
        self.accepts_usage = True
        """Whether it takes `stream_options`; False once it refused them."""
        self.listed = False
        """Whether its list of models was asked for, in vain or not."""
        self.in_flight = 0
        self.last_failure: EndpointError | None = None
        self._breaker = Breaker()
        self._models: dict[str, ServedModel] | None = None
        if entry.models is not None:
            self._models = {model: ServedModel(id=model) for model in entry.models}
        self._missing: dict[str, Missing] = {}
        self._proved = False
        self._reason = ""
        self._first_token_s: float | None = None
        self._learned: dict[str, Capabilities] = {}
        self._down_since: float | None = None
        self._freed = asyncio.Event()

    @property
    def models(self) -> tuple[ServedModel, ...] | None:
        """What it serves, None while that isn't known."""
        return None if self._models is None else tuple(self._models.values())

    @property
    def drained(self) -> bool:
        """Weight 0: never asked."""
        return self.entry.weight == 0

    @property
    def busy(self) -> bool:
        """As many requests in flight as it takes."""
        most = self.entry.max_concurrency
        return most is not None and self.in_flight >= most

    def serves(self, model: str) -> bool:
        """Whether it lists the model."""
        return self._models is not None and model in self._models

    def ready_in_s(self, model: str, now: float) -> float:
        """Seconds until it may be asked for the model, 0 when it may now."""
        missing = self._missing.get(model)
        wait_s = self._breaker.ready_in_s(now)
        return max(wait_s, missing.until - now) if missing else wait_s

    def blocking_error(self, model: str, now: float) -> EndpointError | None:
        """The last failure that keeps this model from being asked for here."""
        missing = self._missing.get(model)
        return missing.error if missing and missing.until > now else self.last_failure

    def candidate(self) -> Candidate:
        """What a policy sees of it."""
        return Candidate(alias=self.alias, weight=self.entry.weight, in_flight=self.in_flight)

    def begin_call(self) -> bool:
        """A request is sent. Returns whether it is the breaker's probe."""
        self.in_flight += 1
        return self._breaker.begin()

    def end_call(self, probe: bool) -> None:
        """The request is over, however it went."""
        self.in_flight -= 1
        self._freed.set()
        self._breaker.abandoned(probe)

    async def acquire_slot(self) -> None:
        """A place for a check: waits until one is free that the next chat won't want."""
        most = self.entry.max_concurrency
        while most is not None and self.in_flight >= max(1, most - 1):
            self._freed.clear()
            await self._freed.wait()
        self.in_flight += 1

    def release_slot(self) -> None:
        """The place that was lent is free."""
        self.in_flight -= 1
        self._freed.set()

    def learn(self, model: str, facts: Mapping[str, Any]) -> None:
        """What a check found out of how it serves the model: fields of `Capabilities`."""
        found = replace(self._learned.get(model, Capabilities()), **facts)
        self._learned[model] = found
        if found.stream_options is not None:
            self.accepts_usage = found.stream_options

    def starts_in_reasoning(self, model: str) -> bool:
        """Whether the model's reasoning ends with a tag that nothing opens."""
        return model in self._learned and self._learned[model].reasoning == "end_tag"

    def record_first_token(self, model: str, probe: bool, first_token_s: float | None) -> None:
        """Its first token came, after so many seconds (None: not to be counted)."""
        self._breaker.first_token(probe)
        self._missing.pop(model, None)
        if first_token_s is not None:
            before = self._first_token_s if self._first_token_s is not None else first_token_s
            self._first_token_s = before + AVERAGE_SHARE * (first_token_s - before)

    def record_success(self) -> None:
        """An answer came whole."""
        self._breaker.succeeded()
        self._proved, self._reason = True, ""

    def record_rejection(self, probe: bool) -> None:
        """It found fault with the request, so it is well itself."""
        self._breaker.alive(probe)
        self._proved = True

    def record_failure(
        self, error: EndpointError, model: str, now: float, probe: bool, rest_s: float
    ) -> None:
        """An attempt or an answer failed. rest_s: after a 429 that names no time.

        The error is remembered without its traceback and what it came from, which would keep
        all of the exchange.
        """
        status = error.upstream_status if isinstance(error, EndpointRefused) else None
        asked_s = error.retry_after_s if isinstance(error, EndpointRefused) else None
        self.last_failure, self._reason = error.with_traceback(None), type(error).__name__
        error.__context__ = None
        if asked_s is not None or status == 429:
            self._breaker.rest(now, rest_s if asked_s is None else asked_s)
        if status == 404:
            self._missing[model] = Missing(now + MODEL_MISSING_S, error)
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
        """It isn't asked for so long, for a reason that lies elsewhere."""
        self._breaker.rest(now, seconds)

    def is_usage_rejection(self, refusal: RequestRefused) -> bool:
        """Whether it refused because of `stream_options`; then they aren't sent any more."""
        words = refusal.detail.lower()
        if not self.accepts_usage or not ("stream_options" in words or "include_usage" in words):
            return False
        self.accepts_usage = False
        return True

    def record_reachable(self) -> None:
        """It answered a look, though not a question."""
        if not self._breaker.open:
            self._proved, self._reason = True, ""

    def set_models(self, models: tuple[ServedModel, ...]) -> None:
        """Its `/v1/models` came."""
        self._models = {model.id: model for model in models}
        self.record_reachable()

    def record_list_failure(self, error: EndpointError | RequestRefused) -> None:
        """Its `/v1/models` could not be had; what it listed before stays.

        The host's log says it once, however often it is tried in vain.
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
        """What the page shows. epoch_s: what to add to `now` for seconds of the epoch."""
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
            waking=state is EndpointState.DOWN and self._loads,
            down_since=None if since is None else round(since + epoch_s),
            capabilities=self._capabilities(),
        )

    @property
    def _loads(self) -> bool:
        """Whether its last failure says that the server is only starting."""
        error = self.last_failure
        if not isinstance(error, EndpointRefused) or error.upstream_status != 503:
            return False
        return _LOADING.search(error.detail) is not None

    def _capabilities(self) -> Mapping[str, Capabilities]:
        if self.accepts_usage:
            return dict(self._learned)
        models = {model.id: Capabilities() for model in self.models or ()} | self._learned
        return {name: replace(found, stream_options=False) for name, found in models.items()}

    def _state(self, now: float) -> EndpointState:
        if self.drained:
            return EndpointState.DRAINED
        if self._breaker.open or (self._models is None and self.listed):
            return EndpointState.DOWN
        if self._breaker.resting(now):
            return EndpointState.RESTING
        return EndpointState.READY if self._proved else EndpointState.UNKNOWN
