"""Ranks lanes by votes, with confidence intervals, and tests which orders the votes prove.

The model is Bradley-Terry, fitted by Newton's method (Hunter 2004, "MM algorithms for generalized
Bradley-Terry models", gives the likelihood). A tie or "both bad" counts as half a win for each
lane, as in Chatbot Arena (Chiang et al. 2024, arXiv:2403.04132). To keep ratings finite with few
votes, one artificial tie for each lane but one is spread over the compared pairs; for two lanes
this is Firth's correction (1993), which removes the small-sample bias.
Two lanes are ordered by a likelihood-ratio test with twice as many artificial ties (Agresti and
Coull 1998) and Bonferroni's correction over all pairs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final

from akash_gradio.compare.votes.store import Outcome, Vote

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]

CENTER: Final = 1000.0
"""The average rating of all compared lanes."""
POINTS: Final = 400 / math.log(10)
"""Points per unit of log strength. On Elo's scale, 400 points more mean ten wins to one."""
RESAMPLES: Final = 1000
"""Bootstrap samples."""
MAX_LANES: Final = 50
"""Lanes that are ranked; those with the fewest votes are left out."""
SIGNIFICANCE: Final = 0.01
"""Probability, for one ranking, that any lanes of equal strength are ordered. It is low because a
ranking is computed again after every few votes."""
POWER: Final = 0.8
"""Probability that the reported number of missing votes is enough."""
MAX_MISSING_VOTES: Final = 10_000
"""A larger number of missing votes isn't reported."""
MAX_ITERATIONS: Final = 100
MAX_STEP: Final = 2.0
"""Upper bound of a Newton step, so that none overshoots the maximum."""
TOLERANCE: Final = 1e-8
"""The fit ends with a Newton step below it."""
_MAX_ARRAY_SIZE: Final = 2_000_000
"""Numbers in one array; larger sets of fits are split into batches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One lane of the ranking.

    Attributes:
        label: The lane's label.
        place: 1 plus the number of lanes that are proven better.
        rating: Elo points.
        low: Lower bound of the 95 % confidence interval.
        high: Upper bound of the 95 % confidence interval.
        wins: Votes for this lane.
        losses: Votes for the other lane.
        ties: Other votes, "both bad" included.
    """

    label: str
    place: int
    rating: float
    low: float
    high: float
    wins: int
    losses: int
    ties: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The votes between two lanes."""

    a: str
    b: str
    a_wins: int
    b_wins: int
    ties: int
    both_bad: int

    @property
    def votes(self) -> int:
        """The number of votes."""
        return self.a_wins + self.b_wins + self.ties + self.both_bad


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbors:
    """Two lanes that follow each other in the ranking.

    Attributes:
        upper: Label of the higher one.
        lower: Label of the lower one.
        ordered: Whether the votes prove the order.
        connected: Whether a chain of votes connects the two.
        more_votes: About how many more votes between the two would prove it, if they continue as
            before. None if ordered or not connected, or if more than MAX_MISSING_VOTES are missing.
    """

    upper: str
    lower: str
    ordered: bool
    connected: bool
    more_votes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The ranking.

    Attributes:
        standings: Best first.
        neighbors: Each lane with the next one.
        pairs: Each compared pair once, `a` before `b` in the alphabet.
        votes: How many votes count.
        left_out: Number of lanes beyond MAX_LANES.
    """

    standings: tuple[Standing, ...] = ()
    neighbors: tuple[Neighbors, ...] = ()
    pairs: tuple[Pair, ...] = ()
    votes: int = 0
    left_out: int = 0


