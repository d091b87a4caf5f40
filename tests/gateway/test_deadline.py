from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import pytest

from akash_gradio.gateway.deadline import Deadline, DeadlineExceeded

T = TypeVar("T")


async def wait_forever() -> None:
    await asyncio.get_running_loop().create_future()


async def wait(deadline: Deadline, awaitable: Awaitable[T]) -> T:
    with deadline:
        return await awaitable


async def test_a_wait_that_ends_in_time_returns_its_result() -> None:
    deadline = Deadline(30)
    assert await wait(deadline, asyncio.sleep(0, "it")) == "it"
    deadline.close()


async def test_a_wait_that_takes_too_long_ends_and_leaves_the_task_uncancelled() -> None:
    with pytest.raises(DeadlineExceeded):
        await wait(Deadline(0.01), wait_forever())
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_time_between_waits_does_not_count() -> None:
    deadline = Deadline(0.05)
    await wait(deadline, asyncio.sleep(0))
    await asyncio.sleep(0.08)  # the deadline uses a real timer
    await wait(deadline, asyncio.sleep(0))
    deadline.close()


async def test_several_waits_share_the_time_unless_it_is_renewed() -> None:
    deadline = Deadline(0.05)

    async def wait_often() -> None:
        for _ in range(100):
            await wait(deadline, asyncio.sleep(0.01))

    with pytest.raises(DeadlineExceeded):
        await wait_often()
    deadline.renew(0.5)
    await wait(deadline, asyncio.sleep(0.06))
    deadline.close()


async def test_a_timer_armed_before_the_renewal_does_not_cancel_after_it() -> None:
    deadline = Deadline(0.02)
    await wait(deadline, asyncio.sleep(0))
    deadline.renew(60)
    await wait(deadline, asyncio.sleep(0.05))
    deadline.close()


async def test_a_wait_in_progress_can_be_extended() -> None:
    deadline = Deadline(0.05)

    async def extend_then_hang() -> None:
        for _ in range(5):
            await asyncio.sleep(0.03)
            deadline.extend(0.05)
        deadline.extend(0.01)
        await wait_forever()

    async with asyncio.timeout(20):
        with pytest.raises(DeadlineExceeded):
            await wait(deadline, extend_then_hang())
    deadline.renew(60)
    await wait(deadline, asyncio.sleep(0))
    deadline.close()


async def test_shorten_lowers_the_time_left_and_never_raises_it() -> None:
    deadline = Deadline(0.02)
    deadline.shorten(60)
    async with asyncio.timeout(20):
        with pytest.raises(DeadlineExceeded):
            await wait(deadline, wait_forever())
    deadline.renew(60)
    await wait(deadline, asyncio.sleep(0))
    deadline.shorten(0.01)
    async with asyncio.timeout(20):
        with pytest.raises(DeadlineExceeded):
            await wait(deadline, wait_forever())


async def test_a_cancellation_from_outside_passes_through() -> None:
    deadline = Deadline(60)
    waiting = asyncio.create_task(wait(deadline, wait_forever()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    deadline.close()


async def test_a_cancellation_at_the_moment_of_the_timeout_passes_through() -> None:
    deadline = Deadline(60)
    waiting = asyncio.create_task(wait(deadline, wait_forever()))
    await asyncio.sleep(0)
    deadline._due = 0.0
    deadline._on_timer()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_other_errors_pass_through() -> None:
    async def fail() -> None:
        raise KeyError

    deadline = Deadline(60)
    with pytest.raises(KeyError):
        await wait(deadline, fail())
    deadline.close()
