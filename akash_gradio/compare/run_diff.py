"""A run beside an earlier one: only what changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from akash_gradio.compare.plan import Plan
from akash_gradio.compare.rows import Row
from akash_gradio.compare.summary import RowLookup


class ChangeKind(StrEnum):
    """What is different now."""

    PROMPT = "prompt"
    ANSWER = "answer"
    OUTCOME = "outcome"
    CHECKS = "checks"
    NEW = "new"
    """The earlier run has no such prompt, lane or repeat."""
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One cell that is not as before. before, now: task numbers of each run, None where absent."""

    prompt: str
    lane: str
    repeat: int
    what: tuple[ChangeKind, ...]
    before: int | None
    now: int | None


def changes(before: Plan, before_row: RowLookup, now: Plan, now_row: RowLookup) -> Iterator[Change]:
    """In the order of the new plan, what is gone last. Cells are matched by the prompt's id, the
    lane's label and the repeat; a task without a row yet is passed over."""
    old_labels, labels = before.labels, now.labels
    earlier = {_key(before, old_labels, number): number for number in range(before.calls)}
    for number in range(now.calls):
        key = _key(now, labels, number)
        old = earlier.pop(key, None)
        if (row := now_row(number)) is None:
            continue
        was = before_row(old) if old is not None else None
        what = _differs(row, was, before, now) if was else (ChangeKind.NEW,)
        if what:
            yield _change(key, what, old if was else None, number)
    for key, number in earlier.items():
        if before_row(number) is not None:
            yield _change(key, (ChangeKind.GONE,), number, None)


_Key = tuple[str, str, int]


def _key(plan: Plan, labels: Sequence[str], number: int) -> _Key:
    task = plan.task(number)
    return task.prompt.id, labels[plan.lane_of(number)], task.repeat


def _change(key: _Key, what: tuple[ChangeKind, ...], before: int | None, now: int | None) -> Change:
    prompt, lane, repeat = key
    return Change(prompt=prompt, lane=lane, repeat=repeat, what=what, before=before, now=now)


def _differs(row: Row, was: Row, before: Plan, now: Plan) -> tuple[ChangeKind, ...]:
    old, new = before.task(was.number).prompt, now.task(row.number).prompt
    found = {
        ChangeKind.PROMPT: (old.text, old.system) != (new.text, new.system),
        ChangeKind.ANSWER: row.answer.split() != was.answer.split(),
        ChangeKind.OUTCOME: row.outcome != was.outcome,
        ChangeKind.CHECKS: row.checks != was.checks,
    }
    return tuple(what for what, is_so in found.items() if is_so)
