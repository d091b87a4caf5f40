"""What is compared: models, each with what is its own, and what holds for all of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from akash_gradio.compare.plan import Lane
from akash_gradio.domain.chat import Sampling

MAX_STOP_SEQUENCES: Final = 4
"""Of a request, by OpenAI's protocol."""
REASONING_EFFORT_PATTERN: Final = re.compile(r"[a-z]{2,20}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model; None leaves what holds for all. The same model may stand there twice.

    temperature: 0 to 2. top_p: 0 to 1. max_tokens: of an answer. stop: up to four texts.
    Penalties: -2 to 2. endpoint: the alias that is to answer, None for any.
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
    """What holds where a candidate has nothing of its own. None sends the catalog's value.

    temperatures, top_ps: several make a lane each, of every candidate without its own.
    """

    temperatures: tuple[float, ...] = ()
    top_ps: tuple[float, ...] = ()
    max_tokens: int | None = None
    seed: int | None = None
    system: str = ""


_OWN_ALONE: Final = ("stop", "presence_penalty", "frequency_penalty", "reasoning_effort")
"""What holds for one candidate and never for all."""


def build_lanes(candidates: tuple[Candidate, ...], common: SharedSettings) -> tuple[Lane, ...]:
    """The lanes of a run, in the order of the candidates."""
    return tuple(
        _lane(candidate, common, temperature, top_p)
        for candidate in candidates
        for temperature, top_p in product(
            _ways(candidate.temperature, common.temperatures), _ways(candidate.top_p, common.top_ps)
        )
    )


def _ways(own: float | None, common: tuple[float, ...]) -> tuple[float | None, ...]:
    if own is not None:
        return (own,)
    return tuple(dict.fromkeys(common)) or (None,)


def _lane(
    candidate: Candidate, common: SharedSettings, temperature: float | None, top_p: float | None
) -> Lane:
    own: dict[str, Any] = {
        "temperature": temperature,
        "top_p": top_p,
        "max_tokens": _own(candidate.max_tokens, common.max_tokens),
        "seed": _own(candidate.seed, common.seed),
        **{name: getattr(candidate, name) for name in _OWN_ALONE},
    }
    sampling = Sampling(**{name: value for name, value in own.items() if value is not None})
    system = common.system if candidate.system is None else candidate.system
    return Lane(
        model=candidate.model, sampling=sampling, system=system, endpoint=candidate.endpoint
    )


def _own(own: int | None, common: int | None) -> int | None:
    return common if own is None else own
