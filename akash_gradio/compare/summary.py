"""What a lane's rows have in common, in figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import quantiles

from akash_gradio.compare.plan import Plan
from akash_gradio.compare.rows import Row

RowLookup = Callable[[int], Row | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Of many measurements: the middle one, and what nine in ten lie above and below."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One lane. asked: rows there are; answered: whole answers among them.

    passed: answers that meet all their demands; checked: rows that had demands.
    estimated: some tokens were not reported. cost: US dollars, None unless all have one.
    """

    asked: int
    answered: int
    passed: int
    checked: int
    first_token_s: Spread | None
    tokens_per_s: Spread | None
    tokens_out: int
    estimated: bool
    cost: float | None


def summarize(plan: Plan, get_row: RowLookup) -> tuple[Summary, ...]:
    """One for each lane, in their order; reads each row once and keeps only figures."""
    tallies = [_Tally() for _ in plan.lanes]
    for number in range(plan.calls):
        if (row := get_row(number)) is not None:
            tallies[plan.lane_of(number)].add(row)
    return tuple(tally.summary() for tally in tallies)


class _Tally:
    """Live: what is counted of one lane."""

    def __init__(self) -> None:
        self._asked = self._answered = self._passed = self._checked = self._tokens = 0
        self._first: list[float] = []
        self._speed: list[float] = []
        self._costs: list[float | None] = []
        self._estimated = False

    def add(self, row: Row) -> None:
        self._asked += 1
        self._answered += row.ok
        self._checked += bool(row.checks)
        self._passed += bool(row.checks) and row.passed
        receipt = row.receipt
        if receipt is None or not receipt.endpoint:
            return
        self._costs.append(row.cost)
        if receipt.first_token_s is not None:
            self._first.append(receipt.first_token_s)
        if receipt.tokens_per_s is not None:
            self._speed.append(receipt.tokens_per_s)
        if receipt.tokens_out is not None:
            self._tokens += receipt.tokens_out.tokens
            self._estimated |= not receipt.tokens_out.reported

    def summary(self) -> Summary:
        costs = [cost for cost in self._costs if cost is not None]
        return Summary(
            asked=self._asked,
            answered=self._answered,
            passed=self._passed,
            checked=self._checked,
            first_token_s=_spread(self._first),
            tokens_per_s=_spread(self._speed),
            tokens_out=self._tokens,
            estimated=self._estimated,
            cost=sum(costs) if costs and len(costs) == len(self._costs) else None,
        )


def _spread(measured: Sequence[float]) -> Spread | None:
    if not measured:
        return None
    if len(measured) == 1:
        return Spread(median=measured[0], low=measured[0], high=measured[0])
    tenths = quantiles(measured, n=10, method="inclusive")
    return Spread(median=tenths[4], low=tenths[0], high=tenths[8])
