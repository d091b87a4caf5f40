"""One request of a `ServerProtocol`, and its response."""

from __future__ import annotations

import asyncio
import http
import logging
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from akash_gradio.domain.size_limits import UNCOUNTED_BODY_BYTES
from akash_gradio.http.asgi import CONNECTION_EXTENSION, ASGIApp, Message, Scope

if TYPE_CHECKING:
    from akash_gradio.http.server_protocol import ServerProtocol

_INVALID_NAME: Final = re.compile(rb'[\x00-\x20\x7f()<>@,;:\[\]={}\\"]').search
_INVALID_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search

logger = logging.getLogger("uvicorn.error")


def _status_line(status: int) -> bytes:
    try:
        phrase = http.HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


_STATUS_LINES: Final = {status: _status_line(status) for status in range(100, 600)}


def plain_response(status: int, text: str) -> bytes:
    """Return a whole response, after which the connection is closed."""
    head = f"content-type: text/plain; charset=utf-8\r\ncontent-length: {len(text)}\r\n"
    return _STATUS_LINES[status] + f"{head}connection: close\r\n\r\n{text}".encode()


class ServerRequest:
    """One request and its response.

    It is also the `ClientConnection` of `gateway/passthrough/sink.py`.

    Args:
        connection: Where it was received.
        scope: The ASGI scope.
        keep_alive: Whether the client keeps the connection.
        expects_continue: Whether the client waits for `100 Continue` before it sends the body.

    Attributes:
        started: Whether the head of the response was sent.
        complete: Whether the response was sent.
        disconnected: Whether the client has left.
    """

    __slots__ = (
        "_body",
        "_body_ended",
        "_body_taken",
        "_callback",
        "_chunked",
        "_connection",
        "_expects_continue",
        "_left",
        "_waiter",
        "complete",
        "disconnected",
        "keep_alive",
        "scope",
        "started",
    )

    def __init__(
        self, connection: ServerProtocol, scope: Scope, *, keep_alive: bool, expects_continue: bool
    ) -> None:
        self.scope, self.keep_alive = scope, keep_alive
        self.started = self.complete = self.disconnected = False
        self._connection, self._expects_continue = connection, expects_continue
        self._body: bytes | bytearray = b""
        self._body_ended = self._body_taken = False
        self._chunked = False
        self._left = 0
        """Bytes of a response with a length that are still to be sent."""
        self._waiter: asyncio.Future[None] | None = None
        self._callback: Callable[[], object] | None = None
        if connection.offers_connection:
            scope["extensions"] = {CONNECTION_EXTENSION: self}

    async def run(self, app: ASGIApp) -> None:
        """Run the app, and end a response that it left incomplete."""
        try:
            await app(self.scope, self.receive, self.send)
        except BaseException as error:  # the server cancels it at its end
            logger.error("Exception in ASGI application\n", exc_info=error)
        finally:
            self.scope.pop("extensions", None)  # a reference cycle
        if self.complete or self.disconnected:
            return
        if self.started:
            self._connection.transport.close()
            return
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self.send({"type": "http.response.body", "body": b"Internal Server Error"})

    # For the connection.

    def add_body(self, data: bytes) -> int:
        """Append received bytes. Returns how many are buffered."""
        if self.complete or self.disconnected:
            return 0
        if not self._body:
            self._body = data
        else:
            if not isinstance(self._body, bytearray):
                self._body = bytearray(self._body)
            self._body += data
        self._wake()
        return len(self._body)

    def end_body(self) -> None:
        """End the body."""
        self._body_ended = True
        self._wake()
        if self.complete and not self.keep_alive:
            self._connection.transport.close()

    def disconnect(self) -> None:
        """Notify the app that the client has left."""
        self.disconnected = True
        self._body = b""
        self._wake()
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()

    # ASGI.

    async def receive(self) -> Message:
        """Return the next part of the body; after the last one, wait for the client to leave."""
        while not (self.disconnected or self.complete):
            if self._body or (self._body_ended and not self._body_taken):
                body, self._body = bytes(self._body), b""
                self._body_taken = self._body_ended
                return {"type": "http.request", "body": body, "more_body": not self._body_ended}
            if self._expects_continue:
                self._expects_continue = False
                self._connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if not self._body_ended:
                self._connection.resume_reading()
            if self._waiter is None or self._waiter.done():
                self._waiter = self._connection.loop.create_future()
            await asyncio.shield(self._waiter)  # two tasks may wait
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Send the head or a part of the body of the response."""
        if not self.disconnected:
            await self._connection.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if not self.started:
            if kind != "http.response.start":
                raise RuntimeError(f"expected http.response.start, got {kind}")
            self._send_head(message["status"], message.get("headers", ()))
        elif self.complete or kind != "http.response.body":
            raise RuntimeError(f"unexpected {kind}")
        else:
            self._send_body(message.get("body", b""), message.get("more_body", False))

    # `ClientConnection`, see gateway/passthrough/sink.py.

    def try_write(self, data: bytes) -> bool:
        """See `Sink.try_write`: write a chunk of a response that has begun."""
        connection = self._connection
        if (
            not self._chunked
            or self.complete
            or self.disconnected
            or connection.write_paused
            or not data
        ):
            return False
        connection.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        return True

    def take_body(self) -> bytes | None:
        """See `ClientConnection.take_body`."""
        if not self._body_ended or self._body_taken or len(self._body) > UNCOUNTED_BODY_BYTES:
            return None
        body, self._body, self._body_taken = bytes(self._body), b"", True
        return body

    def try_respond(self, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> bool:
        """See `ClientConnection.try_respond`."""
        connection = self._connection
        if (
            self.started
            or self.disconnected
            or connection.write_paused
            or not self._body_ended
            or not self.keep_alive
            or self.scope["method"] == "HEAD"
        ):
            return False
        self.started = True
        lines = [b"%b: %b\r\n" % pair for pair in (*connection.default_headers, *headers)]
        length = b"content-length: %d\r\n\r\n" % len(body)
        connection.transport.write(b"".join((_STATUS_LINES[200], *lines, length, body)))
        self._finish()
        return True

    def set_disconnect_callback(self, callback: Callable[[], object]) -> None:
        """See `DisconnectNotifier.set_disconnect_callback`."""
        self._callback = callback
        if self.disconnected:
            self._connection.loop.call_soon(self.disconnect)

    def clear_disconnect_callback(self, callback: Callable[[], object]) -> None:
        """See `DisconnectNotifier.clear_disconnect_callback`."""
        if self._callback is callback:
            self._callback = None

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _send_head(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.started = True
        lines = [_STATUS_LINES[status]]
        has_length = has_close = False
        for name, value in (*self._connection.default_headers, *headers):
            name = name.lower()
            if _INVALID_NAME(name) or _INVALID_VALUE(value):
                raise RuntimeError("invalid response header")
            if name == b"content-length":
                has_length, self._left = True, int(value)
            elif name == b"transfer-encoding":
                continue  # chosen below, as HTTP/1.0 has none
            elif name == b"connection" and b"close" in value.lower():
                has_close, self.keep_alive = True, False
            lines.append(b"%b: %b\r\n" % (name, value))
        has_body = self.scope["method"] != "HEAD" and status not in (204, 304)
        if not has_body:
            self._left = 0
        elif not has_length:
            self._chunked = self.scope["http_version"] != "1.0"
            self._left = -1
            self.keep_alive = self.keep_alive and self._chunked
        if self._expects_continue and not self._body_ended:
            self.keep_alive = False  # the client may or may not send the body now
        if self._chunked:
            lines.append(b"transfer-encoding: chunked\r\n")
        if not self.keep_alive and not has_close:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        self._connection.transport.write(b"".join(lines))

    def _send_body(self, body: bytes, more: bool) -> None:
        transport = self._connection.transport
        if self._chunked:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            if chunk or not more:
                transport.write(chunk if more else chunk + b"0\r\n\r\n")
        elif self._left < 0:
            transport.write(body)
        elif self.scope["method"] != "HEAD":
            if len(body) > self._left:
                raise RuntimeError("the response is longer than its Content-Length")
            self._left -= len(body)
            transport.write(body)
        if not more:
            if self._left > 0:
                raise RuntimeError("the response is shorter than its Content-Length")
            self._finish()

    def _finish(self) -> None:
        self.complete = True
        self._callback = None
        self._wake()
        self._connection.finish(self)
