from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from akash_gradio.gateway.policies import Candidate, CurrentWeights, Policy, least_busy, weighted

weights = st.lists(st.integers(1, 12), min_size=1, max_size=6)


def candidates(*weights: int, in_flight: tuple[int, ...] = ()) -> list[Candidate]:
    busy = in_flight or (0,) * len(weights)
    return [
        Candidate(alias=f"e{number}", weight=weight, in_flight=calls)
        for number, (weight, calls) in enumerate(zip(weights, busy, strict=True))
    ]


def choices(
    policy: Policy, among: list[Candidate], current: CurrentWeights, count: int
) -> list[str]:
    return [policy(among, current) for _ in range(count)]


def test_choices_are_spread_and_not_in_a_row() -> None:
    chosen = choices(weighted, candidates(5, 1, 1), {}, 7)
    assert chosen == ["e0", "e0", "e1", "e0", "e2", "e0", "e0"]


@given(weights, st.integers(0, 40))
def test_a_full_cycle_chooses_each_exactly_weight_times(sizes: list[int], offset: int) -> None:
    current: CurrentWeights = {}
    among, cycle = candidates(*sizes), sum(sizes)
    choices(weighted, among, current, offset)
    chosen = Counter(choices(weighted, among, current, cycle))
    assert chosen == {candidate.alias: candidate.weight for candidate in among}


@given(weights)
def test_a_cycle_is_spread_evenly(sizes: list[int]) -> None:
    among, cycle = candidates(*sizes), sum(sizes)
    chosen = choices(weighted, among, {}, cycle)
    for candidate in among:
        for length in range(1, cycle + 1):
            fair = length * candidate.weight / cycle
            assert abs(chosen[:length].count(candidate.alias) - fair) < len(among)


@given(st.lists(st.integers(1, 12), min_size=2, max_size=6), st.data())
def test_the_share_of_an_absent_candidate_is_divided_by_weight(
    sizes: list[int], data: st.DataObject
) -> None:
    among = candidates(*sizes)
    out = data.draw(st.sampled_from(among))
    rest = [candidate for candidate in among if candidate is not out]
    current: CurrentWeights = {}
    choices(weighted, among, current, data.draw(st.integers(0, sum(sizes))) * sum(sizes))
    cycle = sum(candidate.weight for candidate in rest)
    assert Counter(choices(weighted, rest, current, cycle)) == {e.alias: e.weight for e in rest}


@given(st.lists(st.integers(1, 12), min_size=2, max_size=6), st.integers(0, 60))
def test_an_absence_shifts_the_others_by_less_than_a_cycle(sizes: list[int], offset: int) -> None:
    current: CurrentWeights = {}
    among = candidates(*sizes)
    choices(weighted, among, current, offset)
    rest = among[1:]
    rounds, cycle = 20, sum(candidate.weight for candidate in rest)
    chosen = Counter(choices(weighted, rest, current, rounds * cycle))
    for candidate in rest:
        assert abs(chosen[candidate.alias] - rounds * candidate.weight) <= len(among)
    assert "e0" not in chosen


@given(weights)
def test_a_single_candidate_changes_no_weight(sizes: list[int]) -> None:
    current: CurrentWeights = {}
    among = candidates(*sizes)
    choices(weighted, among, current, 5)
    before = dict(current)
    assert weighted(among[-1:], current) == among[-1].alias
    assert current == before


def test_least_busy_counts_by_weight() -> None:
    among = candidates(4, 1, in_flight=(3, 1))
    assert least_busy(among, {}) == "e0"


def test_least_busy_never_chooses_a_busier_candidate() -> None:
    among = candidates(1, 1, 1, in_flight=(2, 0, 1))
    assert set(choices(least_busy, among, {}, 9)) == {"e1"}


@given(weights)
def test_least_busy_breaks_ties_by_weighted_round_robin(sizes: list[int]) -> None:
    among, cycle = candidates(*sizes), sum(sizes)
    assert choices(least_busy, among, {}, cycle) == choices(weighted, among, {}, cycle)
