"""One HTTP request to the API and its response, as bare ASGI."""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Mapping
from typing import Any

from akash_gradio.api.errors import render_error
from akash_gradio.domain.errors import UserError
from akash_gradio.gateway.passthrough.sink import client_connection
from akash_gradio.http.asgi import Receive, Scope, Send, header


class HttpCall:
    """One request and its response.

    Attributes:
        scope: The ASGI scope.
        receive: The ASGI `receive`.
        id: Sent as `x-request-id` and logged, so that a response can be found in the log.
        started: Whether the headers of the response were sent; then only body can follow.
        connection: The server's connection where it offers one, see `gateway/passthrough/sink.py`.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope, self.receive = scope, receive
        self.id = secrets.token_hex(16)
        self.started = False
        self.connection = client_connection(scope)
        self._send = send

    def header(self, name: str) -> str:
        """Return a request header, "" when it is missing. The name is in lower case."""
        return header(self.scope, name)

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the status and the headers."""
        self.started = True
        lines = self._header_lines(headers)
        await self._send({"type": "http.response.start", "status": status, "headers": lines})

    def send_chunk(self, body: bytes) -> Awaitable[None]:
        """Send a part of the body.

        This is not a coroutine function, so that the events of a stream pass one frame less.
        """
        return self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def finish(self, body: bytes = b"") -> None:
        """Send the last part of the body."""
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def respond(
        self,
        body: bytes,
        status: int = 200,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send a whole response."""
        all_headers = {"content-type": content_type, **(headers or {})}
        if status == 200 and self.connection is not None:
            self.started = self.connection.try_respond(self._header_lines(all_headers), body)
        if not self.started:
            await self.start(status, {**all_headers, "content-length": str(len(body))})
            await self.finish(body)

    async def respond_json(self, value: Any, status: int = 200) -> None:
        """Send a value as JSON."""
        await self.respond(json.dumps(value, separators=(",", ":")).encode(), status)

    async def fail(self, error: UserError) -> None:
        """Send an error: with its status, or as an event once the response has started."""
        rendered = render_error(error)
        if self.started:
            await self.finish(b"data: " + rendered.body + b"\n\n")
        else:
            await self.respond(rendered.body, rendered.status, headers=rendered.headers)

    def _header_lines(self, headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
        lines = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        lines.append((b"x-request-id", self.id.encode()))
        return lines
