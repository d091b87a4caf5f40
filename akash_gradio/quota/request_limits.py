"""What one request may contain: which model, parameters and values, and how much text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from akash_gradio.config.access import LIMITABLE_PARAMETERS, AccessSettings
from akash_gradio.domain.chat import EMPTY_MAPPING, ChatRequest
from akash_gradio.domain.errors import NotAllowed
from akash_gradio.gateway import PassthroughRequest
from akash_gradio.quota.limiter import NETWORK_FACTOR
from akash_gradio.quota.parameters import check_parameters
from akash_gradio.quota.request_size import RequestSize

MAX_TOKENS: Final = "max_tokens"
MAX_TOKENS_NAMES: Final = (MAX_TOKENS, "max_completion_tokens", "n_predict")
"""Endpoints obey any of these; llama.cpp prefers the last one."""
MAX_OUTPUT_TOKENS: Final = 10_000_000
"""Upper bound of `max_tokens` where the operator sets none, as on the page."""
REQUEST_FACTOR: Final = 10
"""How many times LONGEST_MESSAGE a whole request may have where LONGEST_REQUEST isn't set: the
history of a chat is sent with each message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """What the operator allows. None and empty mean no limit.

    Attributes:
        models: Ids of the models that may be used.
        ranges: Lowest and highest value by parameter. The highest `max_tokens` is sent where
            a request has none.
        max_message_characters: Longest message.
        max_request_characters: All text of a request together: system prompt, history, tools.
        default_output_tokens: Longest answer where neither the request nor the operator nor the
            catalog limits it, and a daily budget is set.
        messages_per_minute: Messages of one visitor.
        tokens_per_day: Tokens of one visitor in a day (UTC).
        app_tokens_per_day: Tokens of all visitors together in a day (UTC).
        app_cost_per_day: Cost of all visitors together in a day (UTC), in US dollars.
        max_running: Most answers in progress.
        max_waiting: Longest waiting queue.
        network_factor: How many times one visitor's limit all visitors of a network have
            together.
        restricts_parameters: Whether `/v1` accepts only the parameters of the allow list.
    """

    models: frozenset[str] | None = None
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=lambda: EMPTY_MAPPING)
    max_message_characters: int | None = None
    max_request_characters: int | None = None
    default_output_tokens: int = 4096
    messages_per_minute: int | None = None
    tokens_per_day: int | None = None
    app_tokens_per_day: int | None = None
    app_cost_per_day: float | None = None
    max_running: int | None = None
    max_waiting: int = 100
    network_factor: int = NETWORK_FACTOR
    restricts_parameters: bool = True

    @classmethod
    def from_settings(cls, settings: AccessSettings) -> RequestLimits:
        """Return the limits that the variables set."""
        return cls(
            models=frozenset(settings.allowed_models) or None,
            ranges=settings.parameter_ranges,
            max_message_characters=settings.longest_message,
            max_request_characters=settings.longest_request
            or (settings.longest_message and settings.longest_message * REQUEST_FACTOR),
            default_output_tokens=settings.default_max_tokens,
            messages_per_minute=settings.visitor_messages_per_minute,
            tokens_per_day=settings.visitor_tokens_per_day,
            app_tokens_per_day=settings.tokens_per_day,
            app_cost_per_day=settings.cost_per_day,
            max_running=settings.requests_at_once,
            max_waiting=settings.queue_length,
            restricts_parameters=settings.limited,
        )

    @property
    def has_tokens_budget(self) -> bool:
        """Whether tokens of a day are limited."""
        return self.tokens_per_day is not None or self.app_tokens_per_day is not None

    def check_request(self, request: ChatRequest) -> ChatRequest:
        """Return the request as it may be sent.

        Raises:
            NotAllowed: The operator doesn't allow the model or a value.
        """
        self._check_model(request.model)
        sampling = request.sampling
        values = {name: getattr(sampling, name) for name in LIMITABLE_PARAMETERS}
        self._check_ranges({name: value for name, value in values.items() if _is_number(value)})
        max_tokens = self._max_tokens()
        if max_tokens is not None and not isinstance(sampling.max_tokens, int):
            sampling = replace(sampling, max_tokens=max_tokens)
        return replace(request, sampling=sampling)

    def check_passthrough(
        self, request: PassthroughRequest, *, has_budget: bool
    ) -> PassthroughRequest:
        """Return a request to `/v1` as it may be sent.

        Args:
            request: As it was received.
            has_budget: Whether its longest output is reserved in a budget.

        Raises:
            NotAllowed: The operator doesn't allow the model or a value.
            UserError: A parameter isn't on the allow list.
        """
        self._check_model(request.model)
        body = request.body
        if self.restricts_parameters:
            check_parameters(request)
        self._check_ranges(body)
        max_tokens = self._max_tokens()
        if max_tokens is not None or has_budget:
            self._check_max_tokens(body)
        if max_tokens is not None:
            if body.get("n") not in (None, 1):  # each of `n` answers may have `max_tokens`
                raise NotAllowed("n", low=1, high=1)
            if all(body.get(name) is None for name in MAX_TOKENS_NAMES):
                request = replace(request, body={**body, MAX_TOKENS: max_tokens})
        return replace(request, models=_intersection(request.models, self.models))

    def check_size(self, size: RequestSize) -> None:
        """Check the length of a request.

        Raises:
            NotAllowed: `length` for a message, `request_length` for all of it.
        """
        limit = self.max_message_characters
        if limit is not None and size.longest_message > limit:
            raise NotAllowed("length", high=limit)
        limit = self.max_request_characters
        if limit is not None and size.characters > limit:
            raise NotAllowed("request_length", high=limit)

    def _max_tokens(self) -> int | None:
        return int(self.ranges[MAX_TOKENS][1]) if MAX_TOKENS in self.ranges else None

    def _check_model(self, model: str) -> None:
        if self.models is not None and model not in self.models:
            raise NotAllowed("model")

    def _check_ranges(self, values: Mapping[str, Any]) -> None:
        for name, (low, high) in self.ranges.items():
            value = values.get(name)
            # null means no value. An endpoint may read a string or a boolean as a number.
            if value is not None and not (_is_number(value) and low <= value <= high):
                raise NotAllowed(name, low=low, high=high)

    def _check_max_tokens(self, body: Mapping[str, Any]) -> None:
        low, high = self.ranges.get(MAX_TOKENS, (1, MAX_OUTPUT_TOKENS))
        for name in MAX_TOKENS_NAMES:
            value = body.get(name)
            if value is not None and not (_is_integer(value) and low <= value <= high):
                raise NotAllowed(name, low=low, high=high)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _intersection(
    first: frozenset[str] | None, second: frozenset[str] | None
) -> frozenset[str] | None:
    if first is None or second is None:
        return second if first is None else first
    return first & second
