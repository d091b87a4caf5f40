"""What a behavior of a stub is, and the registry that `behaviors` fills."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

from tests.stubs.wire import TEXT

if TYPE_CHECKING:
    from tests.stubs.endpoint import Exchange

Handler: TypeAlias = "Callable[[Exchange], Coroutine[Any, Any, None]]"


class Ending(Enum):
    """What a correct client gets from a behavior."""

    COMPLETE = "the complete text"
    NO_FIRST_TOKEN = "a failure before the first token"
    INTERRUPTED = "a failure after the first token"
    REQUEST_REFUSED = "the request is at fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class Behavior:
    """One behavior of an endpoint.

    Attributes:
        name: Key in `BEHAVIORS`.
        handler: Responds to a request.
        ending: What a correct client gets.
        error: Names of the error classes that a client may raise, separated by spaces.
        text: The text that a client gets of a stream.
        whole_text: The text that it gets without a stream.
        reasoning: The reasoning that a client gets.
        finish: The finish reason that a client gets.
        calls: The tool calls that a client gets: name and arguments.
        media: Whether a client gets output that isn't text.
        listens: Whether the port is open.
        scheme: Scheme of the stub's URL.
    """

    name: str
    handler: Handler
    ending: Ending
    error: str = ""
    text: str = TEXT
    whole_text: str = TEXT
    reasoning: str = ""
    finish: str = "stop"
    calls: tuple[tuple[str, str], ...] = ()
    media: bool = False
    listens: bool = True
    scheme: str = "http"


BEHAVIORS: dict[str, Behavior] = {}


def get_behavior(behavior: object) -> Behavior:
    """Return the behavior for a name, a behavior or a handler."""
    if isinstance(behavior, Behavior):
        return behavior
    if isinstance(behavior, str):
        return BEHAVIORS[behavior]
    if callable(behavior):
        name = getattr(behavior, "__name__", "custom")
        return Behavior(name=name, handler=behavior, ending=Ending.COMPLETE)
    raise TypeError(f"not a behavior: {behavior!r}")
