"""What one request may be: which model, which values, how long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from akash_gradio.config.access import LIMITABLE_PARAMETERS, AccessSettings
from akash_gradio.domain.chat import EMPTY_MAPPING, ChatRequest, Role
from akash_gradio.domain.errors import NotAllowed
from akash_gradio.gateway import PassthroughRequest

TOKENS: Final = "max_tokens"
TOKENS_NAMES: Final = (TOKENS, "max_completion_tokens", "n_predict")
"""Any of which an endpoint may obey; llama.cpp puts the last before the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """What the host allows. None and empty: whatever is asked.

    models: ids. ranges: parameter → lowest and highest value; a highest `max_tokens` is sent
    where a visitor names none. longest_message: characters of one message.
    messages_per_minute, tokens_per_day: of one visitor. app_tokens_per_day,
    app_cost_per_day (US dollars): of everybody. at_once: answers; queue: how many may wait.
    network: how many times a visitor's share everybody behind one address has together.
    """

    models: frozenset[str] | None = None
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=lambda: EMPTY_MAPPING)
    longest_message: int | None = None
    messages_per_minute: int | None = None
    tokens_per_day: int | None = None
    app_tokens_per_day: int | None = None
    app_cost_per_day: float | None = None
    at_once: int | None = None
    queue: int = 100
    network: int = 10

    @classmethod
    def of(cls, settings: AccessSettings) -> RequestLimits:
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
        values = {name: getattr(sampling, name) for name in LIMITABLE_PARAMETERS}
        self._check_ranges({name: value for name, value in values.items() if _is_number(value)})
        most = self._most_tokens()
        if most is not None and not isinstance(sampling.max_tokens, int):
            sampling = replace(sampling, max_tokens=most)
        return replace(request, sampling=sampling)

    def fit_passthrough(self, request: PassthroughRequest) -> PassthroughRequest:
        """The same for a request at `/v1`. Raises NotAllowed."""
        self._check_model(request.model)
        self._check_length(request.texts())
        body = request.body
        self._check_ranges(body)
        most = self._most_tokens()
        if most is not None:
            self._check_tokens(body)
            if all(body.get(name) is None for name in TOKENS_NAMES):
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
            # null is as good as nothing; what is no number an endpoint might still read as one.
            if value is not None and not (_is_number(value) and low <= value <= high):
                raise NotAllowed(name, low=low, high=high)

    def _check_tokens(self, body: Mapping[str, Any]) -> None:
        low, high = self.ranges[TOKENS]
        for name in TOKENS_NAMES:
            value = body.get(name)
            if value is not None and not (_is_whole(value) and low <= value <= high):
                raise NotAllowed(name, low=low, high=high)
        if body.get("n") not in (None, 1):  # answers, each of which may be so long
            raise NotAllowed("n", low=1, high=1)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other
