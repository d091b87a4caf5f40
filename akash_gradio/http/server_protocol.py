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
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import httptools

from akash_gradio.http.asgi import Scope
from akash_gradio.http.server_request import ServerRequest, plain_response

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

HEAD_TIMEOUT_S: Final = 20.0
"""Seconds for a request head, from the start of the connection, from its first byte, or from
the end of the last response; also for the rest of a body that its response didn't wait for."""
MAX_HEAD_BYTES: Final = 64 * 1024
"""Largest head of a request, and of what follows its body."""
CHUNK_FRAMING_BYTES: Final = 16
"""Bytes around a chunk that aren't counted."""
MAX_BUFFERED_BYTES: Final = 64 * 1024
"""Unread bytes of one body above which the connection isn't read."""
MAX_PIPELINED: Final = 16
"""Requests that one connection may send ahead, a bound of its memory. Further ones aren't
answered, and the connection is closed after the last answer, as RFC 9112, 9.3.2 permits."""

_NEVER: Final = float("inf")

_INVALID_REQUEST: Final = plain_response(400, "Invalid HTTP request received.")
_HEAD_TOO_LARGE: Final = plain_response(431, "The request's headers are too large.")


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
        "_framing_bytes",
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
        self.requests: list[ServerRequest] = []
        self._config, self._server_state, self._app_state = config, server_state, app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._parser: Any = httptools.HttpRequestParser(self)
        self._receiving: ServerRequest | None = None
        """The request whose body is being received."""
        self._in_head = False
        self._framing_bytes = 0
        """Bytes received since the last part of a body, or of the head."""
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
        self._framing_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # the request is answered without an upgrade
            self._stop()
        except httptools.HttpParserError:
            if not self._stopped:
                self._reject(_INVALID_REQUEST)
        if self._framing_bytes < 0:
            self._framing_bytes = 0
        elif self._framing_bytes > MAX_HEAD_BYTES and not self._stopped:
            self._reject(_HEAD_TOO_LARGE)  # httptools has no limit for a header or a trailer
        if self._in_head and self._headers is not headers and not self.requests:
            self._set_deadline(self.head_timeout_s)

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
        self._in_head, self._framing_bytes = True, 0
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
        self._in_head, self._framing_bytes = False, 0
        if self._stopped:
            return
        version = self._parser.get_http_version()
        request = self._receiving = ServerRequest(
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
        self._framing_bytes -= len(body) + CHUNK_FRAMING_BYTES
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

    def finish(self, request: ServerRequest) -> None:
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

    def _start(self, request: ServerRequest) -> None:
        tasks = self._server_state.tasks
        task = self._loop.create_task(request.run(self._config.loaded_app))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def _close(self, request: ServerRequest) -> None:
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


def _address(name: Any) -> tuple[str, int] | None:
    """Return host and port of a socket's name; None for a Unix socket."""
    return (str(name[0]), int(name[1])) if isinstance(name, tuple | list) else None
