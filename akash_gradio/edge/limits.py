"""What one request may be: which model, which values, how long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from akash_gradio.domain.chat import NOTHING, ChatRequest, Role
from akash_gradio.domain.errors import NotAllowed
from akash_gradio.gateway import RelayRequest
from akash_gradio.host_settings import RANGED, HostSettings

TOKENS: Final = "max_tokens"
TOKENS_TOO: Final = "max_completion_tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the host allows. None and empty: whatever is asked.

    models: ids. ranges: parameter → lowest and highest value; a highest `max_tokens` is sent
    where a visitor names none. longest_message: characters of one message.
    messages_per_minute, tokens_per_day: of one visitor. app_tokens_per_day,
    app_cost_per_day (US dollars): of everybody. at_once: answers; queue: how many may wait.
    household: how many times a visitor's share everybody behind one address has together.
    """

    models: frozenset[str] | None = None
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=lambda: NOTHING)
    longest_message: int | None = None
    messages_per_minute: int | None = None
    tokens_per_day: int | None = None
    app_tokens_per_day: int | None = None
    app_cost_per_day: float | None = None
    at_once: int | None = None
    queue: int = 100
    household: int = 10

    @classmethod
    def of(cls, settings: HostSettings) -> Limits:
        """As the variables say."""
        return cls(
            models=frozenset(settings.allowed_models) or None,
            ranges=settings.parameter_ranges,
            longest_message=settings.longest_message,
            messages_per_minute=settings.visitor_messages_per_minute,
            tokens_per_day=settings.visitor_tokens_per_day,
            app_tokens_per_day=settings.tokens_per_day,
            app_cost_per_day=settings.cost_per_day,
            at_once=settings.requests_at_once,
            queue=settings.queue_length,
        )

    def fit(self, request: ChatRequest) -> ChatRequest:
        """The request as it may be sent. Raises NotAllowed."""
        self._check_model(request.model)
        said = (turn for turn in request.conversation.turns if turn.role is Role.USER)
        self._check_length(turn.content for turn in said)
        sampling = request.sampling
        values = {name: getattr(sampling, name) for name in RANGED}
        self._check_ranges(values)
        most = self._most_tokens()
        if most is not None and not isinstance(sampling.max_tokens, int):
            sampling = replace(sampling, max_tokens=most)
        return replace(request, sampling=sampling)

    def fit_relayed(self, request: RelayRequest) -> RelayRequest:
        """The same for a request at `/v1`. Raises NotAllowed."""
        self._check_model(request.model)
        self._check_length(request.texts())
        body = request.body
        self._check_ranges({**body, TOKENS: _higher(body.get(TOKENS), body.get(TOKENS_TOO))})
        most = self._most_tokens()
        if most is not None and not {TOKENS, TOKENS_TOO} & body.keys():
            request = replace(request, body={**body, TOKENS: most})
        return replace(request, models=_both(request.models, self.models))

    def _most_tokens(self) -> int | None:
        return int(self.ranges[TOKENS][1]) if TOKENS in self.ranges else None

    def _check_model(self, model: str) -> None:
        if self.models is not None and model not in self.models:
            raise NotAllowed("model")

    def _check_length(self, texts: Iterable[str]) -> None:
        longest = self.longest_message
        if longest is not None and any(len(text) > longest for text in texts):
            raise NotAllowed("length", high=longest)

    def _check_ranges(self, values: Mapping[str, Any]) -> None:
        for name, (low, high) in self.ranges.items():
            value = values.get(name)
            if isinstance(value, int | float) and not low <= value <= high:
                raise NotAllowed(name, low=low, high=high)


def _higher(one: object, other: object) -> float | None:
    """Where both names of one limit are given, an endpoint may obey either: the higher counts."""
    given = [value for value in (one, other) if isinstance(value, int | float)]
    return max(given, default=None)


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other
