"""One HTTP request in hand: what it says, and how it is answered. Bare ASGI."""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any

from akash_gradio.api.errors import Fault
from akash_gradio.gateway.passthrough.sink import client_connection

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


class Call:
    """Live. begun: the answer's headers are out, so that nothing else can be said but more body.

    connection: the server's own, where it offers one.
    id: goes out as `x-request-id` and into the log, so that the two can be brought together.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope, self.receive = scope, receive
        self.id = secrets.token_hex(16)
        self.begun = False
        self.connection = client_connection(scope)
        self._send = send

    def header(self, name: str) -> str:
        """A header's value, "" when it isn't there. name: in lower case."""
        wanted = name.encode()
        found = (value for key, value in self.scope["headers"] if key == wanted)
        return next(found, b"").decode("latin-1")

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the status and the headers."""
        self.begun = True
        pairs = self._pairs(headers)
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})

    def _pairs(self, headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
        pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        pairs.append((b"x-request-id", self.id.encode()))
        return pairs

    def more(self, body: bytes) -> Awaitable[None]:
        """Send a piece of the body; no coroutine of its own, since each token comes by here."""
        return self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self, body: bytes = b"") -> None:
        """Send the last piece of the body."""
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def reply(
        self,
        body: bytes,
        status: int = 200,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """A whole answer."""
        given = {"content-type": content_type, **(headers or {})}
        if status == 200 and self.connection is not None:
            self.begun = self.connection.try_respond(self._pairs(given), body)
        if not self.begun:
            await self.begin(status, {**given, "content-length": str(len(body))})
            await self.end(body)

    async def reply_json(self, value: Any, status: int = 200) -> None:
        """The same of a value."""
        await self.reply(json.dumps(value, separators=(",", ":")).encode(), status)

    async def fail(self, fault: Fault) -> None:
        """Say what is wrong: with its status, or as an event where an answer has begun."""
        if self.begun:
            await self.end(b"data: " + fault.body() + b"\n\n")
        else:
            await self.reply(fault.body(), fault.status, headers=fault.all_headers())
