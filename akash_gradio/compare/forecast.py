"""Estimates the calls, tokens, cost and duration of a run before it starts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from akash_gradio.compare.capacity import endpoint_shares
from akash_gradio.compare.plan import Plan, Task
from akash_gradio.compare.task import CardLookup
from akash_gradio.domain.model import ModelCard
from akash_gradio.domain.ports import EndpointStatus
from akash_gradio.domain.tokens import TOKENS_PER_MESSAGE, estimate_tokens, utf8_length

ANSWER_TOKENS: Final = 300
"""Assumed length of an answer, unless the lane's limit is lower."""
REASONING_ANSWER_TOKENS: Final = 1500
"""Assumed length of a reasoning model's answer."""
TOKENS_PER_S: Final = 40.0
FIRST_TOKEN_S: Final = 1.0
"""Assumed time to the first token of an endpoint that has not been used yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The estimated effort of a run.

    Attributes:
        calls: Tasks without a row yet.
        tokens_in: Estimated from the prompts' lengths.
        tokens_out: Estimated from the assumed lengths of answers.
        cost: US dollars for the lanes with prices; None if no lane has prices.
        unpriced: Models without prices.
        duration_s: Seconds for all calls, at the assumed speed.
    """

    calls: int
    tokens_in: int
    tokens_out: int
    cost: float | None
    unpriced: tuple[str, ...]
    duration_s: float


def forecast(
    plan: Plan,
    get_card: CardLookup,
    endpoints: Sequence[EndpointStatus],
    *,
    per_endpoint: int,
    known: Collection[int] = frozenset(),
) -> Forecast:
    """Estimate a run.

    Args:
        plan: The run.
        get_card: Looks up a model's card, for its prices.
        endpoints: The state of all endpoints, for their times to the first token.
        per_endpoint: Concurrent calls per endpoint.
        known: Numbers of the tasks that have a row already.
    """
    tokens_in = tokens_out = calls = 0
    cost, priced, unpriced = 0.0, False, dict[str, None]()
    work_s: defaultdict[str, float] = defaultdict(float)
    shares_of_lanes = [endpoint_shares(lane, endpoints) for lane in plan.lanes]
    first_token_s = {endpoint.alias: endpoint.first_token_s for endpoint in endpoints}
    for number in (n for n in range(plan.calls) if n not in known):
        task = plan.task(number)
        card = get_card(task.lane.model)
        task_in, task_out = _tokens_in(task), _tokens_out(task, card)
        calls, tokens_in, tokens_out = calls + 1, tokens_in + task_in, tokens_out + task_out
        if card and card.prompt_price is not None and card.completion_price is not None:
            cost += (task_in * card.prompt_price + task_out * card.completion_price) / 1_000_000
            priced = True
        else:
            unpriced[task.lane.model] = None
        for alias, share in shares_of_lanes[plan.lane_of(number)].items():
            first_s = first_token_s.get(alias) or FIRST_TOKEN_S
            work_s[alias] += share * (first_s + task_out / TOKENS_PER_S)
    return Forecast(
        calls=calls,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        cost=cost if priced else None,
        unpriced=tuple(unpriced),
        duration_s=max(work_s.values(), default=0.0) / per_endpoint,
    )


def _tokens_in(task: Task) -> int:
    texts = [task.prompt.text, task.prompt.system or task.lane.system]
    return sum(estimate_tokens(utf8_length(t)) + TOKENS_PER_MESSAGE for t in texts if t)


def _tokens_out(task: Task, card: ModelCard | None) -> int:
    assumed = REASONING_ANSWER_TOKENS if card is not None and card.reasoning else ANSWER_TOKENS
    limit = task.lane.sampling.max_tokens
    return min(assumed, limit) if isinstance(limit, int) else assumed
