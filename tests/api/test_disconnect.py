"""A client that disconnects closes the connection to the endpoint within 200 ms."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from akash_gradio.http.disconnect import cancel_on_connection_lost, cancel_on_disconnect
from tests.api.serving import CHAT, chat_body, serving_one

PROMPT_S = 0.2


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("name", ["hangs_before_headers", "slow_headers", "hangs_after_headers"])
async def test_a_disconnect_before_the_first_token_closes_the_upstream_connection(
    name: str, stream: bool
) -> None:
    async with serving_one(name) as (served, stub), await served.connect() as connection:
        await connection.send("POST", CHAT, chat_body(stream=stream))
        await stub.wait_for_requests()
        disconnected_at = time.monotonic()
        connection.disconnect()
        assert await stub.wait_for_disconnect(PROMPT_S) - disconnected_at < PROMPT_S
        await stub.wait_for_idle()
        (status,) = served.gateway.endpoints()
        assert (status.in_flight, status.reason) == (0, "")


@pytest.mark.parametrize("name", ["hangs_in_the_middle", "slow"])
async def test_a_disconnect_after_the_first_token_closes_the_upstream_connection(name: str) -> None:
    async with serving_one(name) as (served, stub), await served.connect() as connection:
        await connection.send("POST", CHAT, chat_body(stream=True))
        await connection.read_head()
        await connection.read_chunk()
        assert b'in_flight{endpoint="only"} 1.0' in served.metrics.export()
        disconnected_at = time.monotonic()
        connection.disconnect()
        assert await stub.wait_for_disconnect(PROMPT_S) - disconnected_at < PROMPT_S
        await stub.wait_for_idle()
        (status,) = served.gateway.endpoints()
        assert (status.in_flight, status.reason) == (0, "")
        assert b'outcome="cancelled"} 1.0' in served.metrics.export()


async def test_a_disconnect_during_the_backoff_ends_the_request() -> None:
    before = asyncio.all_tasks()
    async with serving_one("status_500", RETRY_ATTEMPTS=5, RETRY_DELAY=30_000) as (served, stub):
        async with await served.connect() as connection:
            await connection.send("POST", CHAT, chat_body())
            await stub.wait_for_requests()
            connection.disconnect()
        async with asyncio.timeout(20):
            assert (await served.receipts.get()).finish == "cancelled"
    assert asyncio.all_tasks() == before


async def test_a_disconnect_within_the_request_body_sends_nothing_upstream() -> None:
    async with serving_one() as (served, stub), await served.connect() as connection:
        await connection.send("POST", CHAT, b'{"mod', {"content-length": "500"})
        connection.disconnect()
        assert (await served.ask(chat_body())).status == 200
    assert len(stub.chats) == 1


class Receive:
    """An ASGI `receive` whose client disconnects when the event is set."""

    def __init__(self) -> None:
        self.disconnected = asyncio.Event()

    async def __call__(self) -> dict[str, str]:
        await self.disconnected.wait()
        return {"type": "http.disconnect"}


async def test_work_that_ends_leaves_no_task_and_no_cancellation() -> None:
    before, done = asyncio.all_tasks(), []

    async def work() -> None:
        done.append(1)

    await cancel_on_disconnect(work(), Receive())
    assert done
    assert asyncio.all_tasks() == before


async def test_work_is_cancelled_silently_when_the_client_disconnects() -> None:
    receive, task = Receive(), asyncio.current_task()
    assert task is not None

    async def work() -> None:
        receive.disconnected.set()
        await asyncio.Event().wait()

    await cancel_on_disconnect(work(), receive)
    assert task.cancelling() == 0


async def test_a_cancellation_by_the_server_passes_through() -> None:
    started = asyncio.Event()

    async def work() -> None:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(cancel_on_disconnect(work(), Receive()))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_and_a_disconnect_at_once_raise_the_cancellation() -> None:
    receive, started = Receive(), asyncio.Event()

    async def work() -> None:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(cancel_on_disconnect(work(), receive))
    await started.wait()
    receive.disconnected.set()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_the_work_passes_through() -> None:
    async def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await cancel_on_disconnect(work(), Receive())


class Notifier:
    """A connection that keeps the disconnect callback for the test to call."""

    def __init__(self) -> None:
        self.callback: Callable[[], object] | None = None

    def set_disconnect_callback(self, callback: Callable[[], object]) -> None:
        self.callback = callback

    def clear_disconnect_callback(self, callback: Callable[[], object]) -> None:
        assert self.callback is callback
        self.callback = None

    def disconnect(self) -> None:
        assert self.callback is not None
        self.callback()


async def hang() -> None:
    await asyncio.Event().wait()


async def test_work_is_cancelled_by_the_callback_of_the_connection() -> None:
    notifier = Notifier()
    task = asyncio.create_task(cancel_on_connection_lost(hang(), notifier))
    await asyncio.sleep(0)
    notifier.disconnect()
    await task
    assert (task.cancelled(), task.cancelling(), notifier.callback) == (False, 0, None)


async def test_other_cancellations_and_errors_pass_through_the_connection_variant() -> None:
    notifier = Notifier()
    task = asyncio.create_task(cancel_on_connection_lost(hang(), notifier))
    await asyncio.sleep(0)
    notifier.disconnect()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    async def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await cancel_on_connection_lost(fail(), notifier)
    assert notifier.callback is None
