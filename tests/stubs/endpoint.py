"""A server on a loopback socket whose behavior controls every byte."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Self

from tests.stubs import wire
from tests.stubs.behavior import get_behavior


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRequest:
    """A received request. Header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Exchange:
    """A request and the means to respond to it.

    `write` sends raw bytes; the other methods build on it.
    """

    def __init__(
        self, stub: StubEndpoint, request: RecordedRequest, writer: asyncio.StreamWriter
    ) -> None:
        self.stub, self.request = stub, request
        self.keeps_alive = False
        self._writer = writer
        self._chunked = False

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def head(
        self, status: int = 200, content_type: str = "text/event-stream", **headers: str
    ) -> None:
        """Send the status line and headers. The connection closes at the end of the body."""
        phrase = HTTPStatus(status).phrase if status in list(HTTPStatus) else "Unknown"
        lines = [f"HTTP/1.1 {status} {phrase}", f"content-type: {content_type}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if not self._chunked and "content_length" not in headers:
            lines.append("connection: close")
        await self.write("\r\n".join([*lines, "", ""]).encode())

    async def open_stream(self, content_type: str = "text/event-stream", **headers: str) -> None:
        """Send the headers of a chunked body, as servers do for streams."""
        self._chunked = True
        await self.head(200, content_type, transfer_encoding="chunked", **headers)

    async def send(self, data: bytes) -> None:
        """Send some bytes of the body."""
        await self.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    async def end(self) -> None:
        """End the body and keep the connection open."""
        if self._chunked:
            await self.write(b"0\r\n\r\n")
            self.keeps_alive = True

    async def reply(
        self, body: bytes, status: int = 200, content_type: str = "application/json", **headers: str
    ) -> None:
        """Send a complete response of known length."""
        await self.head(status, content_type, content_length=str(len(body)), **headers)
        await self.write(body)
        self.keeps_alive = True

    def reset(self) -> None:
        """Drop the connection with RST instead of FIN."""
        reset(self._writer)

    async def hang(self) -> None:
        """Wait until the client disconnects."""
        await asyncio.Event().wait()


class StubEndpoint:
    """An endpoint with one behavior, used as `async with StubEndpoint("slow") as stub`.

    Args:
        behavior: Name in `BEHAVIORS`, a `Behavior`, or a function of an `Exchange`, for
            `POST …/chat/completions`.
        models: Ids in the response to `GET …/models`.
        tokens: The answer.
        key: The only accepted API key; None accepts any.
        everywhere: Whether the behavior also responds to `GET …/models`.
        listening: Whether to listen at once. Otherwise the port is reserved until `listen`.

    Attributes:
        requests: Received requests, oldest first.
        closed_at: When a client last disconnected during a request, as `time.monotonic`.
        max_connections: The largest number of connections at the same time.
        errors: Exceptions of the behavior itself. The first one is raised at exit.
    """

    def __init__(
        self,
        behavior: object = "perfect",
        *,
        models: tuple[str, ...] = ("m",),
        tokens: tuple[str, ...] = wire.TOKENS,
        key: str | None = None,
        everywhere: bool = False,
        listening: bool = True,
    ) -> None:
        self.set_behavior(behavior)
        self.models, self.tokens, self.key = models, tokens, key
        self.everywhere = everywhere
        self.requests: list[RecordedRequest] = []
        self.closed_at: float | None = None
        self.max_connections = 0
        self.errors: list[BaseException] = []
        self._listening = listening and self._behavior.listens
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._reserved: socket.socket | None = None
        self.port = 0

    def set_behavior(self, behavior: object) -> None:
        """Change the behavior for the next requests; see the constructor."""
        self._behavior = get_behavior(behavior)

    @property
    def url(self) -> str:
        return f"{self._behavior.scheme}://127.0.0.1:{self.port}/v1"

    @property
    def open_connections(self) -> int:
        return len(self._writers)

    @property
    def chats(self) -> list[RecordedRequest]:
        """The chat requests, without those for the model list."""
        return [request for request in self.requests if request.method == "POST"]

    async def __aenter__(self) -> Self:
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind(("127.0.0.1", 0))
        self.port = self._reserved.getsockname()[1]
        if self._listening:
            await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._reserved:
            self._reserved.close()
        if self.errors:
            raise self.errors[0]

    async def listen(self) -> None:
        """Accept connections, for the first time or again after `kill`."""
        if self._reserved:
            self._reserved.close()
            self._reserved = None
        self._server = await asyncio.start_server(
            self._connected, "127.0.0.1", self.port, backlog=1024, reuse_address=True
        )

    def kill(self) -> None:
        """Stop listening and reset every connection, like a crash."""
        if self._server:
            self._server.close()
            self._server = None
        self.drop_connections()

    def drop_connections(self) -> None:
        """Reset every connection, and go on listening."""
        for writer in list(self._writers):
            reset(writer)

    async def wait_for_requests(self, count: int = 1, within_s: float = 5.0) -> None:
        """Wait until a number of chat requests have been received."""
        await self._wait_until(lambda: len(self.chats) >= count, within_s, f"{count} requests")

    async def wait_for_disconnect(self, within_s: float = 2.0) -> float:
        """Wait until a client disconnects during a request, and return the time."""
        await self._wait_until(lambda: self.closed_at is not None, within_s, "a disconnect")
        assert self.closed_at is not None
        return self.closed_at

    async def wait_for_idle(self, within_s: float = 2.0) -> None:
        """Wait until no connection is open."""
        await self._wait_until(lambda: not self._writers, within_s, "all connections closed")

    async def _wait_until(self, holds: Callable[[], bool], within_s: float, condition: str) -> None:
        try:
            async with asyncio.timeout(within_s):
                while not holds():
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"{condition}: not within {within_s} s") from None

    def _notify(self) -> None:
        """Wake all tasks that wait in `_wait_until`."""
        self._changed.set()
        self._changed = asyncio.Event()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._writers.add(writer)
        self.max_connections = max(self.max_connections, len(self._writers))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await read_request(reader):
                self.requests.append(request)
                self._notify()
                exchange = Exchange(self, request, writer)
                if not await self._respond(exchange, reader) or not exchange.keeps_alive:
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except NotHTTPError:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        finally:
            self._writers.discard(writer)
            writer.close()
            self._notify()

    async def _respond(self, exchange: Exchange, reader: asyncio.StreamReader) -> bool:
        """Run the behavior while watching the client; return False if the client disconnected."""
        responding = asyncio.create_task(self._handle(exchange))
        disconnect = asyncio.create_task(reader.read(1))
        try:
            await asyncio.wait({responding, disconnect}, return_when=asyncio.FIRST_COMPLETED)
            disconnected = not responding.done() or isinstance(
                responding.exception(), ConnectionError
            )
            if disconnected:
                self.closed_at = time.monotonic()
            elif error := responding.exception():
                self.errors.append(error)
            return not disconnected
        finally:
            responding.cancel()
            disconnect.cancel()
            await asyncio.gather(responding, disconnect, return_exceptions=True)

    def _handle(self, exchange: Exchange) -> Coroutine[Any, Any, None]:
        request = exchange.request
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            return exchange.reply(wire.to_json(wire.error("Incorrect API key", "auth")), 401)
        if self.everywhere or request.path.endswith("/chat/completions"):
            return self._behavior.handler(exchange)
        if request.path.endswith("/models"):
            return exchange.reply(wire.to_json(wire.model_list(self.models)))
        return exchange.reply(wire.to_json(wire.error("no such path")), 404)


class NotHTTPError(Exception):
    """The received bytes aren't a request."""


async def read_request(reader: asyncio.StreamReader) -> RecordedRequest | None:
    """Read the next request, None if the client closed the connection."""
    first = await reader.read(1)
    if not first:
        return None
    if not first.isalpha():  # a TLS handshake, whose end can't be recognized
        raise NotHTTPError
    head = first + await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    try:
        method, path, _version = lines[0].split(" ")
        pairs = [line.split(":", 1) for line in lines[1:] if line]
        headers = {name.strip().lower(): value.strip() for name, value in pairs}
    except ValueError as error:
        raise NotHTTPError from error
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return RecordedRequest(method=method, path=path, headers=headers, body=body)


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST: with a linger time of zero the kernel discards unsent data."""
    connection = writer.get_extra_info("socket")
    if connection is not None and not writer.transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
