from __future__ import annotations

from tests.soak.soak import Footprint, Tally, leaks_of

BEFORE = Footprint(200, 30, 10)


def test_a_footprint_that_returns_to_its_start_is_no_problem() -> None:
    assert leaks_of(BEFORE, Footprint(210, 32, 10), Tally(100, 20, 0)) == []


def test_growth_and_failures_are_listed() -> None:
    problems = leaks_of(BEFORE, Footprint(300, 90, 40), Tally(0, 0, 3))
    assert [line.split()[0] for line in problems] == ["memory", "open", "threads", "3"]
