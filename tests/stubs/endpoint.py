"""A server of our own on a loopback socket, with every byte in its hands."""

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
from tests.stubs.behavior import named


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request as it came in. headers: names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Exchange:
    """One request in a behavior's hands. `write` sends bytes as they are; the rest builds on it."""

    def __init__(self, stub: StubEndpoint, seen: Seen, writer: asyncio.StreamWriter) -> None:
        self.stub, self.request = stub, seen
        self.keeps_alive = False
        self._writer = writer
        self._chunked = False

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def head(
        self, status: int = 200, content_type: str = "text/event-stream", **headers: str
    ) -> None:
        """Status line and headers; the connection closes at the body's end."""
        phrase = HTTPStatus(status).phrase if status in list(HTTPStatus) else "Odd"
        lines = [f"HTTP/1.1 {status} {phrase}", f"content-type: {content_type}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if not self._chunked and "content_length" not in headers:
            lines.append("connection: close")
        await self.write("\r\n".join([*lines, "", ""]).encode())

    async def open_stream(self, content_type: str = "text/event-stream", **headers: str) -> None:
        """Headers of a chunked body, as servers send streams."""
        self._chunked = True
        await self.head(200, content_type, transfer_encoding="chunked", **headers)

    async def send(self, data: bytes) -> None:
        """Some bytes of the body."""
        await self.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    async def end(self) -> None:
        """The body is whole; the connection may serve again."""
        if self._chunked:
            await self.write(b"0\r\n\r\n")
            self.keeps_alive = True

    async def reply(
        self, body: bytes, status: int = 200, content_type: str = "application/json", **headers: str
    ) -> None:
        """A whole answer of known length."""
        await self.head(status, content_type, content_length=str(len(body)), **headers)
        await self.write(body)
        self.keeps_alive = True

    def reset(self) -> None:
        """Drop the connection with RST instead of FIN."""
        reset(self._writer)

    async def hang(self) -> None:
        """Wait until the client leaves."""
        await asyncio.Event().wait()


class StubEndpoint:
    """One endpoint with one behavior. Use it as `async with StubEndpoint("slow") as stub`.

    behavior: a name of `zoo.BEHAVIORS`, an `Animal`, or a function of an `Exchange`, for
    `POST …/chat/completions`. `GET …/models` is answered well unless `everywhere`.
    key: answer 401 to any other one. listening: False reserves the port only, until `listen`.
    requests: what came in, oldest first. faults: exceptions of the behavior itself, raised at exit.
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
        self.requests: list[Seen] = []
        self.closed_at: float | None = None
        self.max_connections = 0
        self.faults: list[BaseException] = []
        self._listening = listening and self._animal.listens
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._reserved: socket.socket | None = None
        self.port = 0

    def set_behavior(self, behavior: object) -> None:
        """Answer the next request so. Takes what the constructor takes."""
        self._animal = named(behavior)

    @property
    def url(self) -> str:
        return f"{self._animal.scheme}://127.0.0.1:{self.port}/v1"

    @property
    def open_connections(self) -> int:
        return len(self._writers)

    @property
    def chats(self) -> list[Seen]:
        """The requests for an answer, without those for the list of models."""
        return [seen for seen in self.requests if seen.method == "POST"]

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
        if self.faults:
            raise self.faults[0]

    async def listen(self) -> None:
        """Take connections, for the first time or again after `kill`."""
        if self._reserved:
            self._reserved.close()
            self._reserved = None
        self._server = await asyncio.start_server(
            self._connected, "127.0.0.1", self.port, backlog=1024, reuse_address=True
        )

    def kill(self) -> None:
        """Stop listening and reset every connection, as a crash does."""
        if self._server:
            self._server.close()
            self._server = None
        self.drop_connections()

    def drop_connections(self) -> None:
        """Reset every connection, and go on listening."""
        for writer in list(self._writers):
            reset(writer)

    async def wait_for_requests(self, count: int = 1, within_s: float = 5.0) -> None:
        """Wait until so many requests for an answer have come in."""
        await self._until(lambda: len(self.chats) >= count, within_s, f"{count} requests")

    async def wait_for_disconnect(self, within_s: float = 0.2) -> float:
        """Wait until a client left in the middle of a request; its time, as `time.monotonic`."""
        await self._until(lambda: self.closed_at is not None, within_s, "a client that leaves")
        assert self.closed_at is not None
        return self.closed_at

    async def wait_for_idle(self, within_s: float = 0.5) -> None:
        """Wait until no connection is open."""
        await self._until(lambda: not self._writers, within_s, "all connections closed")

    async def _until(self, holds: Callable[[], bool], within_s: float, what: str) -> None:
        try:
            async with asyncio.timeout(within_s):
                while not holds():
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"{what}: not within {within_s} s") from None

    def _tell(self) -> None:
        """Wake whoever waits in `_until`."""
        self._news.set()
        self._news = asyncio.Event()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._writers.add(writer)
        self.max_connections = max(self.max_connections, len(self._writers))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while seen := await read_request(reader):
                self.requests.append(seen)
                self._tell()
                exchange = Exchange(self, seen, writer)
                if not await self._answer(exchange, reader) or not exchange.keeps_alive:
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except NotHTTPError:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        finally:
            self._writers.discard(writer)
            writer.close()
            self._tell()

    async def _answer(self, exchange: Exchange, reader: asyncio.StreamReader) -> bool:
        """Let the behavior answer while watching the client; False when the client left first."""
        answering = asyncio.create_task(self._act(exchange))
        leaving = asyncio.create_task(reader.read(1))
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            left = not answering.done() or isinstance(answering.exception(), ConnectionError)
            if left:
                self.closed_at = time.monotonic()
            elif error := answering.exception():
                self.faults.append(error)
            return not left
        finally:
            answering.cancel()
            leaving.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)

    def _act(self, exchange: Exchange) -> Coroutine[Any, Any, None]:
        seen = exchange.request
        if self.key and seen.headers.get("authorization") != f"Bearer {self.key}":
            return exchange.reply(wire.to_json(wire.error("Incorrect API key", "auth")), 401)
        if self.everywhere or seen.path.endswith("/chat/completions"):
            return self._animal.handler(exchange)
        if seen.path.endswith("/models"):
            return exchange.reply(wire.to_json(wire.model_list(self.models)))
        return exchange.reply(wire.to_json(wire.error("no such path")), 404)


class NotHTTPError(Exception):
    """What came in is no request."""


async def read_request(reader: asyncio.StreamReader) -> Seen | None:
    """The next request, None when the client closed instead of asking."""
    first = await reader.read(1)
    if not first:
        return None
    if not first.isalpha():  # a TLS greeting, which has no end that we could wait for
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
    return Seen(method=method, path=path, headers=headers, body=body)


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST: a lingering time of zero makes the kernel throw the rest away."""
    link = writer.get_extra_info("socket")
    if link is not None and not writer.transport.is_closing():
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
