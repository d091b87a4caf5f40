"""The events of an answer's stream.

A stream is
`Queued* Retrying* Started (TextDelta | ReasoningDelta | ToolCallDelta | MediaDelta | Usage)*
NotReasoning? Finished`,
or it ends early by raising an error of `domain.errors`. `Retrying` comes only before `Started`:
after the first token a request is never retried.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from akash_gradio.domain.receipt import Attempt, Receipt


@dataclass(frozen=True, slots=True)
class Queued:
    """The request waits in the queue.

    Attributes:
        position: 1 for the next request to run, 0 when the wait is over.
    """

    position: int


@dataclass(frozen=True, slots=True)
class Started:
    """An endpoint began to answer.

    Attributes:
        endpoint: Its alias.
        model: The catalog id of the model that answers, perhaps a fallback.
    """

    endpoint: str
    model: str


@dataclass(frozen=True, slots=True)
class Retrying:
    """An attempt failed before its first token; another follows after `wait_s` seconds."""

    failed: Attempt
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of the reasoning, which comes before the text or between parts of it."""

    text: str


@dataclass(frozen=True, slots=True)
class NotReasoning:
    """What was sent as reasoning was the answer: the tag that should end the reasoning is missing.

    Sent for a model whose text starts inside its reasoning, see `gateway.reasoning`.
    """


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """More of the tool call number `index`, as the endpoint sent it."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class MediaDelta:
    """Output that isn't text, which only a client of `/v1` receives.

    Attributes:
        kind: `image`, `audio`, `video`, or `reasoning` (encrypted).
    """

    kind: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts as the endpoint reported them, None where it didn't."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of a complete answer.

    Attributes:
        reason: The endpoint's finish reason (`stop`, `length`, `content_filter`, `tool_calls`, …),
            or `size_limit` for an answer that was ended because of its size.
    """

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
    | MediaDelta
    | Usage
    | Finished
)
