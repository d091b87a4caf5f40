"""Builds the lanes of a run from the selected models and the settings that they share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from akash_gradio.compare.plan import Lane
from akash_gradio.domain.chat import Sampling

MAX_STOP_SEQUENCES: Final = 4
"""The limit of one request. Source: OpenAI API reference, chat completions, `stop`."""
REASONING_EFFORT_PATTERN: Final = re.compile(r"[a-z]{2,20}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A selected model with its own settings. The same model may be selected twice.

    Attributes:
        model: Catalog id.
        temperature: 0 to 2. In this and all following fields, None uses the shared setting.
        top_p: 0 to 1.
        max_tokens: Upper bound of an answer's length.
        seed: Sent to the endpoint.
        stop: Up to MAX_STOP_SEQUENCES texts.
        presence_penalty: -2 to 2.
        frequency_penalty: -2 to 2.
        reasoning_effort: Matches REASONING_EFFORT_PATTERN.
        system: System prompt.
        endpoint: Alias of the endpoint to use; None for any.
    """

    model: str
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    reasoning_effort: str | None = None
    system: str | None = None
    endpoint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSettings:
    """Settings for the candidates without their own. None sends the catalog's value.

    Attributes:
        temperatures: Every candidate without its own gets a lane for each value.
        top_ps: Every candidate without its own gets a lane for each value.
        max_tokens: Upper bound of an answer's length.
        seed: Sent to the endpoints.
        system: System prompt.
    """

    temperatures: tuple[float, ...] = ()
    top_ps: tuple[float, ...] = ()
    max_tokens: int | None = None
    seed: int | None = None
    system: str = ""


_NEVER_SHARED: Final = ("stop", "presence_penalty", "frequency_penalty", "reasoning_effort")
"""Settings of a candidate that `SharedSettings` doesn't have."""


def build_lanes(candidates: tuple[Candidate, ...], shared: SharedSettings) -> tuple[Lane, ...]:
    """Return the lanes of a run, in the order of the candidates."""
    return tuple(
        _build_lane(candidate, shared, temperature, top_p)
        for candidate in candidates
        for temperature, top_p in product(
            _values(candidate.temperature, shared.temperatures),
            _values(candidate.top_p, shared.top_ps),
        )
    )


def _values(own: float | None, shared: tuple[float, ...]) -> tuple[float | None, ...]:
    if own is not None:
        return (own,)
    return tuple(dict.fromkeys(shared)) or (None,)


def _build_lane(
    candidate: Candidate, shared: SharedSettings, temperature: float | None, top_p: float | None
) -> Lane:
    values: dict[str, Any] = {
        "temperature": temperature,
        "top_p": top_p,
        "max_tokens": _own_or_shared(candidate.max_tokens, shared.max_tokens),
        "seed": _own_or_shared(candidate.seed, shared.seed),
        **{name: getattr(candidate, name) for name in _NEVER_SHARED},
    }
    sampling = Sampling(**{name: value for name, value in values.items() if value is not None})
    system = shared.system if candidate.system is None else candidate.system
    return Lane(
        model=candidate.model, sampling=sampling, system=system, endpoint=candidate.endpoint
    )


def _own_or_shared(own: int | None, shared: int | None) -> int | None:
    return shared if own is None else own
