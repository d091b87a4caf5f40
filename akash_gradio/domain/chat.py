"""What a visitor asks: turns, a conversation, sampling, a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Any, Final


class Role(StrEnum):
    """Who speaks; the values are the wire's own."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class Default(Enum):
    """The two ways of leaving a sampling parameter alone."""

    CATALOG = "catalog"
    """Send the value of the model's catalog entry, if it has one."""
    ENDPOINT = "endpoint"
    """Send nothing: the endpoint's own default holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One thing that was said. `reasoning` is kept for the reader and never sent again.

    pictures: of a user's turn, as data URLs (JPEG, PNG, WebP); never addresses of the network.
    """

    role: Role
    content: str
    reasoning: str = ""
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """What was said so far, oldest first, under an optional system prompt."""

    turns: tuple[Turn, ...] = ()
    system: str = ""

    @property
    def has_pictures(self) -> bool:
        """Only a model with vision can answer it."""
        return any(turn.pictures for turn in self.turns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Three-state parameters: a value (mine, and 0 is a value), the catalog's, the endpoint's own.

    temperature: 0 to 2. top_p: 0 to 1. max_tokens: of the answer. seed: any integer.
    stop: up to four strings. Penalties: -2 to 2. reasoning_effort: a word that the model knows.
    `Default.CATALOG` sends nothing where the model's entry has no value for it.
    """

    temperature: float | Default = Default.CATALOG
    top_p: float | Default = Default.CATALOG
    max_tokens: int | Default = Default.CATALOG
    seed: int | Default = Default.CATALOG
    stop: tuple[str, ...] | Default = Default.CATALOG
    presence_penalty: float | Default = Default.CATALOG
    frequency_penalty: float | Default = Default.CATALOG
    reasoning_effort: str | Default = Default.ENDPOINT


EMPTY_MAPPING: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """One question to one model.

    model: the catalog id. stream: ask the endpoint for a stream; the events are the
    same either way. endpoint: the alias to pin the request to, None for the router's
    choice. fallback: whether another model may answer when this one's endpoints fail;
    a comparison says no. extra: fields passed to the endpoint untouched.
    """

    model: str
    conversation: Conversation
    sampling: Sampling = Sampling()
    stream: bool = True
    endpoint: str | None = None
    fallback: bool = True
    extra: Mapping[str, Any] = field(default_factory=lambda: EMPTY_MAPPING)
