from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from types import MappingProxyType

import pytest

from akash_gradio.domain.errors import LimitReached, UserError
from akash_gradio.work.pool import WorkFailed, WorkPool
from tests.work import jobs


@pytest.fixture
async def pool() -> AsyncIterator[WorkPool]:
    pool = WorkPool(bulk_workers=1, quick_workers=1)
    yield pool
    await pool.close()


async def test_a_job_runs_in_another_process_and_returns_its_result(pool: WorkPool) -> None:
    assert await pool.run(jobs.process_id) != os.getpid()
    assert await pool.run(jobs.repeat, "a", times=3) == "aaa"
    assert await pool.run(jobs.echo, MappingProxyType({"a": 1})) == {"a": 1}


async def test_a_worker_is_used_again(pool: WorkPool) -> None:
    assert await pool.run(jobs.process_id) == await pool.run(jobs.process_id)


async def test_large_values_pass_both_ways(pool: WorkPool) -> None:
    text = "x" * 20_000_000
    assert await pool.run(jobs.echo, text) == text


async def test_a_user_error_is_raised_with_its_facts(pool: WorkPool) -> None:
    with pytest.raises(UserError) as caught:
        await pool.run(jobs.refuse, "what")
    assert (caught.value.code, dict(caught.value.facts)) == ("invalid_request", {"detail": "what"})
    with pytest.raises(LimitReached) as limit:
        await pool.run(jobs.reach_limit)
    assert (limit.value.reason, limit.value.retry_after_s, limit.value.status) == ("work", 7, 429)


async def test_another_error_is_reported_without_its_text(pool: WorkPool) -> None:
    with pytest.raises(WorkFailed) as caught:
        await pool.run(jobs.fail, "a secret")
    assert dict(caught.value.facts) == {"reason": "ValueError"}
    assert await pool.run(jobs.echo, 1) == 1


async def test_a_crashed_worker_is_replaced(pool: WorkPool) -> None:
    first = await pool.run(jobs.process_id)
    with pytest.raises(WorkFailed) as caught:
        await pool.run(jobs.crash)
    assert dict(caught.value.facts) == {"reason": "crash"}
    assert await pool.run(jobs.process_id) != first


@pytest.mark.parametrize("endless", [jobs.loop, jobs.match_slowly])
async def test_a_job_that_uses_up_its_cpu_time_is_stopped(
    pool: WorkPool, endless: jobs.Endless
) -> None:
    first = await pool.run_quickly(jobs.process_id)
    with pytest.raises(WorkFailed) as caught:
        await pool.run_quickly(endless)
    assert dict(caught.value.facts) == {"reason": "time"}
    assert await pool.run_quickly(jobs.process_id) == first


async def test_a_job_that_needs_too_much_memory_fails_alone(pool: WorkPool) -> None:
    with pytest.raises(WorkFailed) as caught:
        await pool.run(jobs.fill_memory, 2_000_000_000)
    assert dict(caught.value.facts) == {"reason": "memory"}
    assert await pool.run(jobs.echo, 1) == 1


async def test_a_worker_that_keeps_much_memory_ends_after_its_job(pool: WorkPool) -> None:
    first = await pool.run(jobs.process_id)
    assert await pool.run(jobs.fill_memory, 400_000_000, keep=True) == 400_000_000
    assert await pool.run(jobs.process_id) != first


async def test_a_cancelled_job_stops_and_its_worker_is_free_again(pool: WorkPool) -> None:
    first = await pool.run(jobs.process_id)
    job = asyncio.create_task(pool.run(jobs.loop))
    await asyncio.sleep(0.1)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    began = time.monotonic()
    assert await pool.run(jobs.process_id) == first
    assert time.monotonic() - began < 2  # the job alone would take the whole of its CPU time


async def test_a_job_that_was_cancelled_while_it_was_sent_never_runs(pool: WorkPool) -> None:
    await pool.run(jobs.process_id)
    for _ in range(20):
        job = asyncio.create_task(pool.run(jobs.burn, "x" * 8_000_000, 1.0))
        await asyncio.sleep(0.002)
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)
    assert await pool.run(jobs.cpu_s) < 5


async def test_cancelling_a_waiting_job_leaves_the_others(pool: WorkPool) -> None:
    running = asyncio.create_task(pool.run(jobs.burn, "", 0.3))
    waiting = [asyncio.create_task(pool.run(jobs.echo, number)) for number in range(4)]
    await asyncio.sleep(0.1)
    waiting[1].cancel()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [results[0], results[2], results[3]] == [0, 2, 3]
    await running


async def test_one_thread_at_a_time_runs_what_needs_this_process(pool: WorkPool) -> None:
    running = most = 0

    def work() -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.01)
        running -= 1
        return os.getpid()

    assert set(await asyncio.gather(*(pool.in_thread(work) for _ in range(8)))) == {os.getpid()}
    assert most == 1


async def test_closing_ends_running_jobs_and_their_processes() -> None:
    pool = WorkPool(bulk_workers=1, quick_workers=1)
    process = await pool.run(jobs.process_id)
    job = asyncio.create_task(pool.run(jobs.loop))
    await asyncio.sleep(0.1)
    await pool.close()
    with pytest.raises(asyncio.CancelledError):
        await job
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
