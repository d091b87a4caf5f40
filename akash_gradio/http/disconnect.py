"""Cancels the work for a response as soon as its client disconnects; for plain ASGI apps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, Protocol

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class DisconnectNotifier(Protocol):
    """Calls back when the client of the request in progress disconnects."""

    def set_disconnect_callback(self, callback: Callable[[], object]) -> None:
        """Call `callback` once when the client disconnects, or soon if it already has.

        It replaces the callback that was set before.
        """
        ...

    def clear_disconnect_callback(self, callback: Callable[[], object]) -> None:
        """Remove `callback`, unless the next request has already replaced it with its own."""
        ...


async def cancel_on_disconnect(work: Coroutine[Any, Any, None], receive: Receive) -> None:
    """Await the work, and cancel it when `receive` reports that the client has disconnected.

    Starlette's StreamingResponse notices a disconnect only at its next send, which may never
    happen while an endpoint is silent. The request's body must have been read.

    The work runs in a separate task, and the current task waits for `receive`, rather than the
    other way round. So a token wakes only the work, and not the server's layers around it.

    Raises:
        BaseException: Whatever the work raises, except its cancellation after a disconnect.
    """
    task = asyncio.current_task()
    assert task is not None
    cancelled_before = task.cancelling()
    work_task = asyncio.create_task(work)
    receiving, work_done = True, False

    def stop_receiving(_task: object) -> None:
        nonlocal work_done
        if receiving:
            work_done = True
            task.cancel()

    work_task.add_done_callback(stop_receiving)
    try:
        while (await receive())["type"] != "http.disconnect":
            pass
    except asyncio.CancelledError:
        # Pass on any cancellation besides our own: see asyncio.Timeout.__aexit__.
        if not work_done or task.cancelling() - 1 > cancelled_before:
            raise
    finally:
        receiving = False
        if work_done:
            task.uncancel()
        if not work_task.done():
            work_task.cancel()
            await asyncio.gather(work_task, return_exceptions=True)
    if not work_task.cancelled():
        work_task.result()


async def cancel_on_connection_lost(
    work: Coroutine[Any, Any, None], connection: DisconnectNotifier
) -> None:
    """Await the work, and cancel it when the connection reports that the client disconnected.

    Does the same as `cancel_on_disconnect`, without a second task and without `receive`.

    Raises:
        BaseException: Whatever the work raises, except its cancellation after a disconnect.
    """
    task = asyncio.current_task()
    assert task is not None
    cancelled_before, disconnected = task.cancelling(), False

    def cancel() -> None:
        nonlocal disconnected
        disconnected = True
        task.cancel()

    connection.set_disconnect_callback(cancel)
    try:
        await work
    except asyncio.CancelledError:
        # Pass on any cancellation besides our own: see asyncio.Timeout.__aexit__.
        if not disconnected or task.cancelling() - 1 > cancelled_before:
            raise
    finally:
        connection.clear_disconnect_callback(cancel)
        if disconnected:
            task.uncancel()
