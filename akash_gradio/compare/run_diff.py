"""Compares a run with an earlier one and yields the cells that changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from akash_gradio.compare.plan import Plan
from akash_gradio.compare.rows import Row
from akash_gradio.compare.summary import RowLookup


class ChangeKind(StrEnum):
    """What changed."""

    PROMPT = "prompt"
    ANSWER = "answer"
    OUTCOME = "outcome"
    CHECKS = "checks"
    NEW = "new"
    """The earlier run has no such prompt, lane or repeat."""
    GONE = "gone"
    """Only the earlier run has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A cell that differs between two runs.

    Attributes:
        prompt: The prompt's id.
        lane: The lane's label.
        repeat: From 0.
        kinds: What changed, at least one.
        earlier_number: Task number in the earlier run, None if it has no such cell.
        number: Task number in the current run, None if it has no such cell.
    """

    prompt: str
    lane: str
    repeat: int
    kinds: tuple[ChangeKind, ...]
    earlier_number: int | None
    number: int | None


def diff_runs(
    earlier_plan: Plan, get_earlier_row: RowLookup, plan: Plan, get_row: RowLookup
) -> Iterator[Change]:
    """Yield the changed cells in the order of the current plan, then those that are gone.

    Cells are matched by prompt id, lane label and repeat. A task without a row yet is skipped.

    Args:
        earlier_plan: The plan of the earlier run.
        get_earlier_row: Looks up a row of the earlier run.
        plan: The plan of the current run.
        get_row: Looks up a row of the current run.
    """
    earlier_labels, labels = earlier_plan.labels, plan.labels
    unmatched = {
        _key(earlier_plan, earlier_labels, number): number for number in range(earlier_plan.calls)
    }
    for number in range(plan.calls):
        key = _key(plan, labels, number)
        earlier_number = unmatched.pop(key, None)
        if (row := get_row(number)) is None:
            continue
        earlier_row = get_earlier_row(earlier_number) if earlier_number is not None else None
        kinds: tuple[ChangeKind, ...] = (ChangeKind.NEW,)
        if earlier_row is not None:
            kinds = _differences(row, earlier_row, earlier_plan, plan)
        if kinds:
            yield _change(key, kinds, earlier_number if earlier_row else None, number)
    for key, number in unmatched.items():
        if get_earlier_row(number) is not None:
            yield _change(key, (ChangeKind.GONE,), number, None)


_Key = tuple[str, str, int]


def _key(plan: Plan, labels: Sequence[str], number: int) -> _Key:
    task = plan.task(number)
    return task.prompt.id, labels[plan.lane_of(number)], task.repeat


def _change(
    key: _Key, kinds: tuple[ChangeKind, ...], earlier_number: int | None, number: int | None
) -> Change:
    prompt, lane, repeat = key
    return Change(
        prompt=prompt,
        lane=lane,
        repeat=repeat,
        kinds=kinds,
        earlier_number=earlier_number,
        number=number,
    )


def _differences(
    row: Row, earlier_row: Row, earlier_plan: Plan, plan: Plan
) -> tuple[ChangeKind, ...]:
    earlier_prompt = earlier_plan.task(earlier_row.number).prompt
    prompt = plan.task(row.number).prompt
    changed = {
        ChangeKind.PROMPT: (earlier_prompt.text, earlier_prompt.system)
        != (prompt.text, prompt.system),
        ChangeKind.ANSWER: row.answer.split() != earlier_row.answer.split(),
        ChangeKind.OUTCOME: row.outcome != earlier_row.outcome,
        ChangeKind.CHECKS: row.checks != earlier_row.checks,
    }
    return tuple(kind for kind, is_changed in changed.items() if is_changed)
