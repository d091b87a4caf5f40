"""All probes and observations, in the order of the report."""

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
    """Upper bounds of what a check costs: requests, prompt tokens and completion tokens."""

    calls: int
    tokens_in: int
    tokens_out: int


def probes_of(level: Level) -> tuple[Probe, ...]:
    """Return the probes of a level, including those of lower levels."""
    return tuple(probe for probe in PROBES if probe.level <= level)


def cost_of(probes: Iterable[Probe]) -> Cost:
    """Return the cost of probes, counting each shared observation once."""
    names = {name for probe in probes for name in probe.observations}
    observations = [OBSERVATIONS[name] for name in sorted(names)]
    return Cost(
        calls=sum(observation.calls for observation in observations),
        tokens_in=sum(observation.tokens_in for observation in observations),
        tokens_out=sum(observation.tokens_out for observation in observations),
    )
