"""What a run will take: calls, tokens, dollars, minutes. Said before anything is spent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from akash_gradio.compare.capacity import shares
from akash_gradio.compare.plan import Plan, Task
from akash_gradio.domain.model import ModelCard
from akash_gradio.domain.ports import EndpointStatus
from akash_gradio.domain.tokens import TOKENS_PER_MESSAGE, estimate_tokens, utf8_length

ANSWER_TOKENS: Final = 300
"""Assumed of an answer, where the lane sets no lower limit."""
THINKING_TOKENS: Final = 1500
"""Assumed of a model that reasons."""
TOKENS_PER_S: Final = 40.0
FIRST_TOKEN_S: Final = 1.0
"""Assumed of an endpoint that has not been asked yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """calls: those without a row yet. tokens: estimated. cost: US dollars, of the lanes with
    prices; unpriced: the models without. seconds: at the assumed speed, all calls together."""

    calls: int
    tokens_in: int
    tokens_out: int
    cost: float | None
    unpriced: tuple[str, ...]
    duration_s: float


def forecast(
    plan: Plan,
    cards: Callable[[str], ModelCard | None],
    endpoints: Sequence[EndpointStatus],
    *,
    per_endpoint: int,
    known: Collection[int] = frozenset(),
) -> Forecast:
    """known: the numbers of the tasks that have their row already."""
    tokens_in = tokens_out = calls = 0
    cost, priced, unpriced = 0.0, False, dict[str, None]()
    work_s: Counter[str] = Counter()
    parts = [shares(lane, endpoints) for lane in plan.lanes]
    first_s = {each.alias: each.first_token_s for each in endpoints}
    for number in (n for n in range(plan.calls) if n not in known):
        task = plan.task(number)
        card = cards(task.lane.model)
        asked, answered = _tokens_in(task), _tokens_out(task, card)
        calls, tokens_in, tokens_out = calls + 1, tokens_in + asked, tokens_out + answered
        if card and card.prompt_price is not None and card.completion_price is not None:
            cost += (asked * card.prompt_price + answered * card.completion_price) / 1_000_000
            priced = True
        else:
            unpriced[task.lane.model] = None
        for alias, part in parts[plan.lane_of(number)].items():
            first = first_s.get(alias) or FIRST_TOKEN_S
            work_s[alias] += part * (first + answered / TOKENS_PER_S)  # type: ignore[assignment]
    return Forecast(
        calls=calls,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        cost=cost if priced else None,
        unpriced=tuple(unpriced),
        duration_s=max(work_s.values(), default=0) / per_endpoint,
    )


def _tokens_in(task: Task) -> int:
    texts = [task.prompt.text, task.prompt.system or task.lane.system]
    return sum(estimate_tokens(utf8_length(t)) + TOKENS_PER_MESSAGE for t in texts if t)


def _tokens_out(task: Task, card: ModelCard | None) -> int:
    assumed = THINKING_TOKENS if card is not None and card.reasoning else ANSWER_TOKENS
    limit = task.lane.sampling.max_tokens
    return min(assumed, limit) if isinstance(limit, int) else assumed
