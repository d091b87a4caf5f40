from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import pytest

from akash_gradio.gateway.deadline import Deadline, DeadlineExceeded

T = TypeVar("T")


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


async def wait(deadline: Deadline, for_what: Awaitable[T]) -> T:
    with deadline:
        return await for_what


async def test_gives_what_came_in_time() -> None:
    deadline = Deadline(30)
    assert await wait(deadline, asyncio.sleep(0, "it")) == "it"
    deadline.close()


async def test_ends_a_wait_that_is_too_long_and_leaves_the_task_uncancelled() -> None:
    with pytest.raises(DeadlineExceeded):
        await wait(Deadline(0.01), forever())
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_time_between_waits_does_not_count() -> None:
    deadline = Deadline(0.05)
    await wait(deadline, asyncio.sleep(0))
    await asyncio.sleep(0.08)  # real: the timer under test is
    await wait(deadline, asyncio.sleep(0))
    deadline.close()


async def test_many_waits_share_the_seconds_unless_they_are_renewed() -> None:
    deadline = Deadline(0.05)

    async def waits_often() -> None:
        for _ in range(100):
            await wait(deadline, asyncio.sleep(0.01))

    with pytest.raises(DeadlineExceeded):
        await waits_often()
    deadline.renew(0.5)
    await wait(deadline, asyncio.sleep(0.06))
    deadline.close()


async def test_a_timer_armed_before_the_renewal_does_not_strike_after_it() -> None:
    deadline = Deadline(0.02)
    await wait(deadline, asyncio.sleep(0))
    deadline.renew(60)
    await wait(deadline, asyncio.sleep(0.05))
    deadline.close()


async def test_a_wait_can_go_on_for_the_next() -> None:
    deadline = Deadline(0.05)

    async def comes_by_and_by() -> None:
        for _ in range(5):
            await asyncio.sleep(0.03)
            deadline.extend(0.05)
        deadline.extend(0.01)
        await forever()

    async with asyncio.timeout(20):
        with pytest.raises(DeadlineExceeded):
            await wait(deadline, comes_by_and_by())
    deadline.renew(60)
    await wait(deadline, asyncio.sleep(0))
    deadline.close()


async def test_can_be_shortened_and_not_prolonged_so() -> None:
    deadline = Deadline(0.02)
    deadline.shorten(60)
    async with asyncio.timeout(20):
        with pytest.raises(DeadlineExceeded):
            await wait(deadline, forever())
    deadline.renew(60)
    await wait(deadline, asyncio.sleep(0))
    deadline.shorten(0.01)
    async with asyncio.timeout(20):
        with pytest.raises(DeadlineExceeded):
            await wait(deadline, forever())


async def test_a_cancellation_from_outside_passes_through() -> None:
    deadline = Deadline(60)
    waiting = asyncio.create_task(wait(deadline, forever()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    deadline.close()


async def test_a_cancellation_at_the_very_moment_is_not_swallowed() -> None:
    deadline = Deadline(60)
    waiting = asyncio.create_task(wait(deadline, forever()))
    await asyncio.sleep(0)
    deadline._due = 0.0
    deadline._on_timer()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_other_errors_pass_through() -> None:
    async def breaks() -> None:
        raise KeyError

    deadline = Deadline(60)
    with pytest.raises(KeyError):
        await wait(deadline, breaks())
    deadline.close()
