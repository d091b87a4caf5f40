"""Votes → who is better, how sure that is, and where it can't be said yet.

Bradley–Terry by Newton's method (Hunter 2004, "MM algorithms for generalized Bradley–Terry
models", gives the likelihood). A tie, "both bad" among them, is half a win for each, as
Chatbot Arena counts it (Chiang et al. 2024, arXiv:2403.04132). So that few votes give a finite
answer, the compared pairs share one tie for each lane but one, which for two lanes is Firth's
correction (1993) and takes the small-sample bias away.
Two lanes are ordered by the likelihood-ratio test, with twice as many ties put in beforehand
(Agresti and Coull 1998) and Bonferroni's correction over all pairs.
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
POINTS: Final = 400 / math.log(10)
"""Elo's scale: 400 points more are ten wins to one."""
RESAMPLES: Final = 1000
MAX_LANES: Final = 50
"""Ranked; the others, with the fewest votes, are counted as left out."""
WRONG_ORDER: Final = 0.01
"""Chance that equal lanes are put in any order at all, at one look. People look often."""
POWER: Final = 0.8
"""Chance with which the votes that are said to be missing would be enough."""
MOST_MISSING: Final = 10_000
MOST_STEPS: Final = 100
LONGEST_STEP: Final = 2.0
"""Newton's steps are cut to it, so that none leaps over the top."""
CLOSE: Final = 1e-8
_CELLS: Final = 2_000_000
"""Numbers in one array at a time; more fits are done one batch after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One lane of the table.

    place: 1 and the number of lanes that are proven better. rating, low, high: Elo points and
    their 95 % interval, the average of all that were compared being 1000.
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
    """What was voted between two lanes, both_bad apart from ties."""

    a: str
    b: str
    a_wins: int
    b_wins: int
    ties: int
    both_bad: int

    @property
    def votes(self) -> int:
        """All of them."""
        return self.a_wins + self.b_wins + self.ties + self.both_bad


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbors:
    """Two lanes that follow each other in the table.

    ordered: whether the votes prove the order. more_votes: about how many between the two would,
    if they go on as before; None where ordered, where no chain of votes connects the two
    (connected is False), or where they are so close that MOST_MISSING would not do.
    """

    upper: str
    lower: str
    ordered: bool
    connected: bool
    more_votes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The table, best first; the pairwise matrix holds each compared pair once.

    votes: how many count. left_out: lanes beyond MAX_LANES.
    """

    standings: tuple[Standing, ...] = ()
    neighbors: tuple[Neighbors, ...] = ()
    pairs: tuple[Pair, ...] = ()
    votes: int = 0
    left_out: int = 0


def rank(votes: Iterable[Vote], *, seed: int = 0, resamples: int = RESAMPLES) -> Ranking:
    """The ranking; the same votes give the same one. Takes CPU time: call it in a thread.

    seed, resamples: of the bootstrap.
    """
    voted = tuple(votes)
    labels = _most_voted(voted)
    pairs = _pairs(voted, set(labels))
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
    every = {label for vote in voted for label in (vote.a, vote.b)}
    return Ranking(
        standings=standings,
        neighbors=tuple(tests.neighbors(upper, lower) for upper, lower in pairwise(order)),
        pairs=pairs,
        votes=sum(pair.votes for pair in pairs),
        left_out=len(every) - len(labels),
    )


def _most_voted(votes: Sequence[Vote]) -> list[str]:
    """The lanes that are ranked, by name."""
    counts = Counter(label for vote in votes for label in (vote.a, vote.b))
    most = sorted(counts, key=lambda label: (-counts[label], label))[:MAX_LANES]
    return sorted(most)


def _pairs(votes: Sequence[Vote], labels: set[str]) -> tuple[Pair, ...]:
    counts: Counter[tuple[str, str, Outcome]] = Counter()
    for vote in votes:
        if vote.a == vote.b or vote.a not in labels or vote.b not in labels:
            continue
        if vote.a < vote.b:
            counts[vote.a, vote.b, vote.outcome] += 1
        else:
            counts[vote.b, vote.a, _OTHER_WAY.get(vote.outcome, vote.outcome)] += 1
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


_OTHER_WAY: Final = {Outcome.A: Outcome.B, Outcome.B: Outcome.A}


