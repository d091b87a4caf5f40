"""Subclasses of aiohttp's connector, connection and body that do less for each packet.

Between two tokens aiohttp's record of each HTTP chunk isn't needed, and no task has to wake if
the bytes are only forwarded (`FastBody.pipe_to`). This module relies on private
names of aiohttp, so requirements.txt allows one minor version; the tests notice a change.
It is imported with the first session: importing aiohttp costs 0.2 s of CPU.
"""

from __future__ import annotations

import time
from functools import partial
from math import inf
from typing import Any, Final

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import StreamReader

from akash_gradio.gateway.passthrough.sink import Sink

MAX_PIECES: Final = 4096
"""Unread pieces of one body above which reading pauses; it bounds bodies of single bytes."""


class FastHandler(ResponseHandler):
    """One connection.

    Attributes:
        received_at: When bytes were last received, in monotonic seconds. With many concurrent
            responses the last reader runs tens of milliseconds later.
        was_paused: Whether reading was ever paused.
        pipe: The body that is piped now, and its sink.
    """

    received_at = inf
    was_paused = False
    pipe: tuple[FastBody, Sink] | None = None

    def data_received(self, data: bytes) -> None:
        """Parse bytes from the endpoint; none when aiohttp continues with what it buffered."""
        if data:
            self.received_at = time.monotonic()
        super().data_received(data)
        if self.pipe is not None:
            self.pipe[0].write_to(self.pipe[1])

    def pause_reading(self) -> None:
        """Pause as aiohttp does, and remember it."""
        self.was_paused = True
        super().pause_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Resume as aiohttp does, but only after a pause: aiohttp would parse nothing each time."""
        # After a pause the parser may still hold bytes back.
        if self.was_paused:
            super().resume_reading(resume_parser)

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """Raise a parser error in the reader of the body too.

        aiohttp raises it only for a reader that waits for a response head.
        """
        super().set_exception(exc, *cause)
        body = self._payload
        if isinstance(exc, HttpProcessingError) and body is not None and not body.is_eof():
            body.set_exception(aiohttp.ClientPayloadError())


class FastBody(StreamReader):
    """A body without aiohttp's record of HTTP chunks.

    An instance of aiohttp's class becomes one by a change of its `__class__`, so it can have
    no attributes of its own.
    """

    __slots__ = ()
    _protocol: FastHandler
    _buffer: list[bytes]  # type: ignore[assignment]  # a deque has 760 bytes, in every open stream

    def feed_data(self, data: bytes, size: int = 0) -> bool:
        """Append bytes; called by the parser."""
        self._size += len(data)
        self._buffer.append(data)
        if self._protocol.pipe is None:
            self._wake()
        if self._size > self._high_water or len(self._buffer) > MAX_PIECES:
            self._protocol.pause_reading()
        return False

    def begin_http_chunk_receiving(self) -> None:
        """Do nothing: the boundaries of HTTP chunks aren't needed."""

    def end_http_chunk_receiving(self) -> None:
        """Do nothing: the boundaries of HTTP chunks aren't needed."""

    async def read_available(self) -> bytes:
        """Return everything received, b"" at the end. Raises what aiohttp's `readany` raises."""
        while not self._buffer:
            if self._exception is not None:
                raise self._exception
            if self._eof:
                return b""
            await self._wait_for_data()
        return self._take_buffer()

    async def pipe_to(self, sink: Sink) -> None:
        """Write what is received to the sink, directly from the connection's callback.

        Returns when the sink refuses a write, and at the end or at an error of the body; what
        the sink refused, the end and the error are left for `read_available`.
        """
        if self._buffer or self._eof or self._exception is not None:
            return
        self._protocol.pipe = self, sink
        try:
            await self._wait_for_data()
        except Exception:
            if self._exception is None:
                raise  # it comes from the sink
        finally:
            self._protocol.pipe = None

    def write_to(self, sink: Sink) -> None:
        """Write the buffer to the sink of `pipe_to`; called when the connection received bytes."""
        if self._waiter is None or not self._buffer:
            return  # woken by the end or an error, or the bytes contained nothing of the body
        try:
            written = sink.try_write(b"".join(self._buffer))
        except Exception as error:
            self._waiter.set_exception(error)
            self._waiter = None
            return
        if written:
            self._take_buffer()
        else:
            self._wake()

    async def _wait_for_data(self) -> None:
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

    def _take_buffer(self) -> bytes:
        buffer = self._buffer
        data = buffer[0] if len(buffer) == 1 else b"".join(buffer)
        buffer.clear()
        self._size = 0
        if self._protocol.was_paused:
            self._protocol.resume_reading()
        return data


class FastConnector(aiohttp.TCPConnector):
    """A connector whose connections are `FastHandler`s."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        handler: Any = FastHandler
        self._factory = partial(handler, loop=self._loop)


class FastResponse(aiohttp.ClientResponse):
    """A response with a `FastBody`.

    Attributes:
        handler: The connection, kept after aiohttp gave it back before the body was read.
    """

    handler: FastHandler

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Read the head as aiohttp does, and replace the body's class."""
        handler = connection.protocol
        assert isinstance(handler, FastHandler)
        self.handler = handler
        await super().start(connection)
        if type(self.content) is StreamReader:
            _make_fast(self.content)
        return self


def _make_fast(content: Any) -> None:
    """Turn one of aiohttp's bodies, which may hold bytes already, into a `FastBody`."""
    content.__class__ = FastBody
    content._buffer = list(content._buffer)
    content._http_chunk_splits = None
