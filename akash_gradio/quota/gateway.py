"""A gateway with quotas: rate limits, budgets, the waiting queue, allowed models and values.

The page, comparisons, prompt sets and `/v1` use it instead of the gateway itself. It takes the
visitor from the context of the request (`domain/visitor.py`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Final, Protocol, TypeVar

from akash_gradio.domain.chat import ChatRequest
from akash_gradio.domain.errors import LimitReached
from akash_gradio.domain.events import Event, Queued
from akash_gradio.domain.model import ModelCard
from akash_gradio.domain.ports import EndpointStatus
from akash_gradio.domain.receipt import Receipt
from akash_gradio.domain.visitor import CURRENT_VISITOR, Visitor
from akash_gradio.gateway import PassthroughItem, PassthroughRequest
from akash_gradio.quota.concurrency import ConcurrencyLimiter
from akash_gradio.quota.counters import Counters, end_of_day
from akash_gradio.quota.limiter import RateLimit, RateLimiter
from akash_gradio.quota.request_limits import MAX_TOKENS, RequestLimits
from akash_gradio.quota.visitor_keys import VisitorKeys

EXPECTED_TOKENS: Final = 1000
"""Tokens of a running answer where `max_tokens` has no upper limit. They count as used
until its receipt is recorded, so that a visitor's concurrent requests can't exceed a budget by
much."""

FindCard = Callable[[str], ModelCard | None]
ItemT = TypeVar("ItemT")


class ChatBackend(Protocol):
    """What answers: a `Gateway`."""

    def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """See `Gateway.stream`."""
        ...

    def passthrough(self, request: PassthroughRequest) -> AsyncGenerator[PassthroughItem, None]:
        """See `Gateway.passthrough`."""
        ...

    def endpoints(self) -> tuple[EndpointStatus, ...]:
        """Return the current state of every endpoint."""
        ...


class UsageMeter:
    """Adds up the tokens and the cost of a day, from receipts."""

    def __init__(
        self, counters: Counters, find_card: FindCard, clock: Callable[[], float] = time.time
    ) -> None:
        """Initialize the meter; the sums continue those in the counters.

        Args:
            counters: Where the sums are kept.
            find_card: Returns the card of a model, for its prices.
            clock: Unix time in seconds.
        """
        self._counters, self._find_card, self._clock = counters, find_card, clock

    def observe(self, receipt: Receipt) -> None:
        """Add an answer to the sums of the current visitor and of the server."""
        tokens_in = receipt.tokens_in.tokens if receipt.tokens_in else 0
        tokens_out = receipt.tokens_out.tokens if receipt.tokens_out else 0
        tokens, visitor = tokens_in + tokens_out, CURRENT_VISITOR.get()
        until = end_of_day(self._clock())
        for subject in _subjects(visitor):
            self._counters.add(f"tokens:{subject}", tokens, until)
        self._counters.add("app-tokens", tokens, until)
        cost = self._cost(receipt.answering_model or receipt.requested_model, tokens_in, tokens_out)
        if cost:
            self._counters.add("app-cost", cost, until)

    def _cost(self, model: str, tokens_in: int, tokens_out: int) -> float:
        card = self._find_card(model)
        return (card.cost(tokens_in, tokens_out) or 0.0) if card is not None else 0.0


class QuotaGateway:
    """A `ChatGateway` that admits requests before another one answers them."""

    def __init__(
        self,
        backend: ChatBackend,
        limits: RequestLimits,
        counters: Counters,
        clock: Callable[[], float] = time.time,
        own_keys: VisitorKeys | None = None,
    ) -> None:
        """Put quotas in front of a gateway.

        Args:
            backend: The gateway.
            limits: What is allowed.
            counters: Where use is counted.
            clock: Unix time in seconds.
            own_keys: Answers with visitors' own keys, None where they aren't accepted.
        """
        self._backend, self._limits, self._counters = backend, limits, counters
        self._clock, self._own_keys = clock, own_keys
        self._limiter = RateLimiter(counters)
        self._concurrency = ConcurrencyLimiter(limits.max_running, limits.max_waiting)
        self._running: Counter[str] = Counter()

    def endpoints(self) -> tuple[EndpointStatus, ...]:
        """Return the current state of every endpoint."""
        return self._backend.endpoints()

    def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """See `ChatGateway.stream`.

        Raises:
            NotAllowed: The operator doesn't allow the model, a value or the length.
            LimitReached: A limit of the visitor or of the server is reached.
        """
        check, visitor = self._limits.check_request, CURRENT_VISITOR.get()
        own_keys, own_key = self._own_keys, visitor.own_key
        if own_key is not None and own_keys is not None:
            return self._admit_and_run(lambda: own_keys.stream(check(request), own_key), visitor)
        return self._admit_and_run(lambda: self._backend.stream(check(request)), visitor)

    def passthrough(self, request: PassthroughRequest) -> AsyncGenerator[PassthroughItem, None]:
        """See `Gateway.passthrough`. Raises the same as `stream`."""
        check = self._limits.check_passthrough
        return self._admit_and_run(
            lambda: self._backend.passthrough(check(request)), CURRENT_VISITOR.get()
        )

    async def _admit_and_run(
        self, run: Callable[[], AsyncGenerator[ItemT, None]], visitor: Visitor
    ) -> AsyncGenerator[ItemT | Queued, None]:
        answer = run()  # first, so that a request that isn't allowed counts as no message
        subjects, acquired = _subjects(visitor), False
        # Counted before the first await, so that each of many requests at once sees the others.
        running = {subject: self._running[subject] for subject in subjects}
        self._running.update(subjects)
        try:
            await self._admit(visitor, running)
            async with aclosing(self._concurrency.acquire()) as positions:
                waited = False
                async for position in positions:
                    waited = True
                    yield Queued(position)
            acquired = True
            if waited:
                yield Queued(0)
            async with aclosing(answer) as events:
                async for event in events:
                    yield event
        finally:
            self._running.subtract(subjects)
            self._running += Counter()  # removes those at 0
            if acquired:
                self._concurrency.release()

    async def _admit(self, visitor: Visitor, running: Mapping[str, int]) -> None:
        """Check the budgets, then count one message.

        Requests with a visitor's own key use none of the operator's tokens.

        Args:
            visitor: The sender.
            running: Number of other requests, by subject.

        Raises:
            LimitReached: A limit of the visitor or of the server is reached.
        """
        limits = self._limits
        if self._own_keys is None or visitor.own_key is None:
            await self._check_budgets(running)
        if limits.messages_per_minute is not None:
            rate = RateLimit("messages", limits.messages_per_minute)
            await self._limiter.admit_visitor(rate, visitor, network_factor=limits.network_factor)

    async def _check_budgets(self, running: Mapping[str, int]) -> None:
        limits = self._limits
        await self._check_budget("app-tokens", "app_tokens", limits.app_tokens_per_day)
        await self._check_budget("app-cost", "app_cost", limits.app_cost_per_day)
        if limits.tokens_per_day is None:
            return
        factors = (1, limits.network_factor)
        for (subject, requests), factor in zip(running.items(), factors, strict=False):
            budget = limits.tokens_per_day * factor
            expected = requests * self._expected_tokens()
            await self._check_budget(f"tokens:{subject}", "tokens", budget, expected)

    async def _check_budget(
        self, name: str, reason: str, budget: float | None, expected: float = 0.0
    ) -> None:
        """Raise LimitReached if the day's sum and what is expected reach the budget."""
        if budget is None or await self._counters.total(name) + expected < budget:
            return
        now = self._clock()
        shown = budget if reason == "tokens" else 0  # a server's budget is not made public
        raise LimitReached(reason, limit=shown, retry_after_s=end_of_day(now) - now)

    def _expected_tokens(self) -> float:
        return self._limits.ranges.get(MAX_TOKENS, (0, EXPECTED_TOKENS))[1]


def _subjects(visitor: Visitor) -> tuple[str, ...]:
    """Return the ids under which a request is counted: the visitor's, then the network's."""
    return (visitor.id, visitor.network) if visitor.network else (visitor.id,)