def _record(label: str, pairs: Sequence[Pair]) -> dict[str, int]:
    as_a = [pair for pair in pairs if pair.a == label]
    as_b = [pair for pair in pairs if pair.b == label]
    return {
        "wins": sum(p.a_wins for p in as_a) + sum(p.b_wins for p in as_b),
        "losses": sum(p.b_wins for p in as_a) + sum(p.a_wins for p in as_b),
        "ties": sum(p.ties + p.both_bad for p in (*as_a, *as_b)),
    }


class _Fits:
    """The likelihood of these pairs, fitted as often as it takes."""

    def __init__(self, labels: Sequence[str], pairs: Sequence[Pair]) -> None:
        import numpy

        self._np = numpy
        self._labels = labels
        at = {label: place for place, label in enumerate(labels)}
        self._first = numpy.array([at[pair.a] for pair in pairs])
        self._second = numpy.array([at[pair.b] for pair in pairs])
        self._counts = numpy.array(
            [(p.a_wins, p.b_wins, p.ties + p.both_bad) for p in pairs], dtype=float
        )
        self._groups = _groups(len(labels), zip(self._first, self._second, strict=True))
        self._shared_ties = (len(labels) - max(self._groups) - 1) / len(pairs)

    def ratings(self) -> list[float]:
        """Elo points of each lane."""
        found = self._strengths(self._scores(self._counts[None], self._shared_ties))
        return [CENTER + POINTS * float(strength) for strength in found[0]]

    def interval(self, seed: int, resamples: int) -> tuple[list[float], list[float]]:
        """95 % bootstrap interval of each lane, from votes drawn again with the shared ties.

        Without those a lane that won all of three votes would win all of them always.
        """
        np = self._np
        halves = np.array([0.5, 0.5, 0.0]) * self._shared_ties
        chances = (self._counts + halves).ravel()
        chances /= chances.sum()
        drawn = np.random.default_rng(seed).multinomial(
            int(self._counts.sum()), chances, size=resamples
        )
        counts = drawn.reshape(resamples, *self._counts.shape).astype(float)
        found = [
            self._strengths(self._scores(some, self._shared_ties)) for some in self._batches(counts)
        ]
        low, high = np.quantile(np.concatenate(found), [0.025, 0.975], axis=0)
        return (
            [CENTER + POINTS * float(each) for each in low],
            [CENTER + POINTS * float(each) for each in high],
        )

    def tests(self) -> _Tests:
        """Every connected pair: twice the log of how much likelier the votes are if they differ."""
        np, lanes = self._np, len(self._labels)
        scores = self._scores(self._counts[None], 2 * self._shared_ties)
        free = self._strengths(scores)
        best = self._likelihood(scores, free)[0]
        groups = self._groups
        every = [(a, b) for a, b in combinations(range(lanes), 2) if groups[a] == groups[b]]
        ratios: list[float] = []
        for some in self._batches(np.array(every)):
            equal = self._strengths_of_equals(scores[0], some)
            told = self._likelihood(np.broadcast_to(scores, (len(some), lanes, lanes)), equal)
            ratios += [max(0.0, 2 * float(best - each)) for each in told]
        ratio = dict(zip(every, ratios, strict=True))
        return _Tests(self._labels, [float(each) for each in free[0]], self._groups, ratio)

    def _batches(self, many: Array) -> Iterable[Array]:
        size = max(1, _CELLS // len(self._labels) ** 2)
        return (many[start : start + size] for start in range(0, len(many), size))

    def _scores(self, counts: Array, shared_ties: float) -> Array:
        """(fits, lanes, lanes): how often each beat each, ties and the shared ones as halves."""
        np, lanes = self._np, len(self._labels)
        ties = (counts[:, :, 2] + shared_ties) / 2
        scores: Array = np.zeros((len(counts), lanes, lanes))
        scores[:, self._first, self._second] = counts[:, :, 0] + ties
        scores[:, self._second, self._first] = counts[:, :, 1] + ties
        return scores

    def _strengths(self, scores: Array) -> Array:
        """(fits, lanes): logarithms of strength, each connected group centered on 0."""
        np, lanes = self._np, len(self._labels)
        games = scores + scores.transpose(0, 2, 1)
        played = games.sum(axis=2)
        groups = np.array(self._groups)
        # A group as a whole has no strength of its own, nor has a lane without games.
        pinned = (groups[:, None] == groups) + (played == 0)[:, :, None] * np.eye(lanes)
        strengths: Array = np.zeros(played.shape)
        for _ in range(MOST_STEPS):
            chance = _chance(np, strengths)
            slope = (scores - games * chance).sum(axis=2)
            weight = games * chance * (1 - chance)
            curve = weight.sum(axis=2)[:, :, None] * np.eye(lanes) - weight + pinned
            step = np.linalg.solve(curve, slope[:, :, None])[:, :, 0]
            longest = np.abs(step).max()
            strengths += step * min(1.0, LONGEST_STEP / max(longest, CLOSE))
            if longest < CLOSE:
                break
        return strengths

    def _strengths_of_equals(self, scores: Array, pairs: Array) -> Array:
        """(pairs, lanes): the best strengths where the two of each pair are the same lane."""
        np, lanes = self._np, len(scores)
        fits = np.arange(len(pairs))
        one, other = pairs[:, 0], pairs[:, 1]
        merged = np.broadcast_to(scores, (len(pairs), lanes, lanes)).copy()
        merged[fits, one] += merged[fits, other]
        merged[fits, :, one] += merged[fits, :, other]
        merged[fits, other] = merged[fits, :, other] = 0
        merged[fits, one, one] = 0
        found: Array = self._strengths(merged)
        found[fits, other] = found[fits, one]
        return found

    def _likelihood(self, scores: Array, strengths: Array) -> Array:
        told: Array = (scores * self._np.log(_chance(self._np, strengths))).sum(axis=(1, 2))
        return told


class _Tests:
    """What the votes prove. ratio: of each pair of lanes, the lower number first."""

    def __init__(
        self,
        labels: Sequence[str],
        strengths: Sequence[float],
        groups: Sequence[int],
        ratio: dict[tuple[int, int], float],
    ) -> None:
        self._labels, self._strengths, self._groups = labels, strengths, groups
        self._ratio = ratio
        self._sure = NormalDist().inv_cdf(1 - WRONG_ORDER / len(ratio) / 2)

    def better(self, one: int, other: int) -> bool:
        """Whether it is proven."""
        return self._strengths[one] > self._strengths[other] and self._proven(one, other)

    def neighbors(self, upper: int, lower: int) -> Neighbors:
        """What can be said of the two."""
        ordered = self._proven(upper, lower)
        connected = self._groups[upper] == self._groups[lower]
        return Neighbors(
            upper=self._labels[upper],
            lower=self._labels[lower],
            ordered=ordered,
            connected=connected,
            more_votes=None if ordered or not connected else self._missing(upper, lower),
        )

    def _proven(self, one: int, other: int) -> bool:
        return self._of(one, other) > self._sure**2

    def _of(self, one: int, other: int) -> float:
        """Lanes that no chain of votes connects differ by nothing."""
        return self._ratio.get((min(one, other), max(one, other)), 0.0)

    def _missing(self, upper: int, lower: int) -> int | None:
        """Each vote adds, on average, twice its divergence from a coin's to the ratio."""
        chance = 1 / (1 + math.exp(self._strengths[lower] - self._strengths[upper]))
        gain = 2 * (math.log(2) + sum(p * math.log(p) for p in (chance, 1 - chance) if p > 0))
        needed = (self._sure + NormalDist().inv_cdf(POWER)) ** 2
        missing = needed - self._of(upper, lower)
        if gain * MOST_MISSING < missing:
            return None
        return max(1, math.ceil(missing / gain))


def _chance(np: Any, strengths: Array) -> Array:
    """(fits, lanes, lanes): how likely each beats each."""
    chance: Array = 1 / (1 + np.exp(strengths[:, None, :] - strengths[:, :, None]))
    return chance


def _groups(lanes: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """Lane → the number of its group, whose members a chain of votes connects."""
    leader = list(range(lanes))

    def lead(lane: int) -> int:
        while leader[lane] != lane:
            lane = leader[lane]
        return lane

    for one, other in pairs:
        leader[lead(one)] = lead(other)
    numbers: dict[int, int] = {}
    return [numbers.setdefault(lead(lane), len(numbers)) for lane in range(lanes)]
