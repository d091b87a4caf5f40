"""Server-sent events as an ASGI response that ends as soon as the client disconnects."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import Any, Final

from starlette.types import Receive, Scope, Send

from akash_gradio.http.disconnect import cancel_on_disconnect

HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)
HEARTBEAT: Final = b": waiting\n\n"
"""A comment, which clients ignore. Proxies close a connection that is silent for a minute."""


class EventStream:
    """Sends each event as one `data:` line of JSON.

    Args:
        events: The events; the generator is closed with the response.
        heartbeat_s: Seconds between comments that keep the connection open.
    """

    def __init__(
        self, events: AsyncGenerator[Mapping[str, Any], None], *, heartbeat_s: float = 15.0
    ) -> None:
        self._events, self._heartbeat_s = events, heartbeat_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the events end or the client disconnects."""
        with suppress(OSError):  # the client disconnected during a send
            await cancel_on_disconnect(self._send_all(send), receive)

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
        heartbeat = asyncio.create_task(self._send_heartbeats(send))
        try:
            async with aclosing(self._events) as events:
                async for event in events:
                    line = b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n"
                    await send({"type": "http.response.body", "body": line, "more_body": True})
        finally:
            heartbeat.cancel()
            await asyncio.wait({heartbeat})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_heartbeats(self, send: Send) -> None:
        with suppress(OSError):
            while True:
                await asyncio.sleep(self._heartbeat_s)
                await send({"type": "http.response.body", "body": HEARTBEAT, "more_body": True})
