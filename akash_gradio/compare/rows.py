"""What came of one task, and how it is written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from akash_gradio.compare.checks import Check, CheckKind, CheckResult
from akash_gradio.domain.receipt import Attempt, Count, Receipt

OK: Final = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One answer, or why there is none.

    number: of the task. outcome: OK, or the error's class name. said: the error's facts, and
    what the endpoint said itself, without addresses; "" when all went well.
    answer, reasoning: as far as they came. cost: US dollars, None without prices.
    began: when it was asked, UTC, ISO 8601. endpoints never have more than their alias here.
    """

    number: int
    outcome: str
    began: str
    answer: str = ""
    reasoning: str = ""
    said: str = ""
    receipt: Receipt | None = None
    checks: tuple[CheckResult, ...] = ()
    cost: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the answer is whole; its checks are another matter."""
        return self.outcome == OK

    @property
    def passed(self) -> bool:
        """Whether it is whole and meets every demand."""
        return self.ok and all(each.passed for each in self.checks)


def row_dict(row: Row) -> dict[str, Any]:
    """The row in JSON's types."""
    return {
        "number": row.number,
        "outcome": row.outcome,
        "began": row.began,
        "answer": row.answer,
        "reasoning": row.reasoning,
        "said": row.said,
        "receipt": receipt_dict(row.receipt) if row.receipt else None,
        "checks": [[each.check.kind.value, each.check.value, each.passed] for each in row.checks],
        "cost": row.cost,
    }


def row_from(told: Mapping[str, Any]) -> Row:
    """The row that `row_dict` wrote."""
    checks = tuple(
        CheckResult(check=Check(kind=CheckKind(kind), value=value), passed=passed)
        for kind, value, passed in told["checks"]
    )
    receipt = _receipt_from(told["receipt"]) if told["receipt"] else None
    return Row(**{**told, "checks": checks, "receipt": receipt})


_COUNTS: Final = ("tokens_in", "tokens_out", "tokens_reasoning")


def receipt_dict(receipt: Receipt) -> dict[str, Any]:
    """The receipt in JSON's types, its own field names."""
    told: dict[str, Any] = {name: getattr(receipt, name) for name in Receipt.__dataclass_fields__}
    told["attempts"] = [
        {name: getattr(attempt, name) for name in Attempt.__dataclass_fields__}
        for attempt in receipt.attempts
    ]
    for name in _COUNTS:
        count = told[name]
        told[name] = count and {"tokens": count.tokens, "reported": count.reported}
    told["sent"] = dict(receipt.sent)
    return told


def _receipt_from(told: Mapping[str, Any]) -> Receipt:
    facts = dict(told)
    facts["attempts"] = tuple(Attempt(**attempt) for attempt in told["attempts"])
    for name in _COUNTS:
        facts[name] = Count(**told[name]) if told[name] else None
    return Receipt(**facts)
