"""The connection to a caller, used directly where ASGI's messages cost too much.

A server that offers this puts a `Connection` into the scope's extensions (see the ASGI
specification, "Extensions"). Only an app that nothing stands before may use it: what is
written so passes no middleware.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol, TypeAlias

Headers: TypeAlias = Iterable[tuple[bytes, bytes]]
EXTENSION: Final = "akash_gradio.connection"


class Connection(Protocol):
    """Of the request that is being answered."""

    def try_write(self, body: bytes) -> bool:
        """Send a piece of an answer that has begun; False where it has to go by `send` and wait."""
        ...

    def try_respond(self, headers: Headers, body: bytes) -> bool:
        """Send a whole answer of status 200; False where it has to go by `send`.

        headers: without a length; they are not looked into, so nobody else's words may be there.
        """
        ...

    def set_disconnect_callback(self, call: Callable[[], object]) -> None:
        """Call this once when the caller goes away, soon if he has gone; it alone."""
        ...

    def clear_disconnect_callback(self, call: Callable[[], object]) -> None:
        """Not this one any more; the next request, which may have begun, keeps its own."""
        ...


def connection_of(scope: Mapping[str, Any]) -> Connection | None:
    """What the server offers, None where it doesn't."""
    found: Connection | None = (scope.get("extensions") or {}).get(EXTENSION)
    return found
