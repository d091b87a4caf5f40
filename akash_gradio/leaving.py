"""Ends what is being sent as soon as its reader leaves; for bare ASGI responses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


async def until_left(work: Awaitable[None], receive: Receive) -> None:
    """Await the work, and cancel it when `receive` says that the client has gone.

    Starlette's StreamingResponse notices that at its next send, which may never come while
    an endpoint is silent. The request's body must have been read. What the work raises comes
    out; its being cancelled for this reason doesn't.
    """
    task = asyncio.current_task()
    assert task is not None
    cancelled_before = task.cancelling()
    left = False

    async def listen() -> None:
        nonlocal left
        while (await receive())["type"] != "http.disconnect":
            pass
        left = True
        task.cancel()

    listener = asyncio.create_task(listen())
    try:
        await work
    except asyncio.CancelledError:
        # Ours alone, and nobody else's besides: see asyncio.Timeout.__aexit__.
        if not left or task.cancelling() - 1 > cancelled_before:
            raise
    finally:
        listener.cancel()
        if left:
            task.uncancel()
        await asyncio.wait({listener})
