"""The sink protocol of the passthrough path, and the API client's connection as a sink.

Bytes flow through sinks only: the upstream body (`aiohttp_fastpath.FastBody`) writes to the
forwarder of the upstream call, which writes to the client's connection
(a request of `http.server_protocol`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeAlias

from akash_gradio.http.asgi import CONNECTION_EXTENSION
from akash_gradio.http.disconnect import DisconnectNotifier

Headers: TypeAlias = Iterable[tuple[bytes, bytes]]


class Sink(Protocol):
    """A receiver of bytes that accepts them at once or not at all."""

    def try_write(self, data: bytes) -> bool:
        """Write the data without waiting.

        Returns:
            False if nothing was written, and the caller has to send the data by a way that
            can wait.
        """
        ...


class ClientConnection(Sink, DisconnectNotifier, Protocol):
    """The connection of the request in progress, used directly where ASGI messages cost too much.

    A server that offers one puts it into the scope's extensions (see the ASGI specification,
    "Extensions"). Only an app with no middleware in front of it may use one: what is written
    here passes through none.
    """

    def take_body(self) -> bytes | None:
        """Return the whole body if it was received already and is small.

        Returns:
            None if it has to be read through `receive`, which counts and limits it.
        """
        ...

    def try_respond(self, headers: Headers, body: bytes) -> bool:
        """Send a whole response with status 200.

        Args:
            headers: The headers without a length. They aren't validated, so they must not
                contain untrusted text.
            body: The whole body.

        Returns:
            False if nothing was written, and the response has to go through `send`.
        """
        ...


def client_connection(scope: Mapping[str, Any]) -> ClientConnection | None:
    """Return the connection that the server offers in an ASGI scope, or None."""
    connection: ClientConnection | None = (scope.get("extensions") or {}).get(CONNECTION_EXTENSION)
    return connection
