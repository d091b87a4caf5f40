"""Which of the endpoints that can answer gets the request. Chooses, and only that.

The state of a policy (`CurrentWeights`) lives with the gateway, one for each model and priority;
the functions here advance it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

CurrentWeights: TypeAlias = dict[str, int]
"""Alias → how much its turn is due. Live state, changed by the policies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An endpoint that can take a request now. weight: above 0. in_flight: its requests now."""

    alias: str
    weight: int
    in_flight: int = 0


def weighted(candidates: Sequence[Candidate], turns: CurrentWeights) -> str:
    """The alias whose turn it is, by smooth weighted round robin.

    Over a full cycle (as many choices as the sum of the weights) each is chosen exactly
    `weight` times, and never in one lump. Who is absent keeps its turn, and its share is
    split by the others' weights. candidates: at least one.
    Source: nginx, ngx_http_upstream_round_robin.c (2012).
    """
    total = 0
    for candidate in candidates:
        turns[candidate.alias] = turns.get(candidate.alias, 0) + candidate.weight
        total += candidate.weight
    chosen = max(candidates, key=lambda candidate: turns[candidate.alias])
    turns[chosen.alias] -= total
    return chosen.alias


def least_busy(candidates: Sequence[Candidate], turns: CurrentWeights) -> str:
    """The alias with the fewest requests in flight for its weight; ties go by the smooth turn."""
    least = min(candidate.in_flight / candidate.weight for candidate in candidates)
    tied = [one for one in candidates if one.in_flight / one.weight == least]
    return weighted(tied, turns)


Policy: TypeAlias = Callable[[Sequence[Candidate], CurrentWeights], str]

POLICIES: Final[dict[str, Policy]] = {"weighted": weighted, "least_busy": least_busy}
"""By the values of `ROUTING`."""
