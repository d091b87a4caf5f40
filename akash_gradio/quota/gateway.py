"""The gateway as strangers may use it: shares, a line, allowed models and values.

It stands in the gateway's place for everything that asks: the page, lanes, sets and `/v1`.
Who asks is read from the request's context (`domain/visitor.py`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Final, Protocol

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
from akash_gradio.quota.request_limits import TOKENS, RequestLimits
from akash_gradio.quota.visitor_keys import VisitorKeys

MINUTE_S: Final = 60.0
EXPECTED_TOKENS: Final = 1000
"""Of an answer that is being given, where no highest `max_tokens` is set: counted as used
until its receipt comes, so that many questions at once don't outrun a share."""

Cards = Callable[[str], ModelCard | None]


class ChatBackend(Protocol):
    """What answers: a `Gateway`."""

    def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """See `Gateway.stream`."""
        ...

    def passthrough(self, request: PassthroughRequest) -> AsyncGenerator[PassthroughItem, None]:
        """See `Gateway.passthrough`."""
        ...

    def endpoints(self) -> tuple[EndpointStatus, ...]:
        """Every endpoint's state now."""
        ...


class UsageMeter:
    """Live: what the day has cost, by the receipts. clock: seconds of the Unix clock."""

    def __init__(
        self, counters: Counters, cards: Cards, clock: Callable[[], float] = time.time
    ) -> None:
        self.counters, self._cards, self._clock = counters, cards, clock

    def observe(self, receipt: Receipt) -> None:
        """Count an answer for whoever's request is running."""
        tokens_in = receipt.tokens_in.tokens if receipt.tokens_in else 0
        tokens_out = receipt.tokens_out.tokens if receipt.tokens_out else 0
        tokens, visitor = tokens_in + tokens_out, CURRENT_VISITOR.get()
        until = end_of_day(self._clock())
        for name in _names(visitor):
            self.counters.add(f"tokens:{name}", tokens, until)
        self.counters.add("app-tokens", tokens, until)
        cost = self._cost(receipt.answering_model or receipt.requested_model, tokens_in, tokens_out)
        if cost:
            self.counters.add("app-cost", cost, until)

    def _cost(self, model: str, tokens_in: int, tokens_out: int) -> float:
        card = self._cards(model)
        return (card.cost(tokens_in, tokens_out) or 0.0) if card is not None else 0.0


class QuotaGateway:
    """Live. An `ChatGateway` before another one."""

    def __init__(
        self,
        source: ChatBackend,
        limits: RequestLimits,
        counters: Counters,
        clock: Callable[[], float] = time.time,
        own_keys: VisitorKeys | None = None,
    ) -> None:
        self._source, self._limits, self._counters = source, limits, counters
        self._clock, self._own_keys = clock, own_keys
        self._turnstile = ConcurrencyLimiter(limits.at_once, limits.queue)
        self._running: Counter[str] = Counter()

    def endpoints(self) -> tuple[EndpointStatus, ...]:
        """Every endpoint's state now."""
        return self._source.endpoints()

    def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """See `ChatGateway.stream`. Raises NotAllowed and LimitReached besides."""
        fits, visitor = self._limits.fit, CURRENT_VISITOR.get()
        own_keys, own = self._own_keys, visitor.own_key
        if own is not None and own_keys is not None:
            return self._pass(lambda: own_keys.stream(fits(request), own), visitor)
        return self._pass(lambda: self._source.stream(fits(request)), visitor)

    def passthrough(self, request: PassthroughRequest) -> AsyncGenerator[Any, None]:
        """See `Gateway.passthrough`. Raises NotAllowed and LimitReached besides."""
        fits, ask = self._limits.fit_passthrough, self._source.passthrough
        return self._pass(lambda: ask(fits(request)), CURRENT_VISITOR.get())

    async def _pass(
        self, ask: Callable[[], AsyncGenerator[Any, None]], visitor: Visitor
    ) -> AsyncGenerator[Any, None]:
        answer = ask()  # what isn't allowed costs nobody a message
        await self._admit(visitor)
        inside = False
        self._running.update(_names(visitor))
        try:
            async with aclosing(self._turnstile.enter()) as line:
                waited = False
                async for place in line:
                    waited = True
                    yield Queued(place)
            inside = True
            if waited:
                yield Queued(0)
            async with aclosing(answer) as events:
                async for event in events:
                    yield event
        finally:
            self._running.subtract(_names(visitor))
            self._running += Counter()  # forgets those at 0
            if inside:
                self._turnstile.leave()

    async def _admit(self, visitor: Visitor) -> None:
        """Look at every share, then take one message. Raises LimitReached.

        Who pays with a key of their own uses none of the host's tokens.
        """
        if self._own_keys is None or visitor.own_key is None:
            await self._check_days(visitor)
        limits = self._limits
        for name, times in zip(_names(visitor), (1, limits.network), strict=False):
            if limits.messages_per_minute is not None:
                most = limits.messages_per_minute * times
                wait_s = await self._counters.take(f"messages:{name}", most, MINUTE_S)
                if wait_s > 0:
                    told = limits.messages_per_minute
                    raise LimitReached("messages", limit=told, retry_after_s=wait_s)

    async def _check_days(self, visitor: Visitor) -> None:
        limits = self._limits
        await self._check_day("app-tokens", "app_tokens", limits.app_tokens_per_day)
        await self._check_day("app-cost", "app_cost", limits.app_cost_per_day)
        for name, times in zip(_names(visitor), (1, limits.network), strict=False):
            if limits.tokens_per_day is not None:
                most = limits.tokens_per_day * times
                expected = self._running[name] * self._expected_tokens()
                await self._check_day(f"tokens:{name}", "tokens", most, expected)

    async def _check_day(
        self, name: str, what: str, most: float | None, expected: float = 0.0
    ) -> None:
        if most is None or await self._counters.total(name) + expected < most:
            return
        now = self._clock()
        told = most if what == "tokens" else 0
        raise LimitReached(what, limit=told, retry_after_s=end_of_day(now) - now)

    def _expected_tokens(self) -> float:
        return self._limits.ranges.get(TOKENS, (0, EXPECTED_TOKENS))[1]


def _names(visitor: Visitor) -> tuple[str, ...]:
    """Whose shares a request is counted under: the visitor's, then the network's."""
    return (visitor.id, visitor.network) if visitor.network else (visitor.id,)
