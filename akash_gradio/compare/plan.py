"""What a run asks: every prompt of every lane, so many times, in an order that is fixed."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from akash_gradio.compare.checks import Check, CheckKind
from akash_gradio.compare.prompt_set import Prompt
from akash_gradio.domain.chat import Default, Sampling

MAX_CALLS: Final = 100_000
MAX_LANES: Final = 12
MAX_REPEATS: Final = 100
_NAMES: Final = {
    "max_tokens": "max tokens",
    "presence_penalty": "presence penalty",
    "frequency_penalty": "frequency penalty",
    "reasoning_effort": "effort",
}
"""As the page says them, which calls lanes by them in votes."""
_SYSTEM_SHOWN: Final = 30
"""Characters of a system prompt in what a lane is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One column: a model with its parameters. endpoint: the alias it is pinned to, or None."""

    model: str
    sampling: Sampling = field(default_factory=Sampling)
    system: str = ""
    endpoint: str | None = None

    def label(self, *, seed: bool = False, system: bool = False) -> str:
        """The model with its parameters, `m, temperature 0.2`; seed, system: with these, too.

        Another lane of a run may be called the same; `Plan.labels` tells them apart.
        """
        return ", ".join([self.model, *self.parts(seed=seed, system=system)])

    def parts(self, *, seed: bool = False, system: bool = False) -> Iterator[str]:
        """What follows the model in its label."""
        for name, value in sampling_dict(self.sampling).items():
            if name != "seed" or seed:
                yield _shown(_NAMES.get(name, name), value)
        if self.endpoint:
            yield f"on {self.endpoint}"
        if system:
            yield f"system “{_beginning(self.system)}”" if self.system else "no system prompt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One call, with all that it takes. number: its place in the plan; repeat: from 0."""

    number: int
    prompt: Prompt
    lane: Lane
    repeat: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole run. seed: of the order. stream: whether the endpoints are asked for streams."""

    prompts: tuple[Prompt, ...]
    lanes: tuple[Lane, ...]
    repeats: int = 1
    seed: int = 0
    stream: bool = True

    @property
    def calls(self) -> int:
        """How many tasks there are; they are numbered from 0."""
        return len(self.prompts) * len(self.lanes) * self.repeats

    @property
    def labels(self) -> tuple[str, ...]:
        """What each lane is called, none like another: with its seed and the beginning of its
        system prompt where they differ between lanes, and with a number where nothing does."""
        seed = len({lane.sampling.seed for lane in self.lanes}) > 1
        system = len({lane.system for lane in self.lanes}) > 1
        told = [lane.label(seed=seed, system=system) for lane in self.lanes]
        seen, labels = Counter[str](), list[str]()
        for label in told:
            seen[label] += 1
            labels.append(f"{label} ({seen[label]})" if seen[label] > 1 else label)
        return tuple(labels)

    @property
    def vote_labels(self) -> frozenset[str]:
        """All that votes may call its lanes: the page tells of a system prompt only that it is
        there, before everything else."""
        told = {*self.labels, *(lane.model for lane in self.lanes)}
        for lane in self.lanes:
            for seed in (False, True):
                told.add(lane.label(seed=seed))
                told.add(", ".join([lane.model, "system prompt", *lane.parts(seed=seed)]))
        return frozenset(told)

    def order(self) -> list[int]:
        """The tasks' numbers as they are to begin: prompt after prompt, the lanes drawn."""
        numbers: list[int] = []
        lanes = list(range(len(self.lanes)))
        for row in range(self.repeats * len(self.prompts)):
            drawn = random.Random(f"{self.seed}:{row}").sample(lanes, len(lanes))
            numbers += [row * len(lanes) + lane for lane in drawn]
        return numbers

    def lane_of(self, number: int) -> int:
        """The place of its lane."""
        return number % len(self.lanes)

    def task(self, number: int) -> Task:
        """The task; where the lane sends a seed, each repeat sends the next one."""
        row, lane_place = divmod(number, len(self.lanes))
        repeat, prompt = divmod(row, len(self.prompts))
        lane = self.lanes[lane_place]
        seed = lane.sampling.seed
        if isinstance(seed, int) and repeat:
            lane = replace(lane, sampling=replace(lane.sampling, seed=seed + repeat))
        return Task(number=number, prompt=self.prompts[prompt], lane=lane, repeat=repeat)

    def number(self, prompt: int, lane: int, repeat: int = 0) -> int:
        """The task at this place of the table."""
        return (repeat * len(self.prompts) + prompt) * len(self.lanes) + lane

    @property
    def fingerprint(self) -> str:
        """The same for the same plan, in hexadecimal."""
        written = json.dumps(plan_dict(self), sort_keys=True)
        return hashlib.sha256(written.encode()).hexdigest()[:16]


def _beginning(text: str) -> str:
    plain = " ".join(text[: 4 * _SYSTEM_SHOWN].split())
    return plain if len(plain) <= _SYSTEM_SHOWN else f"{plain[:_SYSTEM_SHOWN].rstrip()}…"


def _shown(name: str, value: Any) -> str:
    if value == Default.ENDPOINT.value:
        return f"{name}: endpoint's own"
    if isinstance(value, float):
        return f"{name} {value:g}"
    if isinstance(value, list | tuple):
        value = " ".join(json.dumps(each, ensure_ascii=False) for each in value)
    return f"{name} {value}"


# ── a plan as JSON ───────────────────────────────────────────────────────────


def plan_dict(plan: Plan) -> dict[str, Any]:
    """The plan in JSON's types."""
    return {
        "prompts": [prompt_dict(prompt) for prompt in plan.prompts],
        "lanes": [
            {
                "model": lane.model,
                "sampling": sampling_dict(lane.sampling),
                "system": lane.system,
                "endpoint": lane.endpoint,
            }
            for lane in plan.lanes
        ],
        "repeats": plan.repeats,
        "seed": plan.seed,
        "stream": plan.stream,
    }


def plan_from(told: Mapping[str, Any]) -> Plan:
    """The plan that `plan_dict` wrote."""
    return Plan(
        prompts=tuple(_prompt_from(prompt) for prompt in told["prompts"]),
        lanes=tuple(
            Lane(**{**lane, "sampling": sampling_from(lane["sampling"])}) for lane in told["lanes"]
        ),
        repeats=told["repeats"],
        seed=told["seed"],
        stream=told["stream"],
    )


def prompt_dict(prompt: Prompt) -> dict[str, Any]:
    """The prompt in JSON's types."""
    return {
        "id": prompt.id,
        "text": prompt.text,
        "system": prompt.system,
        "checks": [[check.kind.value, check.value] for check in prompt.checks],
    }


def _prompt_from(told: Mapping[str, Any]) -> Prompt:
    checks = tuple(Check(kind=CheckKind(kind), value=value) for kind, value in told["checks"])
    return Prompt(id=told["id"], text=told["text"], system=told["system"], checks=checks)


def sampling_dict(sampling: Sampling) -> dict[str, Any]:
    """What differs from the defaults; `endpoint` or `catalog` where nothing of ours is sent."""
    told: dict[str, Any] = {}
    for each in fields(Sampling):
        value = getattr(sampling, each.name)
        if value != each.default:
            told[each.name] = value.value if isinstance(value, Default) else value
    return told


def sampling_from(told: Mapping[str, Any]) -> Sampling:
    """The sampling that `sampling_dict` wrote."""
    values: dict[str, Any] = {
        name: Default(value)
        if value in ("catalog", "endpoint")
        else (tuple(value) if isinstance(value, list) else value)
        for name, value in told.items()
    }
    return Sampling(**values)
