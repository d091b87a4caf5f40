"""Reserves what a request may use of the daily budgets before it is sent; settles it at its end.

A reservation covers the estimated input and the longest output, in tokens and in money, in the
budgets of the visitor, of the visitor's network and of the server, in one atomic step. Every
request with the operator's keys passes here: chats, continuations, lanes, tasks of runs and `/v1`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from akash_gradio.config import messages
from akash_gradio.config.settings import Settings
from akash_gradio.domain.errors import LimitReached, NotAllowed
from akash_gradio.domain.model import ModelCard, Problem
from akash_gradio.domain.receipt import Receipt
from akash_gradio.domain.visitor import Visitor
from akash_gradio.quota.counters import Counters, Demand, Hold, Shortage
from akash_gradio.quota.request_limits import RequestLimits

LEAST_OUTPUT_TOKENS: Final = 64
"""An answer is shortened to what remains of a budget, but not to fewer tokens than these; then the
request is refused."""
HELD_WAIT_S: Final = 10.0
"""How long a request waits if only the reservations of running requests are in its way."""
HELD_POLL_S: Final = 0.5
NOT_PROCESSED: Final = frozenset(
    {"EndpointUnreachable", "EndpointRefused", "RequestRefused", "ContextExceeded"}
)
"""Outcomes of attempts that cost nothing: the endpoint didn't process the input."""
MAX_NAMES_SHOWN: Final = 10
"""Most models that the problem of missing prices lists."""
APP_TOKENS: Final = "app-tokens"
APP_COST: Final = "app-cost"
FindCard = Callable[[str], ModelCard | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a request may use at most.

    Attributes:
        model: The catalog id of the requested model.
        fallbacks: The ids of the models that may answer instead.
        input_tokens: Estimated tokens of the input.
        output_tokens: Longest output of one choice, in tokens.
        choices: Number of choices.
        streamed: Whether the length of an abandoned answer is known.
    """

    model: str
    fallbacks: tuple[str, ...]
    input_tokens: int
    output_tokens: int
    choices: int = 1
    streamed: bool = True


class Reservation:
    """A reservation of one request. Settle it in a `finally`.

    Attributes:
        output_tokens: The longest output of one choice that may be requested.
    """

    def __init__(self, admission: Admission, visitor: Visitor, need: Need, hold: Hold) -> None:
        self.output_tokens = hold.output_tokens
        self._admission, self._visitor, self._need = admission, visitor, need
        self._hold = hold
        self._receipt: Receipt | None = None

    def observe(self, receipt: Receipt) -> None:
        """Take the receipt of the request."""
        self._receipt = receipt

    def settle(self) -> None:
        """Replace the reservation by what the receipt shows; nothing was used without one."""
        self._admission.settle(self._visitor, self._need, self._hold, self._receipt)


class Admission:
    """Reserves and settles, in `Counters`."""

    def __init__(
        self,
        limits: RequestLimits,
        counters: Counters,
        find_card: FindCard,
        free_models: frozenset[str] = frozenset(),
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        """Initialize the admission.

        Args:
            limits: The daily budgets.
            counters: Where they are counted.
            find_card: Returns the card of a model, for its prices.
            free_models: Ids of models on this machine, which cost nothing.
            sleep: Sleeps for a number of seconds.
        """
        self._limits, self._counters, self._find_card = limits, counters, find_card
        self._free_models, self._sleep = free_models, sleep

    def has_budget(self, visitor: Visitor) -> bool:
        """Whether tokens or money of the visitor or of the server are limited."""
        limits = self._limits
        return (
            limits.has_tokens_budget
            or visitor.tokens_per_day is not None
            or self.has_cost_budget(visitor)
        )

    def has_cost_budget(self, visitor: Visitor) -> bool:
        """Whether money of the visitor or of the server is limited."""
        return self._limits.app_cost_per_day is not None or visitor.cost_per_day is not None

    def priced(self, models: Iterable[str]) -> tuple[str, ...]:
        """Return those of the models that have prices."""
        return tuple(model for model in models if self._cost(model, 0, 0) is not None)

    async def reserve(self, visitor: Visitor, need: Need) -> Reservation:
        """Reserve the input and the longest output that remains in all budgets.

        Raises:
            LimitReached: Not even a short answer fits into a budget.
            NotAllowed: `price`: the cost is limited and the model has no price.
        """
        demands, waited_s = self._demands(visitor, need), 0.0
        least = min(LEAST_OUTPUT_TOKENS, need.output_tokens)
        while True:
            hold = await self._counters.reserve(demands, need.output_tokens, least)
            if isinstance(hold, Hold):
                return Reservation(self, visitor, need, hold)
            if not hold.held or waited_s >= HELD_WAIT_S:
                raise self._error(hold, visitor)
            await self._sleep(HELD_POLL_S)
            waited_s += HELD_POLL_S

    def settle(self, visitor: Visitor, need: Need, hold: Hold, receipt: Receipt | None) -> None:
        """Replace a reservation by what was used."""
        tokens_in, tokens_out = _used_tokens(need, hold, receipt)
        used = dict.fromkeys(hold.amounts, float(tokens_in + tokens_out))
        model = (receipt.answering_model if receipt else "") or need.model
        for name in used.keys() & {APP_COST, _cost_name(visitor)}:
            cost = self._cost(model, tokens_in, tokens_out)
            used[name] = hold.amounts[name] if cost is None else cost
        self._counters.settle(hold, used)

    def _demands(self, visitor: Visitor, need: Need) -> Sequence[Demand]:
        limits, demands = self._limits, []
        share = self._share(visitor)
        if share is not None:
            demands.append(_tokens(f"tokens:{visitor.id}", share, need))
            if visitor.network:
                of_network = share * limits.network_factor
                demands.append(_tokens(f"tokens:{visitor.network}", of_network, need))
        if limits.app_tokens_per_day is not None:
            demands.append(_tokens(APP_TOKENS, limits.app_tokens_per_day, need))
        if limits.app_cost_per_day is not None:
            demands.append(self._money(APP_COST, limits.app_cost_per_day, need))
        if visitor.cost_per_day is not None:
            demands.append(self._money(_cost_name(visitor), visitor.cost_per_day, need))
        return demands

    def _share(self, visitor: Visitor) -> int | None:
        own = visitor.tokens_per_day
        return self._limits.tokens_per_day if own is None else own

    def _money(self, name: str, budget: float, need: Need) -> Demand:
        """Return the demand at the prices of the most expensive model that may answer."""
        models = (need.model, *need.fallbacks)
        inputs = [self._cost(model, need.input_tokens, 0) for model in models]
        outputs = [self._cost(model, 0, need.choices) for model in models]
        if inputs[0] is None or outputs[0] is None:
            raise NotAllowed("price")
        return Demand(
            name=name,
            limit=budget,
            fixed=max(cost for cost in inputs if cost is not None),
            per_token=max(cost for cost in outputs if cost is not None),
        )

    def _cost(self, model: str, tokens_in: int, tokens_out: int) -> float | None:
        if model in self._free_models:
            return 0.0
        card = self._find_card(model)
        return None if card is None else card.cost(tokens_in, tokens_out)

    def _error(self, shortage: Shortage, visitor: Visitor) -> LimitReached:
        if shortage.held:
            return LimitReached("reserved", retry_after_s=HELD_WAIT_S)
        if shortage.name == _cost_name(visitor):
            return LimitReached(
                "cost", limit=visitor.cost_per_day or 0, retry_after_s=shortage.wait_s
            )
        if shortage.name in (APP_TOKENS, APP_COST):  # a server's budget is not made public
            return LimitReached(shortage.name.replace("-", "_"), retry_after_s=shortage.wait_s)
        limit = self._share(visitor) or 0
        return LimitReached("tokens", limit=limit, retry_after_s=shortage.wait_s)


def _cost_name(visitor: Visitor) -> str:
    return f"cost:{visitor.id}"


def _tokens(name: str, budget: float, need: Need) -> Demand:
    return Demand(name=name, limit=budget, fixed=need.input_tokens, per_token=need.choices)


def _used_tokens(need: Need, hold: Hold, receipt: Receipt | None) -> tuple[int, int]:
    """Return the tokens in and out that a request used, as far as they are known.

    The input counts for each attempt that an endpoint may have processed. The output of one that
    sent nothing counts as none in a stream; otherwise it may have been produced without being
    sent, and counts as the longest.
    """
    if receipt is None:
        return 0, 0
    answered = bool(receipt.endpoint)
    unanswered = receipt.attempts[:-1] if answered else receipt.attempts
    processed = sum(attempt.outcome not in NOT_PROCESSED for attempt in unanswered)
    tokens_in = processed * need.input_tokens
    tokens_out = 0 if need.streamed else processed * hold.output_tokens * need.choices
    if answered:
        reported = receipt.tokens_in is not None and receipt.tokens_in.reported
        tokens_in += (
            receipt.tokens_in.tokens if receipt.tokens_in and reported else need.input_tokens
        )
        tokens_out += receipt.tokens_out.tokens if receipt.tokens_out else 0
    return max(0, tokens_in), max(0, tokens_out)


def price_problems(settings: Settings, cards: Sequence[ModelCard]) -> tuple[Problem, ...]:
    """Return a problem if the cost of a day is limited and models of the catalog have no prices."""
    key_costs = [key.limits.cost_per_day for key in settings.gateway_keys]
    if all(cost is None for cost in (settings.cost_per_day, *key_costs)):
        return ()
    allowed = frozenset(settings.allowed_models)
    names = [
        card.id
        for card in cards
        if card.cost(0, 0) is None
        and card.available is not False
        and card.id in (allowed or {card.id})
    ]
    if not names:
        return ()
    shown = ", ".join(names[:MAX_NAMES_SHOWN]) + (", …" if len(names) > MAX_NAMES_SHOWN else "")
    return (Problem(where="COST_PER_DAY", hint=messages.NO_PRICES.format(models=shown)),)
