"""The result of one task, and its JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from akash_gradio.compare.checks import Check, CheckKind, CheckResult
from akash_gradio.domain.receipt import Attempt, Count, Receipt

OK: Final = "ok"
"""The outcome of a task with a complete answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The answer to one task, or the reason why there is none.

    Attributes:
        number: Number of the task.
        outcome: OK, or the class name of the error.
        began: When the request was sent: UTC, ISO 8601.
        answer: The text, as far as it arrived.
        reasoning: The reasoning, as far as it arrived.
        error: The error's text and the endpoint's detail, without addresses; "" if there is none.
        receipt: Facts about the request. It names endpoints by their alias only.
        checks: Results of the prompt's checks.
        cost: US dollars; None without prices or token counts.
    """

    number: int
    outcome: str
    began: str
    answer: str = ""
    reasoning: str = ""
    error: str = ""
    receipt: Receipt | None = None
    checks: tuple[CheckResult, ...] = ()
    cost: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the answer is complete. Its checks may still have failed."""
        return self.outcome == OK

    @property
    def passed(self) -> bool:
        """Whether the answer is complete and passed every check."""
        return self.ok and all(result.passed for result in self.checks)


def row_dict(row: Row) -> dict[str, Any]:
    """Return the row in JSON's types."""
    return {
        "number": row.number,
        "outcome": row.outcome,
        "began": row.began,
        "answer": row.answer,
        "reasoning": row.reasoning,
        "error": row.error,
        "receipt": receipt_dict(row.receipt) if row.receipt else None,
        "checks": [[c.check.kind.value, c.check.value, c.passed] for c in row.checks],
        "cost": row.cost,
    }


_NAMES_BEFORE_0_2: Final = {
    "said": "error",
    "model_asked": "requested_model",
    "model_answered": "answering_model",
    "why": "reason",
}
"""Names of fields in run files that version 0.1 wrote → names now."""


def row_from(data: Mapping[str, Any]) -> Row:
    """Return the row that `row_dict` serialized, now or in version 0.1.

    Raises:
        ValueError: It has another form; so do KeyError, TypeError and AttributeError.
    """
    checks = tuple(
        CheckResult(check=Check(kind=CheckKind(kind), value=value), passed=passed)
        for kind, value, passed in data["checks"]
    )
    receipt = _receipt_from(data["receipt"]) if data["receipt"] else None
    return Row(**{**_current_names(data), "checks": checks, "receipt": receipt})


_COUNTS: Final = ("tokens_in", "tokens_out", "tokens_reasoning")


def receipt_dict(receipt: Receipt) -> dict[str, Any]:
    """Return the receipt in JSON's types, with the names of its fields as keys."""
    data = _field_values(receipt)
    data["attempts"] = [_field_values(attempt) for attempt in receipt.attempts]
    for name in _COUNTS:
        data[name] = _field_values(data[name]) if data[name] else None
    data["sent"] = dict(receipt.sent)
    return data


def _field_values(value: Receipt | Attempt | Count) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _receipt_from(data: Mapping[str, Any]) -> Receipt:
    values = _current_names(data)
    values["attempts"] = tuple(Attempt(**_current_names(a)) for a in data["attempts"])
    for name in _COUNTS:
        values[name] = Count(**data[name]) if data[name] else None
    return Receipt(**values)


def _current_names(data: Mapping[str, Any]) -> dict[str, Any]:
    return {_NAMES_BEFORE_0_2.get(name, name): value for name, value in data.items()}
