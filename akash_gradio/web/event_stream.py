"""A server-sent event stream as a bare ASGI response."""

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


BEAT: Final = b": waiting\n\n"
"""A comment, which readers skip. Proxies cut a connection that is silent for a minute."""


class EventStream:
    """Sends each mapping of `events` as one `data:` line of JSON, then ends.

    beat_s: seconds between comments that keep the connection open.
    """

    def __init__(
        self, events: AsyncGenerator[Mapping[str, Any], None], *, beat_s: float = 15.0
    ) -> None:
        self._events, self._beat_s = events, beat_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the events end or the client leaves, whichever comes first."""
        with suppress(OSError):  # a client that is gone at a send
            await cancel_on_disconnect(self._send_all(send), receive)

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
        beating = asyncio.create_task(self._beat(send))
        try:
            async with aclosing(self._events) as events:
                async for event in events:
                    line = b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n"
                    await send({"type": "http.response.body", "body": line, "more_body": True})
        finally:
            beating.cancel()
            await asyncio.wait({beating})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _beat(self, send: Send) -> None:
        with suppress(OSError):
            while True:
                await asyncio.sleep(self._beat_s)
                await send({"type": "http.response.body", "body": BEAT, "more_body": True})
