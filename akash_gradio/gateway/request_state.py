"""The state of one request: attempts made, attempts left, and what is still to be reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from akash_gradio.domain.errors import (
    AkashGradioError,
    ContextExceeded,
    EndpointError,
    ReplyInterrupted,
    RequestRefused,
)
from akash_gradio.domain.receipt import Attempt, Receipt
from akash_gradio.gateway.endpoint import Endpoint
from akash_gradio.gateway.failure_policy import Scope, Verdict
from akash_gradio.gateway.receipt_recorder import ReceiptRecorder
from akash_gradio.gateway.retries import rescue_refund


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The next step of a request: a call, or a pause.

    Attributes:
        model: The catalog id of the model that is called, or waited for.
        endpoint: The endpoint to call, None for a pause.
        wait_s: The length of the pause, in seconds.
    """

    model: str
    endpoint: Endpoint | None = None
    wait_s: float = 0.0


class RequestState:
    """The state of one request.

    Args:
        model: The catalog id of the requested model.
        pinned: The alias of the only endpoint that may be called, None for any.
        fallbacks: The models to try after the requested one, unless the request is pinned.
        recorder: Records the attempts.
        extra_attempts: How many attempts may follow a model's first one, failovers and repeats
            together. The first attempt at a fallback is always allowed.
        wait_budget_s: Seconds that may be spent on waiting for endpoints to become ready.
        deadline: When the request has to end, on the gateway's clock.

    Attributes:
        models: The requested model, then the fallbacks.
        repeat: The step to repeat at once with a changed payload, at no cost.
        repeating: Whether the current step is such a repetition.
        last_failure: The error of the last attempt at a failing endpoint.
        refusal: The most specific refusal of the request that another endpoint might not share.
        uncounted_errors: The endpoints and models that failed with an error, see
            `EndpointHealth.count_error`: whether the request caused it isn't known yet.
        receipt: The receipt, once the request is closed.
        on_receipt: Called with it by the gateway, None if the caller doesn't need it.
    """

    def __init__(
        self,
        model: str,
        pinned: str | None,
        *,
        fallbacks: tuple[str, ...],
        recorder: ReceiptRecorder,
        extra_attempts: int,
        wait_budget_s: float,
        deadline: float,
    ) -> None:
        self.requested_model, self.pinned = model, pinned
        self.recorder = recorder
        self.models = tuple(dict.fromkeys((model, *(() if pinned is not None else fallbacks))))
        self.deadline = deadline
        self.repeat: Step | None = None
        self.repeating = False
        self.last_failure: EndpointError | None = None
        self.refusal: RequestRefused | None = None
        self.uncounted_errors: list[tuple[Endpoint, str]] = []
        self.receipt: Receipt | None = None
        self.on_receipt: Callable[[Receipt], None] | None = None
        self._position = 0
        self._extra_left = extra_attempts
        self._wait_budget_s = wait_budget_s
        self._tried: set[tuple[str, str]] = set()
        """Aliases and models called in the current round."""
        self._called: set[tuple[str, str]] = set()
        """Aliases and models ever called."""
        self._failures: dict[tuple[str, str], int] = {}
        """How many attempts failed, by alias and model."""
        self._shares: dict[tuple[str, str], float] = {}
        """The share of failures before this request, by alias and model."""
        self._excluded: set[tuple[str, str]] = set()
        """Aliases and models (`""` for all) that don't get the request again."""
        self._rounds: dict[str, int] = {}
        self._repeating_here = False
        self._failed_repeats: dict[str, int] = {}
        self._unreported: Attempt | None = None

    @property
    def has_attempts(self) -> bool:
        """Whether an endpoint was called."""
        return bool(self._called)

    @property
    def tried_once(self) -> bool:
        """Whether a single endpoint was called, for a single model."""
        return len(self._called) == 1

    @property
    def model(self) -> str | None:
        """The model that is tried now, None after the last fallback."""
        return self.models[self._position] if self._position < len(self.models) else None

    def next_model(self) -> None:
        """Move on to the next fallback."""
        self._position += 1

    def may_attempt(self, model: str) -> bool:
        """Return whether one more attempt at the model is allowed."""
        return self._extra_left > 0 or not self.was_called(model)

    def was_called(self, model: str) -> bool:
        """Return whether an endpoint was called for the model."""
        return any(called == model for _, called in self._called)

    def tried(self, alias: str, model: str) -> bool:
        """Return whether the endpoint was called for the model in the current round."""
        return (alias, model) in self._tried

    def excluded(self, alias: str, model: str) -> bool:
        """Return whether the request must not be sent to the endpoint again."""
        excluded = self._excluded
        return bool(excluded) and ((alias, model) in excluded or (alias, "") in excluded)

    def failures_at(self, alias: str, model: str) -> int:
        """Return how many attempts at the endpoint failed."""
        return self._failures.get((alias, model), 0)

    def rounds(self, model: str) -> int:
        """Return how many rounds of the model were repeated."""
        return self._rounds.get(model, 0)

    def likelihood(self, alias: str, model: str) -> float:
        """Return how likely the failures at the endpoint were, if it fails as often as before."""
        share = self._shares.get((alias, model), 1.0)
        return share ** self.failures_at(alias, model)

    def start_round(self, model: str) -> None:
        """Allow all endpoints of the model again."""
        self._tried = {pair for pair in self._tried if pair[1] != model}
        self._rounds[model] = self.rounds(model) + 1

    def can_wait(self, seconds: float) -> bool:
        """Return whether the budget covers a wait for an endpoint to become ready."""
        return seconds <= self._wait_budget_s

    def wait_for(self, model: str, seconds: float) -> None:
        """Charge the wait to the budget, and return to the model after it."""
        self._wait_budget_s -= seconds
        self._position = self.models.index(model)

    def start_attempt(
        self, alias: str, model: str, *, probe: bool, routing: str, parameters: Mapping[str, Any]
    ) -> str:
        """Count and record an attempt.

        Args:
            alias: The endpoint that is called.
            model: The catalog id of the model that is called.
            probe: Whether it is the probe of a half-open breaker.
            routing: The routing policy.
            parameters: The sampling parameters in the payload.

        Returns:
            Why the endpoint was chosen, as in `Attempt.reason`.
        """
        reason = self._reason(alias, model, probe, routing)
        self._repeating_here = (alias, model) in self._called and not self.repeating
        if not self.repeating and self.was_called(model):
            self._extra_left -= 1
        self.repeating = False
        self._tried.add((alias, model))
        self._called.add((alias, model))
        self.recorder.start_attempt(alias, model, reason, parameters)
        return reason

    def fail_attempt(
        self,
        error: EndpointError | RequestRefused,
        verdict: Verdict,
        alias: str,
        model: str,
        status: int | None,
        failure_share: float,
    ) -> bool:
        """Record an attempt that failed before its first token.

        Args:
            error: The failure.
            verdict: What it means.
            alias: The endpoint that was called.
            model: The model that was called.
            status: The HTTP status, None without a response.
            failure_share: The share of failures of the endpoint before this one.

        Returns:
            Whether it was a repeat.
        """
        if isinstance(error, EndpointError):
            self.last_failure = error
        elif not isinstance(self.refusal, ContextExceeded):
            self.refusal = error
        self._failures[alias, model] = self.failures_at(alias, model) + 1
        self._shares.setdefault((alias, model), failure_share)
        if not verdict.repeat_here:
            of_model = verdict.scope in (Scope.MODEL, Scope.REQUEST)
            self._excluded.add((alias, model if of_model else ""))
        self.close_attempt(error, status)
        if self._repeating_here:
            self._failed_repeats[model] = self._failed_repeats.get(model, 0) + 1
        return self._repeating_here

    def close_attempt(self, error: AkashGradioError, status: int | None) -> None:
        """Close the open attempt with the error."""
        self._unreported = self.recorder.fail_attempt(type(error).__name__, status)

    def earned_repeats(self, model: str) -> float:
        """Return what the budget of the model earns, now that the model answers."""
        failed = self._failed_repeats.get(model, 0)
        return rescue_refund(failed) if self._repeating_here else failed

    def repeat_at_once(self, step: Step) -> None:
        """Call the same endpoint again at once, with a changed payload and at no cost."""
        self.repeat = step

    def take_repeat(self) -> Step:
        """Return the step that `repeat_at_once` left."""
        assert self.repeat is not None
        step, self.repeat = self.repeat, None
        self.repeating = True
        return step

    def take_failed_attempt(self) -> Attempt | None:
        """Return the failed attempt that wasn't reported to the caller yet, once."""
        attempt, self._unreported = self._unreported, None
        return attempt

    def close(
        self, *, error: AkashGradioError | None, finish: str, upstream_id: str, fingerprint: str
    ) -> Receipt:
        """Create the receipt.

        Args:
            error: The error that ended the request, if one did.
            finish: The finish reason. Without it and without an error the caller cancelled.
            upstream_id: The endpoint's own id of the response.
            fingerprint: The `system_fingerprint` of the response.
        """
        if isinstance(error, ReplyInterrupted):
            self.recorder.interrupt(type(error.cause).__name__)
            finish = "interrupted"
        elif error is not None:
            finish = "failed"
        elif not finish:
            self.recorder.cancel()
            finish = "cancelled"
        self.receipt = self.recorder.receipt(
            finish, upstream_id=upstream_id, fingerprint=fingerprint
        )
        return self.receipt

    def _reason(self, alias: str, model: str, probe: bool, routing: str) -> str:
        if (alias, model) in self._called:
            return "retry"
        if self.pinned is not None:
            return "pinned"
        if probe:
            return "probe"
        if model != self.requested_model:
            return "fallback"
        return "failover" if self._called else str(routing)
