"""What a behavior is, and the list of them all, which `zoo` fills."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

from tests.stubs.wire import TEXT

if TYPE_CHECKING:
    from tests.stubs.endpoint import Exchange

Act: TypeAlias = "Callable[[Exchange], Coroutine[Any, Any, None]]"


class Ending(Enum):
    """What a careful client makes of it."""

    COMPLETE = "the right text"
    NO_FIRST_TOKEN = "a failure before the first token"
    INTERRUPTED = "a failure after the first token"
    REQUEST_REFUSED = "the request is at fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class Animal:
    """One behavior. error: the class that a client should see. text, thoughts: what it says.

    listens: False for a closed port. scheme: of its URL.
    """

    name: str
    handler: Act
    ending: Ending
    error: str = ""
    text: str = TEXT
    reasoning: str = ""
    listens: bool = True
    scheme: str = "http"


BEHAVIORS: dict[str, Animal] = {}


def named(behavior: object) -> Animal:
    """The animal for a name, an animal or a bare function."""
    if isinstance(behavior, Animal):
        return behavior
    if isinstance(behavior, str):
        return BEHAVIORS[behavior]
    if callable(behavior):
        return Animal(
            name=getattr(behavior, "__name__", "custom"), handler=behavior, ending=Ending.COMPLETE
        )
    raise TypeError(f"no behavior: {behavior!r}")
