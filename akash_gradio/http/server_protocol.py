"""An HTTP/1.1 protocol for uvicorn's server: `ServerProtocol`, over httptools' parser.

It differs from uvicorn's own protocols in three ways. Each request is an object of its own, so
that bytes of the next one change nothing about the one that is answered, however they are cut.
A request head has a time and a size limit. Trailers are dropped: uvicorn adds them to the
headers of the request.

A request can be answered through ASGI messages. It is also the `ClientConnection` of
`gateway/passthrough/sink.py`, which takes bytes without an await.
"""

from __future__ import annotations

import asyncio
import http
import logging
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import httptools

from akash_gradio.http.asgi import CONNECTION_EXTENSION, ASGIApp, Message, Scope

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

HEAD_TIMEOUT_S: Final = 20.0
"""Seconds for a request head, from the start of the connection, from its first byte, or from
the end of the last response; also for the rest of a body that its response didn't wait for."""
MAX_HEAD_BYTES: Final = 64 * 1024
MAX_BUFFERED_BYTES: Final = 64 * 1024
"""Unread bytes of one body above which the connection isn't read."""
MAX_PIPELINED: Final = 16
"""Requests that one connection may send ahead, a bound of its memory. Further ones aren't
answered, and the connection is closed after the last answer, as RFC 9112, 9.3.2 permits."""

_INVALID_NAME: Final = re.compile(rb'[\x00-\x20\x7f()<>@,;:\[\]={}\\"]').search
_INVALID_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search
_NEVER: Final = float("inf")

logger = logging.getLogger("uvicorn.error")


def _status_line(status: int) -> bytes:
    try:
        phrase = http.HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


_STATUS_LINES: Final = {status: _status_line(status) for status in range(100, 600)}


def _plain_response(status: int, text: str) -> bytes:
    """Return a whole response, after which the connection is closed."""
    head = f"content-type: text/plain; charset=utf-8\r\ncontent-length: {len(text)}\r\n"
    return _STATUS_LINES[status] + f"{head}connection: close\r\n\r\n{text}".encode()


_INVALID_REQUEST: Final = _plain_response(400, "Invalid HTTP request received.")
_HEAD_TOO_LARGE: Final = _plain_response(431, "The request's headers are too large.")


