"""One request on its way: who was asked, what may still be tried, what is to be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from akash_gradio.domain.errors import (
    AkashGradioError,
    EndpointError,
    ReplyInterrupted,
    RequestRefused,
)
from akash_gradio.domain.receipt import Attempt, Receipt
from akash_gradio.gateway.endpoint import Endpoint
from akash_gradio.gateway.passthrough.request import Question
from akash_gradio.gateway.receipt_recorder import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Ask `endpoint` for `model`; or, without an endpoint, pause for `wait_s` seconds."""

    model: str
    endpoint: Endpoint | None = None
    wait_s: float = 0.0


class RequestState:
    """Live state of one request.

    models: the one asked for, then the fallbacks; a pinned request has none.
    extra_attempts: after a model's first. A fallback's first attempt is always due.
    rest_budget_s: seconds that may be spent on waiting for endpoints that rest.
    """

    def __init__(
        self,
        request: Question,
        clock: Callable[[], float],
        *,
        fallbacks: tuple[str, ...],
        extra_attempts: int,
        rest_budget_s: float,
    ) -> None:
        self.request = request
        self.record = Record(request, clock)
        others = () if request.endpoint is not None else fallbacks
        self.models = tuple(dict.fromkeys((request.model, *others)))
        self.again: Step | None = None
        self.asking_again = False
        self.last_failure: EndpointError | None = None
        self.receipt: Receipt | None = None
        self._at = 0
        self._extra_left = extra_attempts
        self._rest_budget_s = rest_budget_s
        self._tried: set[tuple[str, str]] = set()
        self._ever_asked: set[tuple[str, str]] = set()
        self._rounds: dict[str, int] = {}
        self._unreported: Attempt | None = None

    @property
    def asked(self) -> bool:
        """Whether anybody was asked yet."""
        return bool(self._ever_asked)

    @property
    def model(self) -> str | None:
        """The model that is tried now, None past the last fallback."""
        return self.models[self._at] if self._at < len(self.models) else None

    def next_model(self) -> None:
        """This one's endpoints are spent."""
        self._at += 1

    def may_ask(self, model: str) -> bool:
        """Whether one more attempt for the model is due."""
        return self._extra_left > 0 or not self._was_asked(model)

    def tried(self, alias: str, model: str) -> bool:
        """Whether the endpoint was asked for the model in this round."""
        return (alias, model) in self._tried

    def new_round(self, model: str) -> int:
        """All may be asked for the model again; returns the number of the round, from 1."""
        self._tried = {pair for pair in self._tried if pair[1] != model}
        self._rounds[model] = self._rounds.get(model, 0) + 1
        return self._rounds[model]

    def affords_rest(self, seconds: float) -> bool:
        """Whether so long a wait for a resting endpoint is within the budget."""
        return seconds <= self._rest_budget_s

    def wait_for(self, model: str, seconds: float) -> None:
        """Pay for the wait, and try the model again after it."""
        self._rest_budget_s -= seconds
        self._tried = {pair for pair in self._tried if pair[1] != model}
        self._at = self.models.index(model)

    def asks(self, alias: str, model: str, probe: bool, routing: str) -> str:
        """An endpoint is asked now. Returns why this one, in the words of `Attempt.why`."""
        why = self._why(alias, model, probe, routing)
        if self._was_asked(model) and not self.asking_again:
            self._extra_left -= 1
        self.asking_again = False
        self._tried.add((alias, model))
        self._ever_asked.add((alias, model))
        self.record.asks(alias, model, why)
        return why

    def fails(self, failure: EndpointError, status: int | None) -> None:
        """The attempt failed before its first token."""
        self.last_failure = failure
        self._unreported = self.record.fails(type(failure).__name__, status)

    def refused(self, refusal: RequestRefused) -> None:
        """The endpoint found fault with the request."""
        self._unreported = self.record.fails(type(refusal).__name__, refusal.upstream_status)

    def ask_again(self, move: Step) -> None:
        """The same endpoint gets the request at once, said otherwise; this costs nothing."""
        self.again = move

    def take_again(self) -> Step:
        """The move that `ask_again` left."""
        assert self.again is not None
        move, self.again = self.again, None
        self.asking_again = True
        return move

    def report(self) -> Attempt | None:
        """The failed attempt that the caller has not heard of, once."""
        attempt, self._unreported = self._unreported, None
        return attempt

    def close(
        self, *, error: AkashGradioError | None, finish: str, upstream_id: str, fingerprint: str
    ) -> Receipt:
        """The receipt. Without finish or error the caller has left."""
        if isinstance(error, ReplyInterrupted):
            self.record.breaks_off(type(error.cause).__name__)
            finish = "interrupted"
        elif error is not None:
            finish = "failed"
        elif not finish:
            self.record.is_left()
            finish = "cancelled"
        self.receipt = self.record.receipt(finish, upstream_id=upstream_id, fingerprint=fingerprint)
        return self.receipt

    def _was_asked(self, model: str) -> bool:
        return any(asked == model for _, asked in self._ever_asked)

    def _why(self, alias: str, model: str, probe: bool, routing: str) -> str:
        if (alias, model) in self._ever_asked:
            return "retry"
        if self.request.endpoint is not None:
            return "pinned"
        if probe:
            return "probe"
        if model != self.request.model:
            return "fallback"
        return "failover" if self._ever_asked else str(routing)
