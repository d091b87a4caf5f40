"""Every probe and every observation, in the order in which they are told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from akash_gradio.check.probe import Level, Observation, Probe
from akash_gradio.check.probes import (
    capabilities,
    completion,
    concurrency,
    connectivity,
    context_length,
    model_list,
    parameters,
    streaming,
    text_fidelity,
)

FAMILIES: Final = (
    connectivity,
    model_list,
    completion,
    streaming,
    parameters,
    text_fidelity,
    context_length,
    capabilities,
    concurrency,
)
PROBES: Final[tuple[Probe, ...]] = tuple(probe for family in FAMILIES for probe in family.PROBES)
OBSERVATIONS: Final[Mapping[str, Observation]] = {
    observation.name: observation for family in FAMILIES for observation in family.OBSERVATIONS
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The most that a check costs the endpoint's owner."""

    calls: int
    tokens_in: int
    tokens_out: int


def chosen(level: Level) -> tuple[Probe, ...]:
    """The probes of a level."""
    return tuple(probe for probe in PROBES if probe.level <= level)


def cost_of(probes: Iterable[Probe]) -> Cost:
    """What these cost together; an observation that several look at is made once."""
    names = {name for probe in probes for name in probe.sees}
    made = [OBSERVATIONS[name] for name in sorted(names)]
    return Cost(
        calls=sum(one.calls for one in made),
        tokens_in=sum(one.tokens_in for one in made),
        tokens_out=sum(one.tokens_out for one in made),
    )
