"""How the page sees what answers: a protocol, so that it never knows the network."""

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
    """An endpoint as its breaker sees it."""

    UNKNOWN = "unknown"
    """Not asked yet."""
    READY = "ready"
    RESTING = "resting"
    """Asked for a pause (Retry-After)."""
    DOWN = "down"
    """Its breaker is open."""
    STARTING = "starting"
    """The embedded model, not loaded yet."""
    DRAINED = "drained"
    """Weight 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStatus:
    """One endpoint now. models: what it serves by catalog id, None while not yet discovered.

    reason: the last failure's class name, `key` after 401 or 403, "" when all is well.
    first_token_s: seconds, moving average of real traffic; None before any.
    busy: as many requests in flight as it takes. waking: it is down because its server
    still loads. down_since: seconds of the epoch, None while it isn't down.
    capabilities: by catalog id, what is known of how it serves a model.
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
    """What the page, comparison lanes and `/v1` ask. The gateway is one; tests have fakes."""

    def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Ask; hold the generator with `aclosing`. Raises errors of `domain.errors`."""
        ...

    def endpoints(self) -> tuple[EndpointStatus, ...]:
        """Every endpoint's state now, in the order of the configuration."""
        ...