def rank(votes: Iterable[Vote], *, seed: int = 0, resamples: int = RESAMPLES) -> Ranking:
    """Rank the lanes; the same votes give the same ranking. CPU-bound: call it in a thread.

    Args:
        votes: All votes. Those of a lane against itself don't count.
        seed: Seed of the bootstrap.
        resamples: Number of bootstrap samples.
    """
    votes = tuple(votes)
    labels = _most_voted(votes)
    pairs = _pairs(votes, set(labels))
    if not pairs:
        return Ranking()
    fits = _Fits(labels, pairs)
    ratings = fits.ratings()
    low, high = fits.interval(seed, resamples)
    order = sorted(range(len(labels)), key=lambda lane: (-ratings[lane], labels[lane]))
    tests = fits.tests()
    standings = tuple(
        Standing(
            label=labels[lane],
            place=1 + sum(tests.better(other, lane) for other in order),
            rating=ratings[lane],
            low=low[lane],
            high=high[lane],
            **_record(labels[lane], pairs),
        )
        for lane in order
    )
    all_labels = {label for vote in votes for label in (vote.a, vote.b)}
    return Ranking(
        standings=standings,
        neighbors=tuple(tests.neighbors(upper, lower) for upper, lower in pairwise(order)),
        pairs=pairs,
        votes=sum(pair.votes for pair in pairs),
        left_out=len(all_labels) - len(labels),
    )


def _most_voted(votes: Sequence[Vote]) -> list[str]:
    """Return the lanes to rank, in alphabetical order."""
    counts = Counter(label for vote in votes for label in (vote.a, vote.b))
    by_votes = sorted(counts, key=lambda label: (-counts[label], label))
    return sorted(by_votes[:MAX_LANES])


def _pairs(votes: Sequence[Vote], labels: set[str]) -> tuple[Pair, ...]:
    counts: Counter[tuple[str, str, Outcome]] = Counter()
    for vote in votes:
        if vote.a == vote.b or vote.a not in labels or vote.b not in labels:
            continue
        if vote.a < vote.b:
            counts[vote.a, vote.b, vote.outcome] += 1
        else:
            counts[vote.b, vote.a, _MIRRORED.get(vote.outcome, vote.outcome)] += 1
    return tuple(
        Pair(
            a=a,
            b=b,
            a_wins=counts[a, b, Outcome.A],
            b_wins=counts[a, b, Outcome.B],
            ties=counts[a, b, Outcome.TIE],
            both_bad=counts[a, b, Outcome.BOTH_BAD],
        )
        for a, b in sorted({(a, b) for a, b, _ in counts})
    )


_MIRRORED: Final = {Outcome.A: Outcome.B, Outcome.B: Outcome.A}


def _record(label: str, pairs: Sequence[Pair]) -> dict[str, int]:
    as_a = [pair for pair in pairs if pair.a == label]
    as_b = [pair for pair in pairs if pair.b == label]
    return {
        "wins": sum(p.a_wins for p in as_a) + sum(p.b_wins for p in as_b),
        "losses": sum(p.b_wins for p in as_a) + sum(p.a_wins for p in as_b),
        "ties": sum(p.ties + p.both_bad for p in (*as_a, *as_b)),
    }


