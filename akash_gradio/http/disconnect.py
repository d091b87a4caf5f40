"""Ends what is being sent as soon as its reader leaves; for bare ASGI responses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any

from akash_gradio.http.connection import Connection

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


async def cancel_on_disconnect(work: Coroutine[Any, Any, None], receive: Receive) -> None:
    """Await the work, and cancel it when `receive` says that the client has gone.

    Starlette's StreamingResponse notices that at its next send, which may never come while
    an endpoint is silent. The request's body must have been read. What the work raises comes
    out; its being cancelled for this reason doesn't.

    The work has a task of its own and this one listens, not the other way round: so a token
    wakes the work alone, and not the server's layers around it.
    """
    task = asyncio.current_task()
    assert task is not None
    cancelled_before = task.cancelling()
    working = asyncio.create_task(work)
    listening, woken = True, False

    def wake(_working: object) -> None:
        nonlocal woken
        if listening:
            woken = True
            task.cancel()

    working.add_done_callback(wake)
    try:
        while (await receive())["type"] != "http.disconnect":
            pass
    except asyncio.CancelledError:
        # Ours alone, and nobody else's besides: see asyncio.Timeout.__aexit__.
        if not woken or task.cancelling() - 1 > cancelled_before:
            raise
    finally:
        listening = False
        if woken:
            task.uncancel()
        if not working.done():
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
    if not working.cancelled():
        working.result()


async def cancel_on_connection_lost(
    work: Coroutine[Any, Any, None], connection: Connection
) -> None:
    """The same where the connection itself can be asked: no task, and nothing that listens."""
    task = asyncio.current_task()
    assert task is not None
    cancelled_before, left = task.cancelling(), False

    def leave() -> None:
        nonlocal left
        left = True
        task.cancel()

    connection.set_disconnect_callback(leave)
    try:
        await work
    except asyncio.CancelledError:
        # Ours alone, and nobody else's besides: see asyncio.Timeout.__aexit__.
        if not left or task.cancelling() - 1 > cancelled_before:
            raise
    finally:
        connection.clear_disconnect_callback(leave)
        if left:
            task.uncancel()
