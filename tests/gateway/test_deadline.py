from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import pytest

from akash_gradio.gateway.deadline import Deadline, DeadlineExceeded

T = TypeVar("T")


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


async def wait(patience: Deadline, for_what: Awaitable[T]) -> T:
    with patience:
        return await for_what


async def test_gives_what_came_in_time() -> None:
    patience = Deadline(30)
    assert await wait(patience, asyncio.sleep(0, "it")) == "it"
    patience.close()


async def test_ends_a_wait_that_is_too_long_and_leaves_the_task_uncancelled() -> None:
    with pytest.raises(DeadlineExceeded):
        await wait(Deadline(0.01), forever())
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_time_between_waits_does_not_count() -> None:
    patience = Deadline(0.05)
    await wait(patience, asyncio.sleep(0))
    await asyncio.sleep(0.08)  # real: the timer under test is
    await wait(patience, asyncio.sleep(0))
    patience.close()


async def test_many_waits_share_the_seconds_unless_they_are_renewed() -> None:
    patience = Deadline(0.05)

    async def waits_often() -> None:
        for _ in range(100):
            await wait(patience, asyncio.sleep(0.01))

    with pytest.raises(DeadlineExceeded):
        await waits_often()
    patience.renew(0.5)
    await wait(patience, asyncio.sleep(0.06))
    patience.close()


async def test_a_timer_armed_before_the_renewal_does_not_strike_after_it() -> None:
    patience = Deadline(0.02)
    await wait(patience, asyncio.sleep(0))
    patience.renew(60)
    await wait(patience, asyncio.sleep(0.05))
    patience.close()


async def test_a_wait_can_go_on_for_the_next() -> None:
    patience = Deadline(0.05)

    async def comes_by_and_by() -> None:
        for _ in range(5):
            await asyncio.sleep(0.03)
            patience.go_on(0.05)
        patience.go_on(0.01)
        await forever()

    async with asyncio.timeout(20):
        with pytest.raises(DeadlineExceeded):
            await wait(patience, comes_by_and_by())
    patience.renew(60)
    await wait(patience, asyncio.sleep(0))
    patience.close()


async def test_can_be_shortened_and_not_prolonged_so() -> None:
    patience = Deadline(0.02)
    patience.shorten(60)
    async with asyncio.timeout(20):
        with pytest.raises(DeadlineExceeded):
            await wait(patience, forever())
    patience.renew(60)
    await wait(patience, asyncio.sleep(0))
    patience.shorten(0.01)
    async with asyncio.timeout(20):
        with pytest.raises(DeadlineExceeded):
            await wait(patience, forever())


async def test_a_cancellation_from_outside_passes_through() -> None:
    patience = Deadline(60)
    waiting = asyncio.create_task(wait(patience, forever()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    patience.close()


async def test_a_cancellation_at_the_very_moment_is_not_swallowed() -> None:
    patience = Deadline(60)
    waiting = asyncio.create_task(wait(patience, forever()))
    await asyncio.sleep(0)
    patience._due = 0.0
    patience._look()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_other_errors_pass_through() -> None:
    async def breaks() -> None:
        raise KeyError

    patience = Deadline(60)
    with pytest.raises(KeyError):
        await wait(patience, breaks())
    patience.close()
