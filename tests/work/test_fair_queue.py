from __future__ import annotations

import asyncio

import pytest

from akash_gradio.domain.errors import LimitReached
from akash_gradio.domain.size_limits import WAITING_JOBS
from akash_gradio.domain.visitor import Visitor
from akash_gradio.work.fair_queue import SHARE_S, FairQueue
from tests.virtual_time import run_in_virtual_time

ANN, BEN = Visitor(id="ann"), Visitor(id="ben")


async def use(queue: FairQueue, visitor: Visitor, seconds: float, order: list[str]) -> None:
    async with queue.slot(visitor):
        order.append(visitor.id)
        await asyncio.sleep(seconds)


def queue_of(slots: int, **options: float) -> FairQueue:
    return FairQueue(slots, clock=asyncio.get_running_loop().time, **options)


def test_a_visitor_with_one_job_is_not_behind_all_jobs_of_another() -> None:
    async def main() -> list[str]:
        queue, order = queue_of(1), list[str]()
        ann = [asyncio.create_task(use(queue, ANN, 1, order)) for _ in range(8)]
        await asyncio.sleep(0.1)
        await asyncio.gather(use(queue, BEN, 1, order), *ann)
        return order

    assert run_in_virtual_time(main())[:2] == ["ann", "ben"]


def test_the_time_of_jobs_counts_and_not_their_number() -> None:
    async def main() -> list[str]:
        queue, order = queue_of(1), list[str]()
        jobs = [use(queue, ANN, 2, order) for _ in range(4)]
        jobs += [use(queue, BEN, 0.2, order) for _ in range(10)]
        await asyncio.gather(*jobs)
        return order

    order = run_in_virtual_time(main())
    assert order.index("ann", 1) > 8  # after ten short jobs of the other visitor


def test_one_visitor_never_holds_all_slots() -> None:
    async def main() -> float:
        queue = queue_of(3)
        ann = [asyncio.create_task(use(queue, ANN, 5, [])) for _ in range(8)]
        await asyncio.sleep(0.1)
        began = asyncio.get_running_loop().time()
        await use(queue, BEN, 0, [])
        waited = asyncio.get_running_loop().time() - began
        await asyncio.gather(*ann)
        return waited

    assert run_in_virtual_time(main()) == 0


def test_new_cookies_of_one_network_share_its_time() -> None:
    async def main() -> list[str]:
        queue, order = queue_of(1), list[str]()
        many = [Visitor(id=f"cookie-{n}", network="net") for n in range(60)]
        for visitor in many[:40]:
            await use(queue, visitor, 1, [])
        waiting = [asyncio.create_task(use(queue, visitor, 1, order)) for visitor in many[40:]]
        await asyncio.sleep(0.1)
        await asyncio.gather(use(queue, BEN, 1, order), *waiting)
        return order

    assert run_in_virtual_time(main())[:2] == ["cookie-40", "ben"]


def test_a_visitor_above_the_share_waits_even_when_slots_are_free() -> None:
    async def main() -> float:
        queue, loop = queue_of(2), asyncio.get_running_loop()
        for _ in range(200):
            await use(queue, ANN, 1, [])
        return loop.time()

    elapsed = run_in_virtual_time(main())
    assert 1.5 * 200 < elapsed < 2.5 * 200  # about half of the time in the long run
    assert SHARE_S < 20


def test_a_long_queue_of_one_visitor_is_refused_and_others_are_not() -> None:
    async def main() -> list[object]:
        queue = queue_of(1)
        jobs = [asyncio.create_task(use(queue, ANN, 0.1, [])) for _ in range(WAITING_JOBS + 3)]
        await asyncio.sleep(0)
        await use(queue, BEN, 0.1, [])
        return await asyncio.gather(*jobs, return_exceptions=True)

    results = run_in_virtual_time(main())
    refused = [error for error in results if isinstance(error, LimitReached)]
    assert len(refused) == 2
    assert refused[0].reason == "work"
    assert refused[0].retry_after_s > 0


def test_a_job_that_waits_too_long_is_refused_and_takes_no_slot() -> None:
    async def main() -> None:
        queue = queue_of(1, max_wait_s=3)
        running = asyncio.create_task(use(queue, ANN, 5, []))
        await asyncio.sleep(0)
        with pytest.raises(LimitReached):
            await use(queue, BEN, 1, [])
        await running
        await use(queue, BEN, 1, [])

    run_in_virtual_time(main())


def test_cancelled_jobs_free_their_slots_and_places() -> None:
    async def main() -> list[str]:
        queue, order = queue_of(1), list[str]()
        tasks = [asyncio.create_task(use(queue, ANN, 100, order)) for _ in range(5)]
        await asyncio.sleep(1)
        for task in reversed(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await use(queue, BEN, 1, order)
        return order

    assert run_in_virtual_time(main()) == ["ann", "ben"]
