from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from akash_gradio.gateway.policies import Candidate, CurrentWeights, Policy, least_busy, weighted

weights = st.lists(st.integers(1, 12), min_size=1, max_size=6)


def candidates(*weights: int, in_flight: tuple[int, ...] = ()) -> list[Candidate]:
    busy = in_flight or (0,) * len(weights)
    return [
        Candidate(alias=f"e{number}", weight=weight, in_flight=each)
        for number, (weight, each) in enumerate(zip(weights, busy, strict=True))
    ]


def choices(policy: Policy, among: list[Candidate], turns: CurrentWeights, count: int) -> list[str]:
    return [policy(among, turns) for _ in range(count)]


def test_two_to_one_is_a_a_b_spread_and_not_in_lumps() -> None:
    chosen = choices(weighted, candidates(5, 1, 1), {}, 7)
    assert chosen == ["e0", "e0", "e1", "e0", "e2", "e0", "e0"]


@given(weights, st.integers(0, 40))
def test_any_full_cycle_chooses_each_exactly_weight_times(sizes: list[int], offset: int) -> None:
    among, turns, cycle = candidates(*sizes), {}, sum(sizes)
    choices(weighted, among, turns, offset)
    chosen = Counter(choices(weighted, among, turns, cycle))
    assert chosen == {each.alias: each.weight for each in among}


@given(weights)
def test_a_cycle_is_spread_evenly(sizes: list[int]) -> None:
    among, cycle = candidates(*sizes), sum(sizes)
    chosen = choices(weighted, among, {}, cycle)
    for each in among:
        for length in range(1, cycle + 1):
            fair = length * each.weight / cycle
            assert abs(chosen[:length].count(each.alias) - fair) < len(among)


@given(st.lists(st.integers(1, 12), min_size=2, max_size=6), st.data())
def test_the_share_of_one_that_is_out_is_split_by_the_others_weights(
    sizes: list[int], data: st.DataObject
) -> None:
    among = candidates(*sizes)
    out = data.draw(st.sampled_from(among))
    rest = [each for each in among if each is not out]
    turns: CurrentWeights = {}
    choices(weighted, among, turns, data.draw(st.integers(0, sum(sizes))) * sum(sizes))
    cycle = sum(each.weight for each in rest)
    assert Counter(choices(weighted, rest, turns, cycle)) == {e.alias: e.weight for e in rest}


@given(st.lists(st.integers(1, 12), min_size=2, max_size=6), st.integers(0, 60))
def test_one_that_leaves_and_comes_back_shifts_the_others_by_no_more_than_a_cycle(
    sizes: list[int], offset: int
) -> None:
    among, turns = candidates(*sizes), {}
    choices(weighted, among, turns, offset)
    rest = among[1:]
    rounds, cycle = 20, sum(each.weight for each in rest)
    chosen = Counter(choices(weighted, rest, turns, rounds * cycle))
    for each in rest:
        assert abs(chosen[each.alias] - rounds * each.weight) <= len(among)
    assert "e0" not in chosen


@given(weights)
def test_one_candidate_alone_keeps_every_turn_as_it_was(sizes: list[int]) -> None:
    among, turns = candidates(*sizes), {}
    choices(weighted, among, turns, 5)
    before = dict(turns)
    assert weighted(among[-1:], turns) == among[-1].alias
    assert turns == before


def test_least_busy_counts_by_weight() -> None:
    among = candidates(4, 1, in_flight=(3, 1))
    assert least_busy(among, {}) == "e0"


def test_least_busy_never_chooses_a_busier_one() -> None:
    among = candidates(1, 1, 1, in_flight=(2, 0, 1))
    assert set(choices(least_busy, among, {}, 9)) == {"e1"}


@given(weights)
def test_least_busy_breaks_ties_by_the_smooth_turn(sizes: list[int]) -> None:
    among, cycle = candidates(*sizes), sum(sizes)
    assert choices(least_busy, among, {}, cycle) == choices(weighted, among, {}, cycle)
