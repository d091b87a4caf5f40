from __future__ import annotations

import math
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from akash_gradio.compare.ranking import CENTER, MAX_LANES, POINTS, Ranking, rank
from akash_gradio.compare.votes.store import Outcome, Vote

A, B, TIE, BAD = Outcome.A, Outcome.B, Outcome.TIE, Outcome.BOTH_BAD


def vote(a: str, b: str, outcome: Outcome) -> Vote:
    return Vote(id="", when=datetime(2026, 1, 1, tzinfo=UTC), a=a, b=b, outcome=outcome)


def simulate_votes(
    strengths: Sequence[float], votes: int, chance: random.Random, ties: float = 0.0
) -> list[Vote]:
    """Return votes drawn from the Bradley-Terry model.

    Args:
        strengths: Log strengths of the lanes `m0`, `m1` and so on.
        votes: Number of votes.
        chance: The source of randomness.
        ties: Share of close votes that are ties; the mean scores of the lanes don't change.
    """
    pairs = list(combinations(range(len(strengths)), 2))
    cast = []
    for _ in range(votes):
        one, other = chance.choice(pairs)
        wins = 1 / (1 + math.exp(strengths[other] - strengths[one]))
        tied = 2 * min(wins, 1 - wins) * ties
        drawn = chance.random()
        won = A if drawn < tied + wins - tied / 2 else B
        cast.append(vote(f"m{one}", f"m{other}", TIE if drawn < tied else won))
    return cast


def orders(ranking: Ranking) -> bool:
    """Return whether any two lanes are ordered."""
    return any(pair.ordered for pair in ranking.neighbors) or any(
        standing.place > 1 for standing in ranking.standings
    )


# ── confidence ───────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("votes", "ties"), [(60, 0.0), (300, 0.0), (200, 0.5)], ids=["few", "many", "with ties"]
)
def test_the_intervals_contain_95_percent_of_the_true_strengths(votes: int, ties: float) -> None:
    strengths, chance = (0.9, 0.3, -0.3, -0.9), random.Random(11)
    inside = total = 0
    for seed in range(400):
        ranking = rank(simulate_votes(strengths, votes, chance, ties), seed=seed, resamples=200)
        for standing in ranking.standings:
            known = CENTER + POINTS * strengths[int(standing.label[1:])]
            inside += standing.low <= known <= standing.high
            total += 1
    assert 0.93 <= inside / total <= 0.97


@pytest.mark.parametrize(("lanes", "votes"), [(2, 6), (2, 20), (2, 100), (4, 30), (4, 200)])
def test_random_votes_give_no_order(lanes: int, votes: int) -> None:
    chance = random.Random(5)
    wrong = sum(
        orders(rank(simulate_votes([0.0] * lanes, votes, chance), resamples=10)) for _ in range(300)
    )
    assert wrong / 300 <= 0.03  # SIGNIFICANCE is 0.01


def test_the_reported_number_of_missing_votes_is_enough_in_80_percent_of_cases() -> None:
    so_far = [vote("m0", "m1", A)] * 24 + [vote("m0", "m1", B)] * 16
    (pair,) = rank(so_far, resamples=10).neighbors
    assert not pair.ordered
    assert pair.more_votes is not None
    apart, chance = math.log(24 / 16), random.Random(3)
    enough = sum(
        orders(rank(so_far + simulate_votes((apart, 0), pair.more_votes, chance), resamples=10))
        for _ in range(200)
    )
    assert 0.7 <= enough / 200 <= 0.95


def test_clear_votes_give_an_order() -> None:
    ranking = rank(simulate_votes((1.0, 0.0, -1.0), 600, random.Random(1)))
    assert [standing.label for standing in ranking.standings] == ["m0", "m1", "m2"]
    assert [standing.place for standing in ranking.standings] == [1, 2, 3]
    assert [(pair.ordered, pair.more_votes) for pair in ranking.neighbors] == [(True, None)] * 2
    for standing in ranking.standings:
        assert standing.low < standing.rating < standing.high


def test_two_equal_lanes_share_a_place() -> None:
    ranking = rank(simulate_votes((0.8, 0.8, -1.6), 400, random.Random(2)))
    assert [standing.place for standing in ranking.standings] == [1, 1, 3]
    close, clear = ranking.neighbors
    assert (close.ordered, clear.ordered) == (False, True)
    assert close.more_votes is None or close.more_votes > 100


