from __future__ import annotations

from dataclasses import replace
from typing import Any

from akash_gradio.compare.checks import Check, CheckKind, CheckResult
from akash_gradio.compare.plan import Plan
from akash_gradio.compare.rows import Row
from akash_gradio.compare.run_diff import ChangeKind, diff_runs
from tests.compare.fakes import plan


def rows(run_plan: Plan, **different: Row | None) -> dict[int, Row]:
    """Return equal rows for all tasks, except that `n3` replaces or removes row 3."""
    result = {number: row(number) for number in range(run_plan.calls)}
    for name, other in different.items():
        if other is None:
            del result[int(name[1:])]
        else:
            result[int(name[1:])] = other
    return result


def row(number: int, **more: Any) -> Row:
    facts: dict[str, Any] = {"outcome": "ok", "began": "", "answer": "Paris is it."}
    return Row(number=number, **(facts | more))


def changed(
    before: Plan, before_rows: dict[int, Row], now: Plan, now_rows: dict[int, Row]
) -> list[Any]:
    result = diff_runs(before, before_rows.get, now, now_rows.get)
    return [(c.prompt, c.lane, [kind.value for kind in c.kinds]) for c in result]


PLAN = plan("one", "two")
FAILED = CheckResult(check=Check(kind=CheckKind.NOT_EMPTY), passed=False)


def test_only_changed_cells_are_reported() -> None:
    now = rows(
        PLAN,
        n0=row(0, answer="Rome is it."),
        n1=row(1, answer=" Paris  is\nit."),
        n2=row(2, outcome="AllEndpointsFailed", answer=""),
        n3=row(3, checks=(FAILED,)),
    )
    assert changed(PLAN, rows(PLAN), PLAN, now) == [
        ("1", "a", ["answer"]),
        ("2", "a", ["answer", "outcome"]),
        ("2", "b", ["checks"]),
    ]


def test_a_reworded_prompt_is_reported() -> None:
    now = plan("one", "two and more")
    assert changed(PLAN, rows(PLAN), now, rows(now)) == [
        ("2", "a", ["prompt"]),
        ("2", "b", ["prompt"]),
    ]


def test_new_and_gone_cells_are_reported() -> None:
    now = plan("one", models="bc")
    assert changed(PLAN, rows(PLAN), now, rows(now)) == [
        ("1", "c", ["new"]),
        ("1", "a", ["gone"]),
        ("2", "a", ["gone"]),
        ("2", "b", ["gone"]),
    ]


def test_cells_are_matched_in_any_order() -> None:
    reordered = replace(PLAN, lanes=PLAN.lanes[::-1], seed=9)
    assert changed(PLAN, rows(PLAN), reordered, rows(reordered)) == []


def test_tasks_without_a_row_are_skipped() -> None:
    assert changed(PLAN, rows(PLAN, n1=None), PLAN, rows(PLAN, n0=None, n1=None)) == []
    assert changed(PLAN, rows(PLAN, n1=None), PLAN, rows(PLAN)) == [("1", "b", [ChangeKind.NEW])]
