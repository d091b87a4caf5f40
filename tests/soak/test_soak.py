from __future__ import annotations

from tests.soak.soak import Footprint, Tally, complaints

WELL = Footprint(200, 30, 10)


def test_a_footprint_that_returns_is_well() -> None:
    assert complaints(WELL, Footprint(210, 32, 10), Tally(100, 20, 0)) == []


def test_whatever_grows_or_goes_wrong_is_told() -> None:
    found = complaints(WELL, Footprint(300, 90, 40), Tally(0, 0, 3))
    assert [line.split()[0] for line in found] == ["memory", "open", "threads", "3"]