# ── ratings ────────────────────────────────────────────────────────────────


def test_the_difference_of_ratings_is_the_logarithm_of_the_odds() -> None:
    won = [vote("a", "b", A)] * 100 + [vote("a", "b", B)] * 10
    first, second = rank(won).standings
    odds = math.log((100 + 0.5) / (10 + 0.5))  # with one artificial tie
    assert first.rating - second.rating == pytest.approx(POINTS * odds)
    assert first.rating + second.rating == pytest.approx(2 * CENTER)


def test_ties_and_both_bad_are_half_a_win_for_each() -> None:
    halves = [vote("a", "b", A)] * 20 + [vote("a", "b", TIE)] * 6 + [vote("a", "b", BAD)] * 4
    wins = [vote("a", "b", A)] * 25 + [vote("a", "b", B)] * 5
    assert rank(halves).standings[0].rating == pytest.approx(rank(wins).standings[0].rating)


def test_each_pair_is_counted_once_regardless_of_its_order() -> None:
    cast = [
        vote("a", "b", A), vote("b", "a", A), vote("b", "a", B), vote("b", "a", TIE),
        vote("a", "b", BAD), vote("c", "a", A),
    ]  # fmt: skip
    ranking = rank(cast)
    counts = [(p.a, p.b, p.a_wins, p.b_wins, p.ties, p.both_bad) for p in ranking.pairs]
    assert counts == [("a", "b", 2, 1, 1, 1), ("a", "c", 0, 1, 0, 0)]
    assert ranking.votes == 6
    record = {
        standing.label: (standing.wins, standing.losses, standing.ties)
        for standing in ranking.standings
    }
    assert record == {"a": (2, 2, 2), "b": (1, 2, 2), "c": (1, 0, 0)}


def test_a_lane_that_never_lost_has_a_finite_rating_and_a_wide_interval() -> None:
    first, second = rank([vote("a", "b", A)] * 3).standings
    assert first.label == "a"
    assert math.isfinite(first.rating)
    assert first.high - first.low > 100
    assert (first.place, second.place) == (1, 1)


def test_ten_wins_out_of_ten_give_an_order() -> None:
    assert orders(rank([vote("a", "b", A)] * 10))


@pytest.mark.parametrize("votes", [[], [vote("a", "a", A)]])
def test_without_a_vote_between_two_lanes_there_is_no_ranking(votes: list[Vote]) -> None:
    assert rank(votes) == Ranking()


def test_lanes_without_a_chain_of_votes_are_not_ordered() -> None:
    ranking = rank([vote("a", "b", A)] * 30 + [vote("c", "d", A)] * 5)
    assert {standing.label: standing.place for standing in ranking.standings} == {
        "a": 1,
        "c": 1,
        "d": 1,
        "b": 2,
    }
    apart = [pair for pair in ranking.neighbors if not pair.connected]
    assert apart
    assert all(not pair.ordered and pair.more_votes is None for pair in apart)


def test_the_same_votes_give_the_same_ranking() -> None:
    cast = simulate_votes((0.5, 0.0, -0.5), 60, random.Random(4))
    assert rank(cast) == rank(list(reversed(cast)))


def test_lanes_beyond_the_limit_are_counted() -> None:
    cast = [vote("best", f"m{n:02}", A) for n in range(60) for _ in range(2 if n < 49 else 1)]
    ranking = rank(cast, resamples=20)
    assert (len(ranking.standings), ranking.left_out) == (MAX_LANES, 11)
    assert ranking.standings[0].label == "best"
    assert ranking.votes == 49 * 2


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(*[st.sampled_from("abcde")] * 2, st.sampled_from(Outcome)), max_size=40))
def test_any_votes_give_finite_ratings(
    cast: list[tuple[str, str, Outcome]],
) -> None:
    ranking = rank([vote(a, b, outcome) for a, b, outcome in cast], resamples=50)
    ratings = [standing.rating for standing in ranking.standings]
    assert ratings == sorted(ratings, reverse=True)
    for standing in ranking.standings:
        assert all(math.isfinite(x) for x in (standing.rating, standing.low, standing.high))
        assert standing.low <= standing.high
    assert len(ranking.neighbors) == max(0, len(ratings) - 1)
