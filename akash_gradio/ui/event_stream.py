"""A server-sent event stream as a bare ASGI response.

Starlette's StreamingResponse notices a visitor who left only at its next send; here
a listener ends the producer at once, also while the endpoint is silent.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Final

from starlette.types import Receive, Scope, Send

HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


class EventStream:
    """Sends each mapping of `events` as one `data:` line of JSON, then ends."""

    def __init__(self, events: AsyncGenerator[Mapping[str, Any], None]) -> None:
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the events end or the client leaves, whichever comes first."""
        producer = asyncio.ensure_future(self._send_all(send))
        listener = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait({producer, listener}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (producer, listener):
                task.cancel()
            results = await asyncio.gather(producer, listener, return_exceptions=True)
        if isinstance(results[0], Exception) and not isinstance(results[0], OSError):
            raise results[0]

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
        async with aclosing(self._events) as events:
            async for event in events:
                line = b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n"
                await send({"type": "http.response.body", "body": line, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
