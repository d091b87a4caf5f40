"""Routing policies: which of the candidates gets a request.

The state of a policy (`CurrentWeights`) belongs to the endpoint pool, one for each model and
priority; the functions here advance it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

CurrentWeights: TypeAlias = dict[str, int]
"""The current weight of smooth weighted round robin, by alias."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An endpoint that can take a request now.

    Attributes:
        weight: Above 0.
        in_flight: Requests that it is answering.
    """

    alias: str
    weight: int
    in_flight: int = 0


def weighted(candidates: Sequence[Candidate], weights: CurrentWeights) -> str:
    """Choose by smooth weighted round robin.

    In a full cycle (as many choices as the sum of the weights) each candidate is chosen exactly
    `weight` times, spread over the cycle. An absent endpoint keeps its current weight, and its
    share is divided among the others by their weights.
    Source: nginx, ngx_http_upstream_round_robin.c (2012).

    Args:
        candidates: At least one.
        weights: Changed in place.

    Returns:
        The alias of the chosen candidate.
    """
    total = 0
    for candidate in candidates:
        weights[candidate.alias] = weights.get(candidate.alias, 0) + candidate.weight
        total += candidate.weight
    chosen = max(candidates, key=lambda candidate: weights[candidate.alias])
    weights[chosen.alias] -= total
    return chosen.alias


def least_busy(candidates: Sequence[Candidate], weights: CurrentWeights) -> str:
    """Choose the candidate with the fewest requests in flight per weight.

    Ties are broken by `weighted`.
    """
    loads = [candidate.in_flight / candidate.weight for candidate in candidates]
    least = min(loads)
    tied = [candidate for candidate, load in zip(candidates, loads, strict=True) if load == least]
    return weighted(tied, weights)


Policy: TypeAlias = Callable[[Sequence[Candidate], CurrentWeights], str]

POLICIES: Final[dict[str, Policy]] = {"weighted": weighted, "least_busy": least_busy}
"""The policies by the values of `ROUTING`."""
