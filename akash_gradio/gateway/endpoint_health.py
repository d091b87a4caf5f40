"""The health of one endpoint and of each of its models: breakers, pauses and outcomes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from akash_gradio.domain.errors import (
    EndpointError,
    EndpointRefused,
    EndpointTimeout,
    RequestRefused,
)
from akash_gradio.domain.failure_kinds import FailureKind
from akash_gradio.gateway.breaker import (
    MAX_DOWN_IN_A_ROW,
    STEADY_REQUESTS,
    Breaker,
    Outcomes,
    is_outlier,
)
from akash_gradio.gateway.failure_policy import Scope, Verdict

UNLIKELY: Final = 0.003
"""Probability below which failures of a request are taken for a change of the endpoint."""
MOSTLY_FAILING: Final = 0.75
"""Share of failures from which an endpoint with an open breaker is as good."""
_REASONS: Final[Mapping[FailureKind | None, str]] = {
    FailureKind.KEY: "key",
    FailureKind.CREDIT: "credit",
    FailureKind.QUOTA: "credit",
}


def failure_reason(error: EndpointError | RequestRefused) -> str:
    """Return `EndpointStatus.reason` for a failure."""
    kind = error.kind if isinstance(error, EndpointRefused) else None
    return _REASONS.get(kind, type(error).__name__)


@dataclass(slots=True)
class ModelHealth:
    """The health of one model at one endpoint.

    Attributes:
        breaker: Open while the endpoint is avoided for this model.
        outcomes: Those of the recent requests.
        outlier: Whether the breaker was opened because of the share of failures: the endpoint
            still answers some requests.
        resting_until: The end of a pause that the endpoint requested for this model.
        error: The last failure that concerned only this model.
        failed_in_a_row: How many requests in a row failed.
    """

    breaker: Breaker = field(default_factory=Breaker)
    outcomes: Outcomes = field(default_factory=Outcomes)
    outlier: bool = False
    resting_until: float = 0.0
    error: EndpointError | None = None
    failed_in_a_row: int = 0

    def alive(self, probe: bool) -> None:
        """Record that the model isn't down; a probe's response closes the breaker."""
        if self.breaker.alive(probe):
            self.outlier = False
            self.outcomes.clear()

    def count_failure(self, now: float, peers: Iterable[EndpointHealth], model: str) -> None:
        """Open the breaker if the failure that was just counted makes it an outlier."""
        if not self.breaker.open and is_outlier(
            self.outcomes, [peer.model(model).outcomes for peer in peers]
        ):
            self.outlier = True
            self.breaker.trip(now)


class EndpointHealth:
    """The health of one endpoint. `now` is the gateway's monotonic clock, in seconds.

    Attributes:
        last_failure: None before any.
        reason: See `failure_reason`; "" after an answer.
        worked: Whether the endpoint responded to anything yet.
    """

    def __init__(self) -> None:
        self.last_failure: EndpointError | None = None
        self.reason = ""
        self.worked = False
        self._breaker = Breaker()
        self._models: dict[str, ModelHealth] = {}
        self._resting_until = self._avoided_until = 0.0

    def model(self, model: str) -> ModelHealth:
        """Return the health of a model."""
        health = self._models.get(model)
        if health is None:
            health = self._models[model] = ModelHealth()
        return health

    # Whether it can be used.

    def resting_in_s(self, model: str, now: float) -> float:
        """Return the seconds left of a pause that the endpoint requested, 0 without one."""
        until = self._resting_until
        health = self._models.get(model)
        if health is not None and health.resting_until > until:
            until = health.resting_until
        return until - now if until > now else 0.0

    def available(self, model: str, now: float, *, alone: bool = False) -> bool:
        """Return whether the breakers allow a request for the model.

        Args:
            alone: Whether no other endpoint serves the model.
        """
        if not self._breaker.ready(now, alone=alone) or now < self._avoided_until:
            return False
        health = self._models.get(model)
        return health is None or health.breaker.ready(now, alone=alone)

    def ejected(self, model: str, now: float) -> bool:
        """Return whether it is unavailable only because it fails more often than its peers."""
        health = self._models.get(model)
        if health is None or not health.outlier:
            return False
        return self._breaker.ready(now) and now >= self._avoided_until

    def seems_down(self, model: str, likelihood: float) -> bool:
        """Return whether a request that failed here would do better at an open breaker.

        Args:
            model: The model.
            likelihood: How likely the failures of the request were, see `RequestState.likelihood`.
        """
        health = self.model(model)
        return (
            likelihood < UNLIKELY
            or health.failed_in_a_row >= MAX_DOWN_IN_A_ROW
            or health.outcomes.failure_share >= MOSTLY_FAILING
        )

    def success_share(self, model: str) -> float:
        """Return the share of the recent requests that succeeded, 1 without any."""
        health = self._models.get(model)
        return 1.0 if health is None else 1.0 - health.outcomes.failure_share

    def blocking_error(self, model: str) -> EndpointError | None:
        """Return the last failure that concerned the model."""
        health = self._models.get(model)
        return health.error if health is not None and health.error else self.last_failure

    def down(self, models: Collection[str]) -> bool:
        """Return whether its own breaker is open, or those of all these models."""
        return self._breaker.open or (
            bool(models) and all(self._model_is_down(model) for model in models)
        )

    def down_since(self, models: Collection[str]) -> float | None:
        """Return since when it is `down`, None while it isn't."""
        if self._breaker.open or not self.down(models):
            return self._breaker.opened_at
        return max(self._models[model].breaker.opened_at or 0.0 for model in models)

    def resting(self, models: Collection[str], now: float) -> bool:
        """Return whether it, or all of these models, is paused."""
        if now < self._resting_until or now < self._avoided_until:
            return True
        return bool(models) and all(self.resting_in_s(model, now) > 0 for model in models)

    # What happened.

    def begin(self, model: str) -> bool:
        """Count a call that is sent now, and return whether it is a breaker's probe."""
        probe = self._breaker.begin()
        health = self._models.get(model)
        return (health is not None and health.breaker.begin()) or probe

    def end(self, model: str) -> None:
        """Record the end of a probe, whatever its outcome."""
        self._breaker.end()
        self.model(model).breaker.end()

    def record_first_token(self, model: str, probe: bool) -> None:
        """Record a first token."""
        self._breaker.alive(probe)
        health = self.model(model)
        health.alive(probe)
        health.outcomes.add(failed=False)
        health.failed_in_a_row = 0
        health.error = None

    def record_success(self, model: str) -> None:
        """Record a complete answer."""
        self._breaker.succeeded()
        health = self.model(model)
        if health.outcomes.requests >= STEADY_REQUESTS:
            health.breaker.succeeded()
        self.worked, self.reason = True, ""

    def record_rejection(self, model: str, probe: bool) -> None:
        """Record that it rejected a request as invalid, which shows that it works."""
        self._breaker.alive(probe)
        health = self.model(model)
        health.alive(probe)
        health.failed_in_a_row = 0
        self.worked = True

    def record_reachable(self, models: Collection[str]) -> None:
        """Record a response that shows that the server runs."""
        if not self.down(models):
            self.worked, self.reason = True, ""

    def record_failure(
        self,
        error: EndpointError,
        verdict: Verdict,
        model: str,
        now: float,
        probe: bool,
        *,
        again: bool = False,
        others: bool = True,
        default_rest_s: float = 0.0,
    ) -> None:
        """Record a failed attempt. `count_error` counts the error of a server that isn't down.

        Args:
            error: The failure.
            verdict: What it means.
            model: The model that was called, "" for none.
            probe: Whether the call was a probe.
            again: Whether the same request failed here before: it counts once.
            others: Whether another endpoint can take the requests.
            default_rest_s: The pause after a rate limit that names none.
        """
        if verdict.scope is Scope.REQUEST:
            if not isinstance(error, EndpointTimeout):  # which shows nothing about the server
                self.record_rejection(model, probe)
            return
        self._remember(error)
        health = self.model(model)
        own = verdict.scope is Scope.MODEL
        if own:
            health.error = self.last_failure
        if verdict.breaker is not None and not again:
            health.failed_in_a_row += 1
        if verdict.breaker == "down":
            if not again or probe:
                health.outcomes.add(failed=True)
                (health.breaker if own else self._breaker).found_down(
                    now,
                    probe,
                    at_once=verdict.scope is Scope.ACCOUNT or verdict.rest_s is not None,
                    pause_s=verdict.rest_s,
                    others=others,
                )
            return
        rest_s = verdict.rest_s
        if rest_s is None and verdict.breaker is None:
            rest_s = default_rest_s
        if rest_s is not None:
            self._rest(health if own else None, now + rest_s)
        self._breaker.alive(probe)
        if verdict.breaker == "error":
            health.breaker.failed_probe(now, probe, others=others)
        else:
            health.alive(probe)

    def record_interruption(
        self, error: EndpointError, model: str, now: float, peers: Iterable[EndpointHealth]
    ) -> None:
        """Record that an answer broke off after its first token, which counts as an error."""
        self._remember(error)
        health = self.model(model)
        health.outcomes.fail_last()
        health.count_failure(now, peers, model)

    def count_error(self, model: str, now: float, peers: Iterable[EndpointHealth]) -> None:
        """Count a request that failed here with an error, and open the breaker of an outlier.

        Args:
            peers: The health of the endpoints that could take its requests.
        """
        health = self.model(model)
        health.outcomes.add(failed=True)
        health.count_failure(now, peers, model)

    def avoid(self, now: float, seconds: float) -> None:
        """Prefer other endpoints for some time, because another replica found this one down."""
        self._avoided_until = max(self._avoided_until, now + seconds)

    def _model_is_down(self, model: str) -> bool:
        health = self._models.get(model)
        return health is not None and health.breaker.open

    def _rest(self, health: ModelHealth | None, until: float) -> None:
        """Pause one model or all; this doesn't shorten another pause."""
        if health is not None:
            health.resting_until = max(health.resting_until, until)
        else:
            self._resting_until = max(self._resting_until, until)

    def _remember(self, error: EndpointError) -> None:
        """Keep the error without its traceback and context, which keep the whole call alive."""
        self.last_failure, self.reason = error.with_traceback(None), failure_reason(error)
        error.__context__ = None
