from __future__ import annotations

from dataclasses import replace
from typing import Any

from akash_gradio.compare.checks import Check, CheckKind, CheckResult
from akash_gradio.compare.plan import Plan
from akash_gradio.compare.rows import Row
from akash_gradio.compare.run_diff import ChangeKind, changes
from tests.compare.fakes import plan


def rows(asked: Plan, **different: Row | None) -> dict[int, Row]:
    """Every task answered alike; `n3` stands in the place of the third."""
    found = {number: row(number) for number in range(asked.calls)}
    for name, other in different.items():
        if other is None:
            del found[int(name[1:])]
        else:
            found[int(name[1:])] = other
    return found


def row(number: int, **more: Any) -> Row:
    facts: dict[str, Any] = {"outcome": "ok", "began": "", "answer": "Paris is it."}
    return Row(number=number, **(facts | more))


def told(before: Plan, was: dict[int, Row], now: Plan, has: dict[int, Row]) -> list[Any]:
    found = changes(before, was.get, now, has.get)
    return [(each.prompt, each.lane, [what.value for what in each.what]) for each in found]


PLAN = plan("one", "two")
FAILED = CheckResult(check=Check(kind=CheckKind.NOT_EMPTY), passed=False)


def test_only_what_changed_is_told() -> None:
    now = rows(
        PLAN,
        n0=row(0, answer="Rome is it."),
        n1=row(1, answer=" Paris  is\nit."),
        n2=row(2, outcome="AllEndpointsFailed", answer=""),
        n3=row(3, checks=(FAILED,)),
    )
    assert told(PLAN, rows(PLAN), PLAN, now) == [
        ("1", "a", ["answer"]),
        ("2", "a", ["answer", "outcome"]),
        ("2", "b", ["checks"]),
    ]


def test_a_prompt_that_was_worded_anew_is_told() -> None:
    now = plan("one", "two and more")
    assert told(PLAN, rows(PLAN), now, rows(now)) == [
        ("2", "a", ["prompt"]),
        ("2", "b", ["prompt"]),
    ]


def test_new_and_gone_cells_are_told() -> None:
    now = plan("one", models="bc")
    assert told(PLAN, rows(PLAN), now, rows(now)) == [
        ("1", "c", ["new"]),
        ("1", "a", ["gone"]),
        ("2", "a", ["gone"]),
        ("2", "b", ["gone"]),
    ]


def test_cells_are_found_wherever_they_stand_now() -> None:
    turned = replace(PLAN, lanes=PLAN.lanes[::-1], seed=9)
    assert told(PLAN, rows(PLAN), turned, rows(turned)) == []


def test_what_is_not_answered_yet_is_passed_over() -> None:
    assert told(PLAN, rows(PLAN, n1=None), PLAN, rows(PLAN, n0=None, n1=None)) == []
    assert told(PLAN, rows(PLAN, n1=None), PLAN, rows(PLAN)) == [("1", "b", [ChangeKind.NEW])]
