"""A gateway with quotas: rate limits, budgets, the waiting queue, allowed models and values.

The page, comparisons, prompt sets and `/v1` use it instead of the gateway itself. It takes the
visitor from the context of the request (`domain/visitor.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, Protocol, TypeVar

from akash_gradio.domain.chat import ChatRequest, Default
from akash_gradio.domain.events import Event, Queued
from akash_gradio.domain.ports import EndpointStatus
from akash_gradio.domain.receipt import Receipt
from akash_gradio.domain.visitor import CURRENT_VISITOR, Visitor
from akash_gradio.gateway import PassthroughItem, PassthroughRequest
from akash_gradio.quota.admission import (
    LEAST_OUTPUT_TOKENS,
    Admission,
    FindCard,
    Need,
    Reservation,
)
from akash_gradio.quota.concurrency import ConcurrencyLimiter
from akash_gradio.quota.counters import Counters
from akash_gradio.quota.limiter import RateLimit, RateLimiter
from akash_gradio.quota.request_limits import MAX_TOKENS, MAX_TOKENS_NAMES, RequestLimits
from akash_gradio.quota.request_size import chat_size, passthrough_size
from akash_gradio.quota.visitor_keys import VisitorKeys

INPUT_MARGIN: Final = 1.25
"""Factor by which an input may be larger than estimated when its room in a context is computed."""
ItemT = TypeVar("ItemT")
OnReceipt = Callable[[Receipt], None]


class ChatBackend(Protocol):
    """What answers: a `Gateway`."""

    def stream(
        self, request: ChatRequest, on_receipt: OnReceipt | None = None
    ) -> AsyncGenerator[Event, None]:
        """See `Gateway.stream`."""
        ...

    def passthrough(
        self, request: PassthroughRequest, on_receipt: OnReceipt | None = None
    ) -> AsyncGenerator[PassthroughItem, None]:
        """See `Gateway.passthrough`."""
        ...

    def endpoints(self) -> tuple[EndpointStatus, ...]:
        """Return the current state of every endpoint."""
        ...


@dataclass(frozen=True, slots=True)
class _Admitted(Generic[ItemT]):
    """A request that the operator allows.

    Attributes:
        start: Starts it, within its reservation if it has one.
        need: What it may use of the budgets, None if it uses nothing of them.
    """

    start: Callable[[Reservation | None], AsyncGenerator[ItemT, None]]
    need: Need | None = None


class QuotaGateway:
    """A `ChatGateway` that admits requests before another one answers them."""

    def __init__(
        self,
        backend: ChatBackend,
        limits: RequestLimits,
        counters: Counters,
        find_card: FindCard = lambda _model: None,
        *,
        fallbacks: tuple[str, ...] = (),
        free_models: frozenset[str] = frozenset(),
        own_keys: VisitorKeys | None = None,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        """Put quotas in front of a gateway.

        Args:
            backend: The gateway.
            limits: What is allowed.
            counters: Where use is counted.
            find_card: Returns the card of a model, for its prices and lengths.
            fallbacks: The ids of the models that may answer instead of any other.
            free_models: Ids of models on this machine, which cost nothing.
            own_keys: Answers with visitors' own keys, None where they aren't accepted.
            sleep: Sleeps for a number of seconds.
        """
        self._backend, self._limits, self._find_card = backend, limits, find_card
        self._own_keys = own_keys
        self._admission = Admission(limits, counters, find_card, free_models, sleep)
        self._fallbacks, self._priced = fallbacks, self._admission.priced(fallbacks)
        self._limiter = RateLimiter(counters)
        self._concurrency = ConcurrencyLimiter(limits.max_running, limits.max_waiting)

    def endpoints(self) -> tuple[EndpointStatus, ...]:
        """Return the current state of every endpoint."""
        return self._backend.endpoints()

    def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """See `ChatGateway.stream`.

        Raises:
            NotAllowed: The operator doesn't allow the model, a value or the length.
            LimitReached: A limit of the visitor or of the server is reached.
        """
        visitor = CURRENT_VISITOR.get()
        return self._run(lambda: self._admit_chat(request, visitor), visitor)

    def passthrough(self, request: PassthroughRequest) -> AsyncGenerator[PassthroughItem, None]:
        """See `Gateway.passthrough`. Raises the same as `stream`."""
        visitor = CURRENT_VISITOR.get()
        return self._run(lambda: self._admit_passthrough(request, visitor), visitor)

    def _admit_chat(self, request: ChatRequest, visitor: Visitor) -> _Admitted[Event]:
        request = self._limits.check_request(request)
        size = chat_size(request)
        self._limits.check_size(size)
        own_keys, own_key = self._own_keys, visitor.own_key
        if own_keys is not None and own_key is not None:  # none of the operator's tokens
            return _Admitted(lambda _reservation: own_keys.stream(request, own_key))
        if not self._admission.has_budget(visitor):
            return _Admitted(lambda _reservation: self._backend.stream(request))
        fallbacks = self._answering_fallbacks(visitor) if request.fallback else ()
        max_tokens = request.sampling.max_tokens
        need = Need(
            model=request.model,
            fallbacks=fallbacks,
            input_tokens=size.tokens,
            output_tokens=self._output_tokens(request.model, size.tokens, max_tokens),
            streamed=request.stream,
        )

        def start(reservation: Reservation | None) -> AsyncGenerator[Event, None]:
            if reservation is None:
                return self._backend.stream(request)
            sampling = replace(request.sampling, max_tokens=reservation.output_tokens)
            fallback = request.fallback and fallbacks == self._fallbacks
            return self._backend.stream(
                replace(request, sampling=sampling, fallback=fallback), reservation.observe
            )

        return _Admitted(start, need)

    def _admit_passthrough(
        self, request: PassthroughRequest, visitor: Visitor
    ) -> _Admitted[PassthroughItem]:
        has_budget = self._admission.has_budget(visitor)
        request = self._limits.check_passthrough(request, has_budget=has_budget)
        size = passthrough_size(request)
        self._limits.check_size(size)
        if not has_budget:
            return _Admitted(lambda _reservation: self._backend.passthrough(request))
        body = request.body
        requested = [body[name] for name in MAX_TOKENS_NAMES if body.get(name) is not None]
        models, fallbacks = request.models, self._answering_fallbacks(visitor)
        need = Need(
            model=request.model,
            fallbacks=tuple(m for m in fallbacks if models is None or m in models),
            input_tokens=size.tokens,
            output_tokens=self._output_tokens(
                request.model, size.tokens, max(requested, default=None)
            ),
            choices=request.choices,
            streamed=request.stream,
        )

        def start(reservation: Reservation | None) -> AsyncGenerator[PassthroughItem, None]:
            if reservation is None:
                return self._backend.passthrough(request)
            most = reservation.output_tokens
            names = [name for name in MAX_TOKENS_NAMES if body.get(name) is not None]
            lengths = {name: min(body[name], most) for name in names} or {MAX_TOKENS: most}
            answering = models
            if fallbacks != self._fallbacks:
                answering = frozenset((request.model, *need.fallbacks))
            return self._backend.passthrough(
                replace(request, body={**body, **lengths}, models=answering), reservation.observe
            )

        return _Admitted(start, need)

    def _answering_fallbacks(self, visitor: Visitor) -> tuple[str, ...]:
        """Return the models that may answer instead: where the cost is limited, priced ones."""
        return self._priced if self._admission.has_cost_budget(visitor) else self._fallbacks

    def _output_tokens(self, model: str, input_tokens: int, requested: object) -> int:
        """Return the longest output of a request.

        It is the requested one, else the catalog's, else the default; the latter leaves room
        for the input in the model's context, since some endpoints reject what doesn't fit.
        """
        if isinstance(requested, int):
            return requested
        card = self._find_card(model)
        if requested is not Default.ENDPOINT and card is not None and card.max_tokens:
            return card.max_tokens
        most = self._limits.default_output_tokens
        if card is not None and card.context_tokens is not None:
            room = card.context_tokens - input_tokens * INPUT_MARGIN
            most = min(most, max(LEAST_OUTPUT_TOKENS, int(room)))
        return most

    async def _run(
        self, admit: Callable[[], _Admitted[ItemT]], visitor: Visitor
    ) -> AsyncGenerator[ItemT | Queued, None]:
        admitted = admit()  # first, so that a request that isn't allowed counts as no message
        await self._count_message(visitor)
        reservation = None
        if admitted.need is not None:
            reservation = await self._admission.reserve(visitor, admitted.need)
        acquired = False
        try:
            async with aclosing(self._concurrency.acquire(visitor)) as positions:
                waited = False
                async for position in positions:
                    waited = True
                    yield Queued(position)
            acquired = True
            if waited:
                yield Queued(0)
            async with aclosing(admitted.start(reservation)) as events:
                async for event in events:
                    yield event
        finally:
            if reservation is not None:
                reservation.settle()
            if acquired:
                self._concurrency.release(visitor)

    async def _count_message(self, visitor: Visitor) -> None:
        limits = self._limits
        if limits.messages_per_minute is not None:
            rate = RateLimit("messages", limits.messages_per_minute)
            await self._limiter.admit_visitor(rate, visitor, network_factor=limits.network_factor)
