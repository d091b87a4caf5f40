"""The protocol through which the page, the API and comparisons use the gateway."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from akash_gradio.domain.capabilities import Capabilities
from akash_gradio.domain.chat import EMPTY_MAPPING, ChatRequest
from akash_gradio.domain.events import Event
from akash_gradio.domain.model import ServedModel


class EndpointState(StrEnum):
    """Whether an endpoint gets requests."""

    UNKNOWN = "unknown"
    """Not used yet."""
    READY = "ready"
    RESTING = "resting"
    """Paused for as long as it requested (Retry-After)."""
    DOWN = "down"
    """Its breaker is open."""
    STARTING = "starting"
    """The embedded model, not loaded yet."""
    DRAINED = "drained"
    """Its weight is 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStatus:
    """A snapshot of one endpoint.

    Attributes:
        models: The models that it serves, by catalog id; None while they aren't known.
        in_flight: Requests that it is answering.
        reason: The class name of its last failure, `key` after a rejected key, `credit`
            after a used-up account, "" without a failure.
        first_token_s: Moving average of the time to the first token; None without traffic.
        busy: Whether it is at its maximum concurrency.
        waking: Whether it is down because its server is still loading.
        down_since: Seconds since the epoch, None while it isn't down.
        capabilities: What was learned about its models, by catalog id.
    """

    alias: str
    state: EndpointState
    weight: int
    priority: int
    models: tuple[ServedModel, ...] | None
    in_flight: int = 0
    reason: str = ""
    first_token_s: float | None = None
    busy: bool = False
    waking: bool = False
    down_since: int | None = None
    capabilities: Mapping[str, Capabilities] = field(default_factory=lambda: EMPTY_MAPPING)


class ChatGateway(Protocol):
    """Answers chat requests. Implemented by `gateway.Gateway`, by `quota` and by test fakes."""

    def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Stream the events of an answer; hold the generator with `aclosing`.

        Raises:
            AkashGradioError: See `domain.errors`.
        """
        ...

    def endpoints(self) -> tuple[EndpointStatus, ...]:
        """Return the status of every endpoint, in the order of the configuration."""
        ...
