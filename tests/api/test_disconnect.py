"""A caller who leaves closes the endpoint's connection within 200 ms."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from akash_gradio.gateway.passthrough.sink import Headers
from akash_gradio.http.disconnect import cancel_on_connection_lost, cancel_on_disconnect
from tests.api.serving import CHAT, chat_body, serving_one

PROMPT_S = 0.2


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("name", ["hangs_before_headers", "slow_headers", "hangs_after_headers"])
async def test_before_the_first_token(name: str, stream: bool) -> None:
    async with serving_one(name) as (served, stub), await served.connect() as connection:
        await connection.send("POST", CHAT, chat_body(stream=stream))
        await stub.wait_for_requests()
        left_at = time.monotonic()
        connection.disconnect()
        assert await stub.wait_for_disconnect(PROMPT_S) - left_at < PROMPT_S
        await stub.wait_for_idle()
        (status,) = served.gateway.endpoints()
        assert (status.in_flight, status.reason) == (0, "")


@pytest.mark.parametrize("name", ["hangs_in_the_middle", "slow"])
async def test_after_the_first_token(name: str) -> None:
    async with serving_one(name) as (served, stub), await served.connect() as connection:
        await connection.send("POST", CHAT, chat_body(stream=True))
        await connection.read_head()
        await connection.read_chunk()
        assert b'in_flight{endpoint="only"} 1.0' in served.metrics.export()
        left_at = time.monotonic()
        connection.disconnect()
        assert await stub.wait_for_disconnect(PROMPT_S) - left_at < PROMPT_S
        await stub.wait_for_idle()
        (status,) = served.gateway.endpoints()
        assert (status.in_flight, status.reason) == (0, "")
        assert b'outcome="cancelled"} 1.0' in served.metrics.export()


async def test_between_two_rounds() -> None:
    before = asyncio.all_tasks()
    async with serving_one("status_500", RETRY_ATTEMPTS=5, RETRY_DELAY=30_000) as (served, stub):
        async with await served.connect() as connection:
            await connection.send("POST", CHAT, chat_body())
            await stub.wait_for_requests()
            connection.disconnect()
        async with asyncio.timeout(20):
            assert (await served.receipts.get()).finish == "cancelled"
    assert asyncio.all_tasks() == before


async def test_in_the_middle_of_its_question() -> None:
    async with serving_one() as (served, stub), await served.connect() as connection:
        await connection.send("POST", CHAT, b'{"mod', {"content-length": "500"})
        connection.disconnect()
        assert (await served.ask(chat_body())).status == 200
    assert len(stub.chats) == 1


class Line:
    """An ASGI `receive` whose client leaves when told."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def __call__(self) -> dict[str, str]:
        await self.left.wait()
        return {"type": "http.disconnect"}


async def test_work_that_ends_leaves_no_task_and_no_cancellation() -> None:
    before, done = asyncio.all_tasks(), []

    async def work() -> None:
        done.append(1)

    await cancel_on_disconnect(work(), Line())
    assert done
    assert asyncio.all_tasks() == before


async def test_work_is_cancelled_when_the_client_leaves_and_nobody_hears_of_it() -> None:
    line, task = Line(), asyncio.current_task()
    assert task is not None

    async def work() -> None:
        line.left.set()
        await asyncio.Event().wait()

    await cancel_on_disconnect(work(), line)
    assert task.cancelling() == 0


async def test_the_servers_own_cancellation_comes_through() -> None:
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(cancel_on_disconnect(work(), Line()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_both_at_once_are_the_servers() -> None:
    line, begun = Line(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(cancel_on_disconnect(work(), line))
    await begun.wait()
    line.left.set()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_the_work_comes_through() -> None:
    async def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await cancel_on_disconnect(work(), Line())


class Direct:
    """A connection whose caller leaves when told. calls: what is to be told of it."""

    def __init__(self) -> None:
        self.call: Any = None

    def try_write(self, body: bytes) -> bool:
        raise AssertionError(body)

    def try_respond(self, headers: Headers, body: bytes) -> bool:
        raise AssertionError(headers, body)

    def set_disconnect_callback(self, call: Callable[[], object]) -> None:
        self.call = call

    def clear_disconnect_callback(self, call: Callable[[], object]) -> None:
        assert self.call is call
        self.call = None


async def hangs() -> None:
    await asyncio.Event().wait()


async def test_the_connection_itself_says_that_the_client_has_left() -> None:
    line = Direct()
    task = asyncio.create_task(cancel_on_connection_lost(hangs(), line))
    await asyncio.sleep(0)
    line.call()
    await task
    assert (task.cancelled(), task.cancelling(), line.call) == (False, 0, None)


async def test_the_servers_own_cancellation_and_an_error_come_through_there_too() -> None:
    line = Direct()
    task = asyncio.create_task(cancel_on_connection_lost(hangs(), line))
    await asyncio.sleep(0)
    line.call()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    async def fails() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await cancel_on_connection_lost(fails(), line)
    assert line.call is None
