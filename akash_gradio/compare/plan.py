"""The plan of a run: every prompt × lane × repeat, in a reproducible order."""

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
_DISPLAY_NAMES: Final = {
    "max_tokens": "max tokens",
    "presence_penalty": "presence penalty",
    "frequency_penalty": "frequency penalty",
    "reasoning_effort": "effort",
}
"""Names of parameters in labels. The page's script uses the same ones in the labels of votes."""
_SYSTEM_EXCERPT_CHARACTERS: Final = 30
"""Length of the beginning of a system prompt in a label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One column of a comparison: a model with its parameters.

    Attributes:
        model: Catalog id.
        sampling: The sampling parameters.
        system: System prompt.
        endpoint: Alias of the endpoint that the lane is pinned to, or None.
    """

    model: str
    sampling: Sampling = field(default_factory=Sampling)
    system: str = ""
    endpoint: str | None = None

    def label(self, *, seed: bool = False, system: bool = False) -> str:
        """Return the model with its parameters, as `m, temperature 0.2`.

        Two lanes of a run may have the same label; `Plan.labels` makes them unique.

        Args:
            seed: Whether to include the seed.
            system: Whether to include the beginning of the system prompt.
        """
        return ", ".join([self.model, *self.label_parts(seed=seed, system=system)])

    def label_parts(self, *, seed: bool = False, system: bool = False) -> Iterator[str]:
        """Yield what follows the model in its label."""
        for name, value in sampling_dict(self.sampling).items():
            if name != "seed" or seed:
                yield _describe(_DISPLAY_NAMES.get(name, name), value)
        if self.endpoint:
            yield f"on {self.endpoint}"
        if system:
            yield f"system “{_excerpt(self.system)}”" if self.system else "no system prompt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One call of a run.

    Attributes:
        number: Position in the plan, from 0.
        prompt: The prompt to send.
        lane: The model and its parameters.
        repeat: Which repetition this is, from 0.
    """

    number: int
    prompt: Prompt
    lane: Lane
    repeat: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run consists of.

    Attributes:
        prompts: At least one.
        lanes: At least one.
        repeats: How often each prompt is sent to each lane.
        seed: Seed of the order of the calls.
        stream: Whether answers are requested as streams.
    """

    prompts: tuple[Prompt, ...]
    lanes: tuple[Lane, ...]
    repeats: int = 1
    seed: int = 0
    stream: bool = True

    @property
    def calls(self) -> int:
        """The number of tasks, which are numbered from 0."""
        return len(self.prompts) * len(self.lanes) * self.repeats

    @property
    def labels(self) -> tuple[str, ...]:
        """A unique label for each lane.

        It includes the seed and the beginning of the system prompt if they differ between
        lanes, and a number if nothing else differs.
        """
        seed = len({lane.sampling.seed for lane in self.lanes}) > 1
        system = len({lane.system for lane in self.lanes}) > 1
        counts, labels = Counter[str](), list[str]()
        for label in (lane.label(seed=seed, system=system) for lane in self.lanes):
            counts[label] += 1
            labels.append(f"{label} ({counts[label]})" if counts[label] > 1 else label)
        return tuple(labels)

    @property
    def vote_labels(self) -> frozenset[str]:
        """All labels under which votes may refer to the lanes.

        In labels of the page, "system prompt" without its text follows the model.
        """
        labels = {*self.labels, *(lane.model for lane in self.lanes)}
        for lane in self.lanes:
            for seed in (False, True):
                labels.add(lane.label(seed=seed))
                parts = lane.label_parts(seed=seed)
                labels.add(", ".join([lane.model, "system prompt", *parts]))
        return frozenset(labels)

    def order(self) -> list[int]:
        """Return the task numbers in the order in which they are started.

        Prompts are in the order of the set; the lanes are shuffled for each prompt.
        """
        numbers: list[int] = []
        lanes = list(range(len(self.lanes)))
        for row in range(self.repeats * len(self.prompts)):
            shuffled = random.Random(f"{self.seed}:{row}").sample(lanes, len(lanes))
            numbers += [row * len(lanes) + lane for lane in shuffled]
        return numbers

    def lane_of(self, number: int) -> int:
        """Return the index of a task's lane."""
        return number % len(self.lanes)

    def task(self, number: int) -> Task:
        """Return the task with this number. A lane's seed is incremented by 1 at each repeat."""
        row, lane_index = divmod(number, len(self.lanes))
        repeat, prompt = divmod(row, len(self.prompts))
        lane = self.lanes[lane_index]
        seed = lane.sampling.seed
        if isinstance(seed, int) and repeat:
            lane = replace(lane, sampling=replace(lane.sampling, seed=seed + repeat))
        return Task(number=number, prompt=self.prompts[prompt], lane=lane, repeat=repeat)

    def number(self, prompt: int, lane: int, repeat: int = 0) -> int:
        """Return the number of the task at this position, given as indices."""
        return (repeat * len(self.prompts) + prompt) * len(self.lanes) + lane

    @property
    def fingerprint(self) -> str:
        """A hexadecimal hash, equal for equal plans."""
        text = json.dumps(plan_dict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _excerpt(text: str) -> str:
    plain = " ".join(text[: 4 * _SYSTEM_EXCERPT_CHARACTERS].split())
    if len(plain) <= _SYSTEM_EXCERPT_CHARACTERS:
        return plain
    return f"{plain[:_SYSTEM_EXCERPT_CHARACTERS].rstrip()}…"


def _describe(name: str, value: Any) -> str:
    if value == Default.ENDPOINT.value:
        return f"{name}: provider default"
    if isinstance(value, float):
        return f"{name} {value:g}"
    if isinstance(value, list | tuple):
        value = " ".join(json.dumps(item, ensure_ascii=False) for item in value)
    return f"{name} {value}"


# ── a plan as JSON ───────────────────────────────────────────────────────────


def plan_dict(plan: Plan) -> dict[str, Any]:
    """Return the plan in JSON's types."""
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


def plan_from(data: Mapping[str, Any]) -> Plan:
    """Return the plan that `plan_dict` serialized.

    Raises:
        ValueError: It has another form; so do KeyError, TypeError and AttributeError.
    """
    texts = [text for prompt in data["prompts"] for text in (prompt["id"], prompt["text"])]
    texts += [prompt["system"] for prompt in data["prompts"]]
    texts += [text for lane in data["lanes"] for text in (lane["model"], lane["system"])]
    texts += [lane["endpoint"] or "" for lane in data["lanes"]]
    numbers = (data["repeats"], data["seed"])
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError("a text is missing")
    if not all(type(number) is int for number in numbers) or not 0 < numbers[0] <= MAX_REPEATS:
        raise ValueError("a number is wrong")
    return Plan(
        prompts=tuple(_prompt_from(prompt) for prompt in data["prompts"]),
        lanes=tuple(
            Lane(**{**lane, "sampling": sampling_from(lane["sampling"])}) for lane in data["lanes"]
        ),
        repeats=data["repeats"],
        seed=data["seed"],
        stream=data["stream"],
    )


def prompt_dict(prompt: Prompt) -> dict[str, Any]:
    """Return the prompt in JSON's types."""
    return {
        "id": prompt.id,
        "text": prompt.text,
        "system": prompt.system,
        "checks": [[check.kind.value, check.value] for check in prompt.checks],
    }


def _prompt_from(data: Mapping[str, Any]) -> Prompt:
    checks = tuple(Check(kind=CheckKind(kind), value=value) for kind, value in data["checks"])
    return Prompt(id=data["id"], text=data["text"], system=data["system"], checks=checks)


def sampling_dict(sampling: Sampling) -> dict[str, Any]:
    """Return the parameters that differ from the defaults, in JSON's types.

    A parameter that isn't sent has the value `endpoint` or `catalog`, see `domain.chat.Default`.
    """
    return {
        parameter.name: value.value if isinstance(value, Default) else value
        for parameter in fields(Sampling)
        if (value := getattr(sampling, parameter.name)) != parameter.default
    }


def sampling_from(data: Mapping[str, Any]) -> Sampling:
    """Return the sampling parameters that `sampling_dict` serialized."""
    values: dict[str, Any] = {
        name: Default(value)
        if value in ("catalog", "endpoint")
        else (tuple(value) if isinstance(value, list) else value)
        for name, value in data.items()
    }
    return Sampling(**values)
