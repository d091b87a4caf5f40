"""One connection to an endpoint, and the response that is received over it."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

import httptools

from akash_gradio.domain.errors import EndpointError, EndpointMalformed, EndpointUnreachable
from akash_gradio.gateway.passthrough.sink import Sink

UNREAD_BYTES: Final = 128 * 1024
"""Unread bytes of one response above which no more are read from its endpoint."""
MAX_PIECES: Final = 1024
"""Unread pieces of one body above which they are joined: a piece may be a single byte."""
MAX_HEAD_BYTES: Final = 64 * 1024
"""Largest head of a response, and of what follows its body."""
CHUNK_FRAMING_BYTES: Final = 16
"""Bytes around a chunk that aren't counted."""
_NEVER: Final = float("inf")


class Origin(NamedTuple):
    """Where a connection goes."""

    host: str
    port: int
    tls: bool


class HttpResponse:
    """A response, see `gateway.transport.UpstreamResponse`.

    Attributes:
        alias: The endpoint, for error messages.
        status: The HTTP status, 0 before the head was received.
        headers: The headers, by lower-case names; of several with one name the first.
        received_at: When bytes were last received, in monotonic seconds. With many concurrent
            responses the reader may run tens of milliseconds later.
        unanswered: Whether the connection was lost before any byte of the response.
    """

    __slots__ = (
        "_connection",
        "_ended",
        "_failure",
        "_pieces",
        "_sink",
        "_size",
        "_waiter",
        "alias",
        "headers",
        "received_at",
        "status",
        "unanswered",
    )

    def __init__(self, alias: str, connection: HttpConnection) -> None:
        self.alias = alias
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.received_at = _NEVER
        self.unanswered = False
        self._connection = connection
        self._pieces: list[bytes] = []
        self._size = 0
        self._ended = False
        self._failure: EndpointError | None = None
        self._sink: Sink | None = None
        self._waiter: asyncio.Future[None] | None = None

    # For the gateway.

    @property
    def lag_s(self) -> float:
        """See `UpstreamResponse.lag_s`."""
        return time.monotonic() - self.received_at

    async def read(self) -> bytes:
        """See `UpstreamResponse.read`."""
        while not self._pieces:
            if self._failure is not None:
                raise self._failure
            if self._ended:
                return b""
            await self._wait()
        return self._take()

    async def pipe_to(self, sink: Sink) -> None:
        """See `UpstreamResponse.pipe_to`."""
        if self._pieces or self._ended or self._failure is not None:
            return
        self._sink = sink
        try:
            await self._wait()
        finally:
            self._sink = None

    async def aclose(self) -> None:
        """Close the socket at once if the body wasn't read to its end."""
        if not self._ended:
            self._connection.abort()

    # For the connection.

    async def wait_for_head(self) -> None:
        """Wait for the head. Raises EndpointError."""
        while not self.status:
            if self._failure is not None:
                raise self._failure
            await self._wait()

    def add_body(self, data: bytes) -> bool:
        """Append received bytes. Returns whether reading should pause."""
        self._pieces.append(data)
        self._size += len(data)
        if len(self._pieces) > MAX_PIECES:
            self._pieces = [b"".join(self._pieces)]
        return self._size > UNREAD_BYTES

    def end(self) -> None:
        """End the body."""
        self._ended = True

    def fail(self, failure: EndpointError) -> None:
        """End the response with an error, after what was received."""
        if self._failure is None and not self._ended:
            self._failure = failure
            self.wake()

    def flush(self) -> None:
        """Pass on what one packet contained: to the sink, or to the reader."""
        if self._sink is not None and self._pieces and self._waiter is not None:
            pieces = self._pieces
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            try:
                written = self._sink.try_write(data)
            except Exception as error:
                waiter, self._waiter = self._waiter, None
                if not waiter.done():
                    waiter.set_exception(error)
                return
            if written:
                pieces.clear()
                self._size = 0
                if not self._ended:
                    return
        self.wake()

    def cancel(self) -> None:
        """End the response because the transport is closed."""
        if self._waiter is not None:
            self._waiter.cancel()
        self.fail(EndpointUnreachable(self.alias, "reset"))

    def wake(self) -> None:
        """Wake the task that waits."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def _wait(self) -> None:
        self._waiter = self._connection.loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _take(self) -> bytes:
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._size = 0
        self._connection.resume_reading(self)
        return data


class Owner(Protocol):
    """What owns a connection: a `ConnectionPool`."""

    def keep(self, connection: HttpConnection) -> None:
        """Keep an idle connection for the next request."""
        ...

    def forget(self, connection: HttpConnection) -> None:
        """Remove a closed connection."""
        ...


class HttpConnection(asyncio.Protocol):
    """One connection, used by one response at a time.

    Attributes:
        loop: Its event loop.
        idle_since: When its last response ended, as the loop's time.
        usable: Whether another request can be sent.
    """

    __slots__ = (
        "_framed",
        "_framing_bytes",
        "_headers",
        "_in_head",
        "_keep",
        "_message_ended",
        "_parser",
        "_pool",
        "_reading",
        "_response",
        "_transport",
        "idle_since",
        "loop",
        "origin",
        "usable",
    )

    _transport: asyncio.Transport

    def __init__(self, pool: Owner, origin: Origin, *, keep: bool) -> None:
        self.loop = asyncio.get_running_loop()
        self.origin = origin
        self.idle_since = 0.0
        self.usable = True
        self._pool, self._keep = pool, keep
        self._parser: Any = httptools.HttpResponseParser(self)
        # As aiohttp does: some servers end lines with LF, or send odd values.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )
        self._response: HttpResponse | None = None
        self._headers: dict[str, str] = {}
        self._in_head = self._framed = self._message_ended = False
        """Whether a head is being received; whether the length of the body is known; whether
        a message ended within the current packet."""
        self._framing_bytes = 0
        """Bytes received since the last part of a body, or of the head."""
        self._reading = True

    def send(self, alias: str, head: bytes, body: bytes) -> HttpResponse:
        """Send a request, and return its response, of which nothing was received yet."""
        response = self._response = HttpResponse(alias, self)
        self._framing_bytes = 0
        self._in_head = True
        self._transport.write(head + body)
        return response

    def abort(self) -> None:
        """Close the socket at once."""
        self.usable = False
        self._transport.abort()

    def cancel(self) -> None:
        """Close the socket at once, and cancel the task that waits for the response."""
        response, self._response = self._response, None
        if response is not None:
            response.cancel()
        self.abort()

    def close(self) -> None:
        """Close an idle connection."""
        self.usable = False
        self._transport.close()

    def resume_reading(self, response: HttpResponse) -> None:
        """Read again: the response was read, which may not be the current one any more."""
        if not self._reading and response is self._response and self.usable:
            self._reading = True
            self._transport.resume_reading()

    # The transport's callbacks.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let the system notice a peer that has vanished."""
        self._transport = transport
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        """Parse bytes of the endpoint."""
        response = self._response
        if response is None:  # nothing was requested
            self.close()
            return
        response.received_at = time.monotonic()
        in_head = self._in_head
        self._message_ended = False
        self._framing_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if self._message_ended:  # what follows the message is no response
                self.usable = False
            else:
                self._fail(EndpointMalformed(response.alias, "shape" if in_head else "cut"))
                self.abort()
        if self._framing_bytes < 0:
            self._framing_bytes = 0
        elif self._framing_bytes > MAX_HEAD_BYTES:  # httptools has no limit for a header
            self._fail(EndpointMalformed(response.alias, "shape"))
            self.abort()
        response.flush()
        if self._message_ended:
            self._release()

    def connection_lost(self, exc: Exception | None) -> None:
        """End or fail the response."""
        self.usable = False
        self._pool.forget(self)
        response = self._response
        self._parser = None
        if response is None:
            return
        self._response = None
        if self._in_head:
            response.unanswered = response.received_at == _NEVER
            whole = exc is not None or response.unanswered
            self._fail_with(response, "reset" if whole else "cut")
        elif self._framed or exc is not None:
            self._fail_with(response, "reset" if exc is not None else "cut")
        else:  # the end of the connection is that of the body
            response.end()
            response.wake()

    # The parser's callbacks.

    def on_message_begin(self) -> None:
        """Begin a response."""
        if self._message_ended:
            self.usable = False
        self._headers, self._framed = {}, False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header; a trailer is dropped."""
        if self._in_head:
            key = name.decode("latin-1").lower()
            self._headers.setdefault(key, value.decode("latin-1"))
            if key in ("content-length", "transfer-encoding"):
                self._framed = True

    def on_headers_complete(self) -> None:
        """End the head, unless it is an interim one."""
        status = self._parser.get_status_code()
        if status >= 200 and self._response is not None and not self._message_ended:
            self._in_head = False
            self._framing_bytes = 0
            self._response.headers, self._response.status = self._headers, status

    def on_body(self, data: bytes) -> None:
        """Append a part of the body."""
        self._framing_bytes -= len(data) + CHUNK_FRAMING_BYTES
        response = self._response
        if response is None or self._in_head or self._message_ended:
            return
        if response.add_body(data) and self._reading:
            self._reading = False
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """End the response, unless it is an interim one."""
        if self._in_head or self._message_ended or self._response is None:
            return
        self._message_ended = True
        self._response.end()
        self._keep = self._keep and self._parser.should_keep_alive()

    def _release(self) -> None:
        """Give the connection back after the last byte of a response."""
        self._response = None
        early = self._transport.get_write_buffer_size() > 0  # the request wasn't sent completely
        if not self._keep or early or not self.usable:
            self.close()
            return
        if not self._reading:
            self._reading = True
            self._transport.resume_reading()
        self.idle_since = self.loop.time()
        self._pool.keep(self)

    def _fail(self, failure: EndpointError) -> None:
        if self._response is not None:
            self._response.fail(failure)

    @staticmethod
    def _fail_with(response: HttpResponse, reason: str) -> None:
        if reason == "cut":
            response.fail(EndpointMalformed(response.alias, reason))
        else:
            response.fail(EndpointUnreachable(response.alias, reason))
