"""Compares a run with an earlier one and reports the cells that changed."""

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
        before: Task number in the earlier run, None if it has no such cell.
        now: Task number in the current run, None if it has no such cell.
    """

    prompt: str
    lane: str
    repeat: int
    kinds: tuple[ChangeKind, ...]
    before: int | None
    now: int | None


def changes(before: Plan, before_row: RowLookup, now: Plan, now_row: RowLookup) -> Iterator[Change]:
    """Yield the changed cells in the order of the current plan, then those that are gone.

    Cells are matched by prompt id, lane label and repeat. A task without a row yet is skipped.
    """
    old_labels, labels = before.labels, now.labels
    earlier = {_key(before, old_labels, number): number for number in range(before.calls)}
    for number in range(now.calls):
        key = _key(now, labels, number)
        old_number = earlier.pop(key, None)
        if (row := now_row(number)) is None:
            continue
        old_row = before_row(old_number) if old_number is not None else None
        kinds = _differences(row, old_row, before, now) if old_row else (ChangeKind.NEW,)
        if kinds:
            yield _change(key, kinds, old_number if old_row else None, number)
    for key, number in earlier.items():
        if before_row(number) is not None:
            yield _change(key, (ChangeKind.GONE,), number, None)


_Key = tuple[str, str, int]


def _key(plan: Plan, labels: Sequence[str], number: int) -> _Key:
    task = plan.task(number)
    return task.prompt.id, labels[plan.lane_of(number)], task.repeat


def _change(
    key: _Key, kinds: tuple[ChangeKind, ...], before: int | None, now: int | None
) -> Change:
    prompt, lane, repeat = key
    return Change(prompt=prompt, lane=lane, repeat=repeat, kinds=kinds, before=before, now=now)


def _differences(row: Row, old_row: Row, before: Plan, now: Plan) -> tuple[ChangeKind, ...]:
    old_prompt, prompt = before.task(old_row.number).prompt, now.task(row.number).prompt
    changed = {
        ChangeKind.PROMPT: (old_prompt.text, old_prompt.system) != (prompt.text, prompt.system),
        ChangeKind.ANSWER: row.answer.split() != old_row.answer.split(),
        ChangeKind.OUTCOME: row.outcome != old_row.outcome,
        ChangeKind.CHECKS: row.checks != old_row.checks,
    }
    return tuple(kind for kind, is_changed in changed.items() if is_changed)
