"""uvicorn protocols: one that limits slow request heads, and one that offers a `ClientConnection`.

uvicorn itself waits for a request head without a time limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from akash_gradio.gateway.passthrough.sink import EXTENSION, Headers

HEAD_TIMEOUT_S: Final = 20.0
"""Seconds for a request head, from the start of the connection or the end of the last response."""
MAX_HEAD_BYTES: Final = 64 * 1024


class HeadTimeoutProtocol(HttpToolsProtocol):
    """uvicorn's httptools protocol with a time and a size limit for each request head.

    Between two requests uvicorn's keep-alive timeout applies; this one continues when a head
    arrives byte by byte.
    """

    # Instances share the keys of their dictionaries only up to 30 attributes; without slots the
    # additional ones would cost 1 KB for each connection. Source: CPython, SHARED_KEYS_MAX_SIZE.
    __slots__ = ("_head_bytes", "_previous_cycle", "_timer")
    head_timeout_s = HEAD_TIMEOUT_S

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self._previous_cycle: object = None
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer of the first head."""
        super().connection_made(transport)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        """Parse bytes, and count those of a head."""
        super().data_received(data)
        if self._timer is None:
            return
        self._head_bytes += len(data)
        if self.cycle is not self._previous_cycle:
            self._stop_timer()
        elif self._head_bytes > MAX_HEAD_BYTES:
            self.transport.close()

    def on_response_complete(self) -> None:
        """Start the timer of the next head."""
        super().on_response_complete()
        if self._timer is None and not self.transport.is_closing():
            self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def _start_timer(self) -> None:
        self._previous_cycle, self._head_bytes = self.cycle, 0
        self._timer = self.loop.call_later(self.head_timeout_s, self._on_timeout)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timeout(self) -> None:
        self._timer = None
        responding = self.cycle is not None and not self.cycle.response_complete
        if responding or self.transport.is_closing():
            return
        if self._head_bytes or self.timeout_keep_alive_task is None:
            self.transport.close()
        else:  # idle between two requests: uvicorn's keep-alive timeout closes it
            self._start_timer()


class PassthroughProtocol(HeadTimeoutProtocol):
    """The same protocol, which is the `ClientConnection` of its requests in turn."""

    __slots__ = ("_disconnect_callback",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._disconnect_callback: Callable[[], object] | None = None

    def on_message_begin(self) -> None:
        """Offer the connection in the scope of the request that begins."""
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: self}  # type: ignore[dict-item]  # our extension

    def connection_lost(self, exc: Exception | None) -> None:
        """Notify the request in progress."""
        super().connection_lost(exc)
        self._notify_disconnect()

    def try_write(self, data: bytes) -> bool:
        """See `Sink.try_write`: write a chunk of a response that has begun."""
        # With a pipelined request behind this one, the cycle is that request's, not yet begun.
        cycle = self.cycle
        if (
            self.flow.write_paused
            or cycle.disconnected
            or cycle.response_complete
            or not (cycle.response_started and cycle.chunked_encoding)
        ):
            return False
        self.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        return True

    def try_respond(self, headers: Headers, body: bytes) -> bool:
        """See `ClientConnection.try_respond`."""
        cycle = self.cycle
        # With a pipelined request behind this one, the cycle is that request's.
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
        lines = [b"%b: %b\r\n" % pair for pair in (*self.server_state.default_headers, *headers)]
        length = b"content-length: %d\r\n\r\n" % len(body)
        self.transport.write(b"".join((b"HTTP/1.1 200 OK\r\n", *lines, length, body)))
        cycle.message_event.set()
        cycle.on_response()
        return True

    def set_disconnect_callback(self, callback: Callable[[], object]) -> None:
        """See `DisconnectNotifier.set_disconnect_callback`."""
        self._disconnect_callback = callback
        if self.cycle.disconnected:
            self.loop.call_soon(self._notify_disconnect)

    def clear_disconnect_callback(self, callback: Callable[[], object]) -> None:
        """See `DisconnectNotifier.clear_disconnect_callback`."""
        if self._disconnect_callback is callback:
            self._disconnect_callback = None

    def _notify_disconnect(self) -> None:
        callback, self._disconnect_callback = self._disconnect_callback, None
        if callback is not None:
            callback()
