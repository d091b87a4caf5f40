"""aiohttp's own classes with the shortest way for a packet: `FastConnector`, `FastResponse`.

Between two tokens nothing is needed of what aiohttp keeps of each HTTP chunk, and no task
need wake where the bytes only go on (`Body.pour`). Rests on names of aiohttp's that are its
own business, so requirements.txt keeps to one minor version; the tests notice a change.
Imported with the first session: it costs 0.2 s of CPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from math import inf
from typing import Any, Final

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import StreamReader

MOST_PIECES: Final = 4096
"""Of one body that wait to be read; bytes that come one by one are held back earlier."""

Take = Callable[[bytes], bool]


class Handler(ResponseHandler):
    """One connection. heard_at: when bytes came last, monotonic seconds.

    Where many answers come at once, the last reader's turn is tens of milliseconds later.
    """

    heard_at = inf
    was_paused = False
    pouring: tuple[Body, Take] | None = None

    def data_received(self, data: bytes) -> None:
        """Bytes from the endpoint; none when it reads on in what it held back."""
        if data:
            self.heard_at = time.monotonic()
        super().data_received(data)
        if self.pouring is not None:
            self.pouring[0].pour_on(self.pouring[1])

    def pause_reading(self) -> None:
        """As aiohttp's."""
        self.was_paused = True
        super().pause_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:
        """As aiohttp's, which would parse nothing each time that is asked of it without need."""
        # Once it was paused it may hold bytes back while it is not paused any more.
        if self.was_paused:
            super().resume_reading(resume_parser)

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """As aiohttp's, which tells who waits for a head of bytes that are no HTTP, and not who
        reads a body.
        """
        super().set_exception(exc, *cause)
        body = self._payload
        if isinstance(exc, HttpProcessingError) and body is not None and not body.is_eof():
            body.set_exception(aiohttp.ClientPayloadError())


class Body(StreamReader):
    """A body as it comes. Made of aiohttp's by its class alone: nothing more fits in."""

    __slots__ = ()
    _protocol: Handler
    _buffer: list[bytes]  # type: ignore[assignment]  # a deque has 760 bytes, in every open stream

    def feed_data(self, data: bytes, size: int = 0) -> bool:
        """Bytes of it; called by the parser."""
        self._size += len(data)
        self._buffer.append(data)
        if self._protocol.pouring is None:
            self._wake()
        if self._size > self._high_water or len(self._buffer) > MOST_PIECES:
            self._protocol.pause_reading()
        return False

    def begin_http_chunk_receiving(self) -> None:
        """Nobody asks where the chunks of a body begin."""

    def end_http_chunk_receiving(self) -> None:
        """Nor where they end."""

    async def take(self) -> bytes:
        """What has come, b"" at the end. Raises what aiohttp's `readany` raises."""
        while not self._buffer:
            if self._exception is not None:
                raise self._exception
            if self._eof:
                return b""
            await self._wait_for_it()
        return self._taken()

    async def pour(self, take: Take) -> None:
        """Give what comes to `take` where it comes, until that says False, or at the end.

        What it did not take is for the method `take`, as the end and errors are.
        """
        if self._buffer or self._eof or self._exception is not None:
            return
        self._protocol.pouring = self, take
        try:
            await self._wait_for_it()
        except Exception:
            if self._exception is None:
                raise  # it is take's own
        finally:
            self._protocol.pouring = None

    def pour_on(self, take: Take) -> None:
        """Bytes of its connection came."""
        if self._waiter is None or not self._buffer:
            return  # woken by the end or an error; or no byte of the body was among them
        try:
            taken = take(b"".join(self._buffer))
        except Exception as error:
            self._waiter.set_exception(error)
            self._waiter = None
            return
        if taken:
            self._taken()
        else:
            self._wake()

    async def _wait_for_it(self) -> None:
        waiter = self._waiter = self._loop.create_future()
        try:
            await waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def _taken(self) -> bytes:
        buffer = self._buffer
        data = buffer[0] if len(buffer) == 1 else b"".join(buffer)
        buffer.clear()
        self._size = 0
        if self._protocol.was_paused:
            self._protocol.resume_reading()
        return data


class FastConnector(aiohttp.TCPConnector):
    """Connections that are `Handler`s."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        handler: Any = Handler
        self._factory = partial(handler, loop=self._loop)


class FastResponse(aiohttp.ClientResponse):
    """handler: of its connection, which is given back before all is read."""

    handler: Handler

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """As aiohttp's."""
        handler = connection.protocol
        assert isinstance(handler, Handler)
        self.handler = handler
        await super().start(connection)
        if type(self.content) is StreamReader:
            _make_body(self.content)
        return self


def _make_body(content: Any) -> None:
    """Of one of aiohttp's, which has perhaps some bytes already."""
    content.__class__ = Body
    content._buffer = list(content._buffer)
    content._http_chunk_splits = None