class ServerProtocol(asyncio.Protocol):
    """One client connection. Its requests are answered one after the other.

    uvicorn's server creates it for each connection, and calls `shutdown`.

    Attributes:
        requests: The requests whose heads were received and whose responses aren't complete.
            The first one is being answered.
    """

    # Without slots 10 000 idle connections would take another 10 MB.
    __slots__ = (
        "_app_state",
        "_client",
        "_config",
        "_deadline",
        "_error",
        "_expects_continue",
        "_head_bytes",
        "_headers",
        "_in_head",
        "_loop",
        "_parser",
        "_reading",
        "_receiving",
        "_server",
        "_server_state",
        "_stopped",
        "_timer",
        "_timer_at",
        "_url",
        "_writable",
        "requests",
        "transport",
    )
    head_timeout_s = HEAD_TIMEOUT_S
    offers_connection = False
    """Whether the scope of a request offers it as a `ClientConnection`."""

    transport: asyncio.Transport

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.requests: list[_Request] = []
        self._config, self._server_state, self._app_state = config, server_state, app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._parser: Any = httptools.HttpRequestParser(self)
        self._receiving: _Request | None = None
        """The request whose body is being received."""
        self._in_head = False
        self._head_bytes = 0
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._expects_continue = False
        self._stopped = False
        """Whether what is received is ignored from now on."""
        self._error = b""
        """The last response of the connection, to a request that can't be parsed."""
        self._reading = True
        self._writable: asyncio.Event | None = None
        """Set when the client has read enough again; None while there is no need to wait."""
        self._deadline = _NEVER
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = _NEVER

    # The transport's callbacks.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer of the first head."""
        self.transport = transport
        self._server = _address(transport.get_extra_info("sockname"))
        self._client = _address(transport.get_extra_info("peername"))
        self._server_state.connections.add(self)  # type: ignore[arg-type]  # uvicorn lists its own
        self._set_deadline(self.head_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Notify the request in progress; those behind it are dropped."""
        self._server_state.connections.discard(self)
        self._stopped, self._parser, self._receiving = True, None, None
        self._deadline = _NEVER
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.resume_writing()
        requests, self.requests = self.requests, []
        for request in requests:
            request.disconnect()

    def data_received(self, data: bytes) -> None:
        """Parse bytes of the client."""
        if self._stopped:
            return
        headers = self._headers
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # the request is answered without an upgrade
            self._stop()
        except httptools.HttpParserError:
            if not self._stopped:
                self._reject(_INVALID_REQUEST)
        if self._in_head:
            self._count_head(data, began=self._headers is not headers)

    def pause_writing(self) -> None:
        """Let `send` wait: the client reads too slowly."""
        if self._writable is None:
            self._writable = asyncio.Event()

    def resume_writing(self) -> None:
        """Let `send` go on."""
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    # The parser's callbacks.

    def on_message_begin(self) -> None:
        """Begin a request head."""
        if len(self.requests) > MAX_PIPELINED:
            self._stop()
            return
        self._in_head, self._head_bytes = True, 0
        self._url, self._headers, self._expects_continue = b"", [], False

    def on_url(self, url: bytes) -> None:
        """Append a part of the request target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header; a trailer is dropped."""
        if self._in_head:
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self._expects_continue = True
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Add the request to those that are answered in turn."""
        self._in_head = False
        if self._stopped:
            return
        version = self._parser.get_http_version()
        request = self._receiving = _Request(
            self,
            self._scope(version),
            keep_alive=version != "1.0" and self._parser.should_keep_alive(),
            expects_continue=self._expects_continue,
        )
        self.requests.append(request)
        self._deadline = _NEVER
        if len(self.requests) == 1:
            self._start(request)

    def on_body(self, body: bytes) -> None:
        """Append a part of the body of the request that is received."""
        request = self._receiving
        if request is not None and request.add_body(body) > MAX_BUFFERED_BYTES:
            self._pause_reading()

    def on_message_complete(self) -> None:
        """End the body of the request that is received."""
        request, self._receiving = self._receiving, None
        if request is None:
            return
        request.end_body()
        if not request.keep_alive:
            self._stop()
        elif not self.requests:  # it is already answered
            self._set_deadline(self._config.timeout_keep_alive)

    # For uvicorn's server.

    def shutdown(self) -> None:
        """Close the connection, after the responses to the requests received so far."""
        if not self.requests:
            self.transport.close()
            return
        self.requests[-1].keep_alive = False
        if self._receiving is None:
            self._stop()

    # For the requests.

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of the connection."""
        return self._loop

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """The server's own headers of every response."""
        return self._server_state.default_headers

    @property
    def write_paused(self) -> bool:
        """Whether the client reads too slowly, so that nothing more should be written now."""
        return self._writable is not None

    async def drain(self) -> None:
        """Wait until the client has read enough, or has left."""
        if self._writable is not None:
            await self._writable.wait()

    def resume_reading(self) -> None:
        """Read again after a pause: a part of a body was taken."""
        if not self._reading and not self.transport.is_closing():
            self._reading = True
            self.transport.resume_reading()

    def finish(self, request: _Request) -> None:
        """Go on after the last byte of a response: with the next request, or idle."""
        self._server_state.total_requests += 1
        self.requests.remove(request)
        if self.transport.is_closing():
            return
        if not request.keep_alive:
            self._close(request)
        elif self.requests:
            self._start(self.requests[0])
        elif self._stopped:
            self._close(request)
        else:
            idle = not self._in_head and self._receiving is None
            self._set_deadline(self._config.timeout_keep_alive if idle else self.head_timeout_s)
            self.resume_reading()

    def _count_head(self, data: bytes, *, began: bool) -> None:
        """Limit a head that the data didn't complete; `began` if it began within the data."""
        if not began:
            self._head_bytes += len(data)
        elif not self.requests:
            self._set_deadline(self.head_timeout_s)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._reject(_HEAD_TOO_LARGE)

    def _start(self, request: _Request) -> None:
        tasks = self._server_state.tasks
        task = self._loop.create_task(request.run(self._config.loaded_app))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def _close(self, request: _Request) -> None:
        """Close after the last response, once the client has sent the whole body."""
        if self._error:
            self.transport.write(self._error)
        if self._receiving is request and not self._error:
            # Closing now would reset the connection, and the client might not see the response.
            request.keep_alive = False
            self._set_deadline(self.head_timeout_s)
        else:
            self.transport.close()

    def _stop(self) -> None:
        """Ignore what is received from now on, and close after the last response."""
        self._stopped, self._in_head = True, False
        if self.requests:
            self.requests[-1].keep_alive = False

    def _reject(self, response: bytes) -> None:
        """Respond to a request that can't be parsed, after the responses to those before it."""
        broken = self._receiving
        self._stopped, self._in_head, self._receiving = True, False, None
        self._error = response
        if broken is not None and broken in self.requests:
            if broken.started:
                self.transport.close()
                return
            self.requests.remove(broken)
            broken.disconnect()
        if not self.requests:
            self.transport.write(response)
            self.transport.close()

    def _scope(self, version: str) -> Scope:
        url = self._url
        if url.startswith(b"/") and b"#" not in url:
            raw_path, _, query = url.partition(b"?")
        else:
            parsed = httptools.parse_url(url)  # raises HttpParserError
            raw_path, query = parsed.path or b"/", parsed.query or b""
        path = raw_path.decode("ascii")
        root_path = self._config.root_path
        return {
            "type": "http",
            "asgi": {"version": self._config.asgi_version, "spec_version": "2.3"},
            "http_version": version,
            "server": self._server,
            "client": self._client,
            "scheme": "https" if self._config.is_ssl else "http",
            "root_path": root_path,
            "headers": self._headers,
            "state": self._app_state.copy(),
            "method": self._parser.get_method().decode("ascii"),
            "path": root_path + (unquote(path) if "%" in path else path),
            "raw_path": root_path.encode("ascii") + raw_path,
            "query_string": query,
        }

    def _pause_reading(self) -> None:
        if self._reading:
            self._reading = False
            self.transport.pause_reading()

    def _set_deadline(self, seconds: float) -> None:
        """Close the connection after some seconds, unless a request begins before.

        The timer is moved only where it would fire too late, so that a request costs none.
        """
        self._deadline = self._loop.time() + seconds
        if self._timer is not None:
            if self._timer_at <= self._deadline:
                return
            self._timer.cancel()
        self._arm()

    def _arm(self) -> None:
        self._timer_at = self._deadline
        self._timer = self._loop.call_at(self._deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._deadline == _NEVER:
            return
        if self._loop.time() < self._deadline:
            self._arm()
        else:
            self.transport.close()


class DirectProtocol(ServerProtocol):
    """The same for an app without a middleware: it offers each request as a connection."""

    __slots__ = ()
    offers_connection = True


class _Request:
    """One request and its response."""

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


def _address(name: Any) -> tuple[str, int] | None:
    """Return host and port of a socket's name; None for a Unix socket."""
    return (str(name[0]), int(name[1])) if isinstance(name, tuple | list) else None
