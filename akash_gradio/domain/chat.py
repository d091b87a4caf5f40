"""A chat request: the turns of a conversation, a model and the sampling parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Any, Final


class Role(StrEnum):
    """The author of a turn, by the names of the OpenAI protocol."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class Default(Enum):
    """The two ways of not setting a sampling parameter."""

    CATALOG = "catalog"
    """Model default: send the value of the model's catalog entry, if it has one."""
    ENDPOINT = "endpoint"
    """Provider default: send nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One message of a conversation.

    Attributes:
        reasoning: The reasoning shown with an answer; it is never sent back to a model.
        pictures: Pictures of a user's turn, as data URLs (JPEG, PNG, WebP), never remote URLs.
    """

    role: Role
    content: str
    reasoning: str = ""
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """The turns of a chat, oldest first, and an optional system prompt."""

    turns: tuple[Turn, ...] = ()
    system: str = ""

    @property
    def has_pictures(self) -> bool:
        """Whether only a model with vision can answer."""
        return any(turn.pictures for turn in self.turns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Sampling parameters, each a custom value (0 is one), the model's default or the provider's.

    Attributes:
        temperature: 0 to 2.
        top_p: 0 to 1.
        max_tokens: Maximum length of the answer, in tokens.
        seed: Any integer.
        stop: Up to four strings.
        presence_penalty: -2 to 2.
        frequency_penalty: -2 to 2.
        reasoning_effort: A level that the model supports, such as `low`.
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
"""An immutable default for mappings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A conversation to be continued by one model.

    Attributes:
        model: The catalog id.
        stream: Whether to request a stream from the endpoint; the events are the same either way.
        endpoint: The alias of the endpoint to use, None to let the gateway choose.
        fallback: Whether another model may answer when all endpoints of this one fail; a
            comparison doesn't allow it.
        extra: Further fields of the request body, passed on unchanged.
    """

    model: str
    conversation: Conversation
    sampling: Sampling = Sampling()
    stream: bool = True
    endpoint: str | None = None
    fallback: bool = True
    extra: Mapping[str, Any] = field(default_factory=lambda: EMPTY_MAPPING)
