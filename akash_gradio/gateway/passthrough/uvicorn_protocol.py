"""Connections that bring nothing are closed; the server itself would keep them for ever.

And connections that an app may use directly, where nothing stands before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from akash_gradio.http.connection import EXTENSION, Headers

HEAD_TIMEOUT_S: Final = 20.0
"""In which a request's head must have come, from the connection's beginning or the last answer."""
MAX_HEAD_BYTES: Final = 64 * 1024


class HeadTimeoutProtocol(HttpToolsProtocol):
    """uvicorn's own over httptools, with a limit of time and of size for each request's head.

    Between two requests uvicorn's keep-alive timeout holds; this one goes on when a head
    has begun to come, byte by byte.
    """

    # With a thirty-first attribute an instance no longer shares its names with the others: 1 KB.
    __slots__ = ("_before", "_head_bytes", "_timer")
    head_timeout_s = HEAD_TIMEOUT_S

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._timer: asyncio.TimerHandle | None = None
        self._before: object = None
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection, and the time in which it must say what it wants."""
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Bytes. Those of a head are counted."""
        super().data_received(data)
        if self._timer is None:
            return
        self._head_bytes += len(data)
        if self.cycle is not self._before:
            self._stop_waiting()
        elif self._head_bytes > MAX_HEAD_BYTES:
            self.transport.close()

    def on_response_complete(self) -> None:
        """An answer is out; the next head may come."""
        super().on_response_complete()
        if self._timer is None and not self.transport.is_closing():
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        self._before, self._head_bytes = self.cycle, 0
        self._timer = self.loop.call_later(self.head_timeout_s, self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering or self.transport.is_closing():
            return
        if self._head_bytes or self.timeout_keep_alive_task is None:
            self.transport.close()
        else:  # idle between two requests, which uvicorn's keep-alive timeout sees to
            self._wait_for_head()


class PassthroughProtocol(HeadTimeoutProtocol):
    """The same, and the `Connection` of its requests, one after the other."""

    __slots__ = ("_call_when_left",)

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._call_when_left: Callable[[], object] | None = None

    def on_message_begin(self) -> None:
        """A request begins to come."""
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: self}  # type: ignore[dict-item]  # ours

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        super().connection_lost(exc)
        self._tell_of_leaving()

    def try_write(self, body: bytes) -> bool:
        """See `Connection.try_write`."""
        # With a second request behind this one, the cycle is that one's, and has not begun.
        cycle = self.cycle
        if (
            self.flow.write_paused
            or cycle.disconnected
            or cycle.response_complete
            or not (cycle.response_started and cycle.chunked_encoding)
        ):
            return False
        self.transport.write(b"%x\r\n%b\r\n" % (len(body), body))
        return True

    def try_respond(self, headers: Headers, body: bytes) -> bool:
        """See `Connection.try_respond`."""
        cycle = self.cycle
        # With a second request behind this one, the cycle is that one's.
        if (
            self.pipeline
            or self.flow.write_paused
            or cycle.disconnected
            or cycle.response_started
            or not cycle.keep_alive
            or self.scope["method"] == "HEAD"
        ):
            return False
        cycle.response_started = cycle.response_complete = True
        lines = [b"%b: %b\r\n" % each for each in (*self.server_state.default_headers, *headers)]
        length = b"content-length: %d\r\n\r\n" % len(body)
        self.transport.write(b"".join((b"HTTP/1.1 200 OK\r\n", *lines, length, body)))
        cycle.message_event.set()
        cycle.on_response()
        return True

    def set_disconnect_callback(self, call: Callable[[], object]) -> None:
        """See `Connection.set_disconnect_callback`."""
        self._call_when_left = call
        if self.cycle.disconnected:
            self.loop.call_soon(self._tell_of_leaving)

    def clear_disconnect_callback(self, call: Callable[[], object]) -> None:
        """See `Connection.clear_disconnect_callback`."""
        if self._call_when_left is call:
            self._call_when_left = None

    def _tell_of_leaving(self) -> None:
        call, self._call_when_left = self._call_when_left, None
        if call is not None:
            call()
