"""Decides the next step of a request: which endpoint is called, or how long to wait.

In this order, for the requested model and then for each fallback:

1. an endpoint that is available (its breakers allow it) and wasn't called in this round;
2. when the failures of this request suggest that every available endpoint is down, one whose
   breaker is open: it may have recovered;
3. a pause, and a new round with the endpoints that may repeat the request.

When no model has an available endpoint, the breakers are ignored. Whatever the breakers say, an
endpoint that might answer is therefore called before a request fails.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from akash_gradio.domain.errors import (
    AkashGradioError,
    AllEndpointsFailed,
    ContextExceeded,
    EndpointUnreachable,
)
from akash_gradio.gateway.endpoint_pool import best_by_success
from akash_gradio.gateway.failure_policy import may_do_better
from akash_gradio.gateway.request_state import RequestState, Step
from akash_gradio.gateway.retries import RetryBudget, backoff_s, longest_backoff_s

if TYPE_CHECKING:
    from akash_gradio.config.settings import Settings
    from akash_gradio.gateway.codec import Cards
    from akash_gradio.gateway.endpoint import Endpoint
    from akash_gradio.gateway.endpoint_pool import EndpointPool


class Selection:
    """Chooses the steps of all requests.

    Args:
        pool: The endpoints.
        settings: The retries.
        cards: Finds the card of a catalog id.
        jitter: Returns a random number between 0 and 1.
    """

    def __init__(
        self, pool: EndpointPool, settings: Settings, cards: Cards, jitter: Callable[[], float]
    ) -> None:
        self._pool, self._settings, self._cards, self._jitter = pool, settings, cards, jitter
        self._budgets: dict[str, RetryBudget] = {}
        rounds = range(1, settings.retry_attempts + 1)
        self.wait_budget_s = sum(longest_backoff_s(n, settings.retry_delay_ms) for n in rounds)

    def budget(self, model: str) -> RetryBudget:
        """Return the budget for repeats of a model that an endpoint serves."""
        budget = self._budgets.get(model)
        if budget is None:
            budget = self._budgets[model] = RetryBudget()
        return budget

    def next_step(self, state: RequestState, now: float) -> Step:
        """Choose the next endpoint, or a pause.

        Raises:
            AkashGradioError: No attempt is left.
        """
        if state.repeat is not None:
            return state.take_repeat()
        if now >= state.deadline:
            raise self.final_error(state, now)
        while (model := state.model) is not None:
            step = self._step_for(state, model, now)
            if step is not None:
                return step
            state.next_model()
        for model in state.models:
            step = self._step_for(state, model, now, ignore_breakers=True)
            if step is not None:
                return step
        return self._wait_for_ready(state, now)

    def _step_for(
        self, state: RequestState, model: str, now: float, *, ignore_breakers: bool = False
    ) -> Step | None:
        """Choose an endpoint not tried in this round; after all of them, pause before a new round.

        Returns:
            None if no endpoint of the model may be called, or no attempt at it is left.
        """
        if not state.may_attempt(model):
            return None
        serving = self._candidates(state, model)
        candidates = [
            e
            for e in serving
            if not e.health.resting_in_s(model, now) and not state.excluded(e.alias, model)
        ]
        ready, panic = candidates, ignore_breakers
        if not ignore_breakers:
            alone = len(serving) == 1
            ready = [e for e in candidates if e.health.available(model, now, alone=alone)]
            if 2 * len(ready) < len(candidates):
                ready = [e for e in candidates if e in ready or e.health.ejected(model, now)]
                panic = True
        untried = [e for e in ready if not state.tried(e.alias, model)]
        if not untried and ready and all(_seems_down(state, e, model) for e in ready):
            untried = [e for e in candidates if not state.tried(e.alias, model)]
        if untried and state.rounds(model) and not self.budget(model).can_afford(now):
            untried = [e for e in untried if not state.failures_at(e.alias, model)]
        if untried:
            untried = _with_room(untried, model, state)
            if panic:  # whatever their priorities
                untried = best_by_success(model, untried)
            endpoint = self._pool.choose(model, untried, best=state.has_attempts)
            return Step(model=model, endpoint=endpoint)
        if not ready or not self.budget(model).can_afford(now):
            return None
        pause_s = self._backoff_s(state, model)
        if now + pause_s >= state.deadline:
            return None
        state.start_round(model)
        return Step(model=model, wait_s=pause_s)

    def _wait_for_ready(self, state: RequestState, now: float) -> Step:
        """Wait for the end of a pause that an endpoint requested, or for a busy endpoint."""
        waits = self._waits_for_busy(state) if state.has_attempts else []
        waits += [
            (wait_s, model)
            for model in state.models
            if state.may_attempt(model)
            for endpoint in self._candidates(state, model)
            if (wait_s := endpoint.health.resting_in_s(model, now))
            and not state.excluded(endpoint.alias, model)
            and (not state.failures_at(endpoint.alias, model) or self.budget(model).can_afford(now))
        ]
        wait_s, model = min(waits, default=(float("inf"), ""))
        if not state.can_wait(wait_s) or now + wait_s >= state.deadline:
            raise self.final_error(state, now)
        state.wait_for(model, wait_s)
        state.start_round(model)
        return Step(model=model, wait_s=wait_s)

    def _waits_for_busy(self, state: RequestState) -> list[tuple[float, str]]:
        """Return a backoff for each model with a busy endpoint that could take a failover."""
        return [
            (self._backoff_s(state, model), model)
            for model in state.models
            if state.may_attempt(model)
            and any(
                endpoint.busy
                and not state.failures_at(endpoint.alias, model)
                and not state.excluded(endpoint.alias, model)
                for endpoint in self._serving(state, model)
            )
        ]

    def _backoff_s(self, state: RequestState, model: str) -> float:
        round_number = state.rounds(model) + 1
        return backoff_s(round_number, self._settings.retry_delay_ms, self._jitter())

    def _candidates(self, state: RequestState, model: str) -> Sequence[Endpoint]:
        serving = self._serving(state, model)
        return [endpoint for endpoint in serving if not endpoint.drained and not endpoint.busy]

    def _serving(self, state: RequestState, model: str) -> Sequence[Endpoint]:
        serving = self._pool.serving(model, state.pinned)
        refusal = state.refusal
        if isinstance(refusal, ContextExceeded):
            return [e for e in serving if may_do_better(refusal, e.token_limit(model))]
        return serving

    def final_error(self, state: RequestState, now: float) -> AkashGradioError:
        """Return the error to raise when no attempt is left."""
        if state.refusal is not None:
            return state.refusal
        waits = [
            (endpoint.health.resting_in_s(model, now), endpoint.health.blocking_error(model))
            for model in state.models
            for endpoint in self._candidates(state, model)
        ]
        wait_s, cause = min(waits, key=lambda wait: wait[0], default=(0.0, None))
        cause = state.last_failure or cause
        # The server ended and is being restarted: it never received the request.
        refused = isinstance(cause, EndpointUnreachable) and cause.reason == "refused"
        starting = refused and self._pool.expects(state.requested_model, state.pinned)
        if cause is None or starting or not (state.last_failure or wait_s):
            return self.unavailable_error(state)
        return AllEndpointsFailed(
            state.requested_model,
            cause,
            retry_after_s=wait_s or None,
            resting=not state.has_attempts,
        )

    def unavailable_error(self, state: RequestState) -> AkashGradioError:
        """Return the error for a model that no endpoint can serve now."""
        model = state.requested_model
        known = self._cards(model) is not None
        return self._pool.unavailable_error(model, known=known, pinned=state.pinned)


def _with_room(endpoints: list[Endpoint], model: str, state: RequestState) -> list[Endpoint]:
    """Return the endpoints without those whose context is too short for the prompt.

    The size of the prompt is an estimate, so all of them are returned if none remains.
    """
    limits = [endpoint.token_limit(model) for endpoint in endpoints]
    if len(set(limits)) < 2:  # nearly always; the estimate costs time
        return endpoints
    tokens = state.recorder.estimate_prompt()
    pairs = zip(endpoints, limits, strict=True)
    return [e for e, limit in pairs if limit is None or limit > tokens] or endpoints


def _seems_down(state: RequestState, endpoint: Endpoint, model: str) -> bool:
    return endpoint.health.seems_down(model, state.likelihood(endpoint.alias, model))
