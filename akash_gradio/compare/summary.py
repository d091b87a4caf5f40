"""Computes the figures of a lane from its rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import quantiles

from akash_gradio.compare.plan import Plan
from akash_gradio.compare.rows import Row

RowLookup = Callable[[int], Row | None]
"""Task number → its row, None if there is none yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The distribution of a measurement.

    Attributes:
        median: The middle value.
        low: The 10th percentile.
        high: The 90th percentile.
    """

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The figures of one lane.

    Attributes:
        finished: Number of rows.
        answered: Rows with a complete answer.
        passed: Answers that passed all their checks.
        checked: Rows with checks.
        first_token_s: Seconds to the first token.
        tokens_per_s: Speed after the first token.
        tokens_out: Sum over all answers.
        estimated: Whether any token count was not reported by the endpoint.
        cost: US dollars; None unless every answer has a cost.
    """

    finished: int
    answered: int
    passed: int
    checked: int
    first_token_s: Spread | None
    tokens_per_s: Spread | None
    tokens_out: int
    estimated: bool
    cost: float | None


def summarize(plan: Plan, get_row: RowLookup) -> tuple[Summary, ...]:
    """Return a summary per lane, in order. Reads each row once and keeps only numbers."""
    tallies = [_Tally() for _ in plan.lanes]
    for number in range(plan.calls):
        if (row := get_row(number)) is not None:
            tallies[plan.lane_of(number)].add(row)
    return tuple(tally.summary() for tally in tallies)


class _Tally:
    """Accumulates the figures of one lane."""

    def __init__(self) -> None:
        self._finished = self._answered = self._passed = self._checked = self._tokens = 0
        self._first_token_s: list[float] = []
        self._tokens_per_s: list[float] = []
        self._costs: list[float | None] = []
        self._estimated = False

    def add(self, row: Row) -> None:
        self._finished += 1
        self._answered += row.ok
        self._checked += bool(row.checks)
        self._passed += bool(row.checks) and row.passed
        receipt = row.receipt
        if receipt is None or not receipt.endpoint:
            return
        self._costs.append(row.cost)
        if receipt.first_token_s is not None:
            self._first_token_s.append(receipt.first_token_s)
        if receipt.tokens_per_s is not None:
            self._tokens_per_s.append(receipt.tokens_per_s)
        if receipt.tokens_out is not None:
            self._tokens += receipt.tokens_out.tokens
            self._estimated |= not receipt.tokens_out.reported

    def summary(self) -> Summary:
        costs = [cost for cost in self._costs if cost is not None]
        return Summary(
            finished=self._finished,
            answered=self._answered,
            passed=self._passed,
            checked=self._checked,
            first_token_s=_spread(self._first_token_s),
            tokens_per_s=_spread(self._tokens_per_s),
            tokens_out=self._tokens,
            estimated=self._estimated,
            cost=sum(costs) if costs and len(costs) == len(self._costs) else None,
        )


def _spread(values: Sequence[float]) -> Spread | None:
    if not values:
        return None
    if len(values) == 1:
        return Spread(median=values[0], low=values[0], high=values[0])
    tenths = quantiles(values, n=10, method="inclusive")
    return Spread(median=tenths[4], low=tenths[0], high=tenths[8])
