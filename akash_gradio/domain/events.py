"""What an answer is made of, as it arrives.

A reply is
`Queued* Retrying* Started (TextDelta | ReasoningDelta | ToolCallDelta | Usage)* NotReasoning?
Finished`,
or an error of `domain.errors` in place of what is missing. `Retrying` comes only
before `Started`: after the first token nothing is ever asked again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from akash_gradio.domain.receipt import Attempt, Receipt


@dataclass(frozen=True, slots=True)
class Queued:
    """Others are answered first. place: 1 for who is next, 0 when the waiting is over."""

    position: int


@dataclass(frozen=True, slots=True)
class Started:
    """An endpoint began to answer. model: the catalog id that answers (a fallback, perhaps)."""

    endpoint: str
    model: str


@dataclass(frozen=True, slots=True)
class Retrying:
    """An attempt failed before its first token; another follows after `wait_s` seconds."""

    failed: Attempt
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of the reasoning that comes before or between the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class NotReasoning:
    """All reasoning that came was the answer: the end of it, which was awaited, never came."""


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """More of a tool call: `index` says of which, the rest is as the endpoint sent it."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the endpoint reported them. None: it did not say."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of a whole answer. reason: `stop`, `length`, `content_filter`, `tool_calls`, …"""

    reason: str
    receipt: Receipt


Event: TypeAlias = (
    Queued
    | Started
    | Retrying
    | TextDelta
    | ReasoningDelta
    | NotReasoning
    | ToolCallDelta
    | Usage
    | Finished
)