class _Fits:
    """Fits the Bradley-Terry model to these pairs.

    In the comments on shapes, `fits` is the number of models that are fitted at once.
    """

    def __init__(self, labels: Sequence[str], pairs: Sequence[Pair]) -> None:
        import numpy

        self._np = numpy
        self._labels = labels
        index = {label: position for position, label in enumerate(labels)}
        self._first = numpy.array([index[pair.a] for pair in pairs])
        self._second = numpy.array([index[pair.b] for pair in pairs])
        self._counts = numpy.array(
            [(p.a_wins, p.b_wins, p.ties + p.both_bad) for p in pairs], dtype=float
        )
        self._groups = _groups(len(labels), zip(self._first, self._second, strict=True))
        self._artificial_ties = (len(labels) - max(self._groups) - 1) / len(pairs)

    def ratings(self) -> list[float]:
        """Return the Elo points of each lane."""
        strengths = self._strengths(self._scores(self._counts[None], self._artificial_ties))
        return [CENTER + POINTS * float(strength) for strength in strengths[0]]

    def interval(self, seed: int, resamples: int) -> tuple[list[float], list[float]]:
        """Return the bounds of each lane's 95 % bootstrap interval.

        Votes are resampled together with the artificial ties. Without those, a lane that won all
        of three votes would win all votes of every sample.
        """
        np = self._np
        halves = np.array([0.5, 0.5, 0.0]) * self._artificial_ties
        chances = (self._counts + halves).ravel()
        chances /= chances.sum()
        samples = np.random.default_rng(seed).multinomial(
            int(self._counts.sum()), chances, size=resamples
        )
        counts = samples.reshape(resamples, *self._counts.shape).astype(float)
        strengths = [
            self._strengths(self._scores(batch, self._artificial_ties))
            for batch in self._batches(counts)
        ]
        low, high = np.quantile(np.concatenate(strengths), [0.025, 0.975], axis=0)
        return (
            [CENTER + POINTS * float(strength) for strength in low],
            [CENTER + POINTS * float(strength) for strength in high],
        )

    def tests(self) -> _Tests:
        """Compute the likelihood ratio of every connected pair.

        It is twice the logarithm of how much likelier the votes are if the two lanes differ.
        """
        np, lanes = self._np, len(self._labels)
        scores = self._scores(self._counts[None], 2 * self._artificial_ties)
        free = self._strengths(scores)
        best = self._likelihood(scores, free)[0]
        groups = self._groups
        pairs = [(a, b) for a, b in combinations(range(lanes), 2) if groups[a] == groups[b]]
        ratios: list[float] = []
        for batch in self._batches(np.array(pairs)):
            equal = self._strengths_if_equal(scores[0], batch)
            repeated = np.broadcast_to(scores, (len(batch), lanes, lanes))
            restricted = self._likelihood(repeated, equal)
            ratios += [max(0.0, 2 * float(best - likelihood)) for likelihood in restricted]
        ratio = dict(zip(pairs, ratios, strict=True))
        strengths = [float(strength) for strength in free[0]]
        return _Tests(self._labels, strengths, self._groups, ratio)

    def _batches(self, rows: Array) -> Iterable[Array]:
        size = max(1, _MAX_ARRAY_SIZE // len(self._labels) ** 2)
        return (rows[start : start + size] for start in range(0, len(rows), size))

    def _scores(self, counts: Array, artificial_ties: float) -> Array:
        """Return each lane's wins against each other lane, ties as halves: (fits, lanes, lanes)."""
        np, lanes = self._np, len(self._labels)
        ties = (counts[:, :, 2] + artificial_ties) / 2
        scores: Array = np.zeros((len(counts), lanes, lanes))
        scores[:, self._first, self._second] = counts[:, :, 0] + ties
        scores[:, self._second, self._first] = counts[:, :, 1] + ties
        return scores

    def _strengths(self, scores: Array) -> Array:
        """Return log strengths, centered on 0 in each connected group: (fits, lanes)."""
        np, lanes = self._np, len(self._labels)
        games = scores + scores.transpose(0, 2, 1)
        played = games.sum(axis=2)
        groups = np.array(self._groups)
        # The strength of a group as a whole is undetermined, and that of a lane without games.
        pinned = (groups[:, None] == groups) + (played == 0)[:, :, None] * np.eye(lanes)
        strengths: Array = np.zeros(played.shape)
        for _ in range(MAX_ITERATIONS):
            chance = _chance(np, strengths)
            slope = (scores - games * chance).sum(axis=2)
            weight = games * chance * (1 - chance)
            curve = weight.sum(axis=2)[:, :, None] * np.eye(lanes) - weight + pinned
            step = np.linalg.solve(curve, slope[:, :, None])[:, :, 0]
            longest = np.abs(step).max()
            strengths += step * min(1.0, MAX_STEP / max(longest, TOLERANCE))
            if longest < TOLERANCE:
                break
        return strengths

    def _strengths_if_equal(self, scores: Array, pairs: Array) -> Array:
        """Return the fitted strengths if the lanes of each pair are equal: (pairs, lanes)."""
        np, lanes = self._np, len(scores)
        fits = np.arange(len(pairs))
        first, second = pairs[:, 0], pairs[:, 1]
        merged = np.broadcast_to(scores, (len(pairs), lanes, lanes)).copy()
        merged[fits, first] += merged[fits, second]
        merged[fits, :, first] += merged[fits, :, second]
        merged[fits, second] = merged[fits, :, second] = 0
        merged[fits, first, first] = 0
        strengths: Array = self._strengths(merged)
        strengths[fits, second] = strengths[fits, first]
        return strengths

    def _likelihood(self, scores: Array, strengths: Array) -> Array:
        log_chances = self._np.log(_chance(self._np, strengths))
        likelihood: Array = (scores * log_chances).sum(axis=(1, 2))
        return likelihood


class _Tests:
    """Tests which orders the votes prove."""

    def __init__(
        self,
        labels: Sequence[str],
        strengths: Sequence[float],
        groups: Sequence[int],
        ratio: dict[tuple[int, int], float],
    ) -> None:
        self._labels, self._strengths, self._groups = labels, strengths, groups
        self._ratio = ratio
        self._threshold = NormalDist().inv_cdf(1 - SIGNIFICANCE / len(ratio) / 2)

    def better(self, lane: int, other: int) -> bool:
        """Return whether the votes prove that a lane is better than the other."""
        return self._strengths[lane] > self._strengths[other] and self._proven(lane, other)

    def neighbors(self, upper: int, lower: int) -> Neighbors:
        """Describe the order of two lanes."""
        ordered = self._proven(upper, lower)
        connected = self._groups[upper] == self._groups[lower]
        return Neighbors(
            upper=self._labels[upper],
            lower=self._labels[lower],
            ordered=ordered,
            connected=connected,
            more_votes=None if ordered or not connected else self._missing_votes(upper, lower),
        )

    def _proven(self, lane: int, other: int) -> bool:
        return self._likelihood_ratio(lane, other) > self._threshold**2

    def _likelihood_ratio(self, lane: int, other: int) -> float:
        """Return the likelihood ratio, 0 if no chain of votes connects the lanes."""
        return self._ratio.get((min(lane, other), max(lane, other)), 0.0)

    def _missing_votes(self, upper: int, lower: int) -> int | None:
        """Estimate how many more votes prove the order, None for more than MAX_MISSING_VOTES.

        On average, a vote adds twice its Kullback-Leibler divergence from a coin toss to the ratio.
        """
        chance = 1 / (1 + math.exp(self._strengths[lower] - self._strengths[upper]))
        gain = 2 * (math.log(2) + sum(p * math.log(p) for p in (chance, 1 - chance) if p > 0))
        needed = (self._threshold + NormalDist().inv_cdf(POWER)) ** 2
        missing = needed - self._likelihood_ratio(upper, lower)
        if gain * MAX_MISSING_VOTES < missing:
            return None
        return max(1, math.ceil(missing / gain))


def _chance(np: Any, strengths: Array) -> Array:
    """Return the probability that each lane beats each other lane: (fits, lanes, lanes)."""
    chance: Array = 1 / (1 + np.exp(strengths[:, None, :] - strengths[:, :, None]))
    return chance


def _groups(lanes: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """Return the group number of each lane. Chains of votes connect the lanes of a group."""
    parents = list(range(lanes))

    def root(lane: int) -> int:
        while parents[lane] != lane:
            lane = parents[lane]
        return lane

    for a, b in pairs:
        parents[root(a)] = root(b)
    numbers: dict[int, int] = {}
    return [numbers.setdefault(root(lane), len(numbers)) for lane in range(lanes)]
