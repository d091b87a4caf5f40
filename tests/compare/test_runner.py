from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from akash_gradio.compare.journal import Journal, JournalError
from akash_gradio.compare.plan import Lane, Plan
from akash_gradio.compare.runner import MAX_PAUSE_S, Runner, RunState
from akash_gradio.domain.chat import ChatRequest
from akash_gradio.domain.errors import AllEndpointsFailed, EndpointUnreachable
from akash_gradio.domain.ports import EndpointState
from tests.compare.fakes import FakeGateway, Step, answer, echo, endpoint, plan, prompt_text
from tests.virtual_time import run_in_virtual_time


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def create_journal(folder: Path, run_plan: Plan) -> Journal:
    return Journal.create(folder / "run.sqlite3", run_plan)


def create_runner(journal: Journal, gateway: FakeGateway, **more: Any) -> Runner:
    return Runner(journal, gateway, lambda _model: None, **more)


@asynccontextmanager
async def running(runner: Runner) -> AsyncIterator[asyncio.Task[RunState]]:
    task = asyncio.create_task(runner.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def let_others_run() -> None:
    """Let other tasks run, and threads that write."""
    await asyncio.sleep(0.001)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await let_others_run()


async def test_every_task_gets_its_row(tmp_path: Path) -> None:
    run_plan = plan("one", "two", repeats=2)
    with closing(create_journal(tmp_path, run_plan)) as journal:
        runner = create_runner(journal, FakeGateway())
        assert await runner.run() is RunState.DONE
        rows = list(journal.rows())
        assert [row.number for row in rows] == list(range(8))
        for row in rows:
            task = run_plan.task(row.number)
            assert row.answer == f"{task.lane.model}: {task.prompt.text}"
            assert row.passed
        progress = runner.progress
        assert (progress.done, progress.failed, progress.total, progress.in_flight) == (8, 0, 8, 0)
        assert progress.remaining_s == 0


async def test_calls_one_at_a_time_follow_the_plans_order(tmp_path: Path) -> None:
    run_plan = plan(*"12345", repeats=2)
    gateway = FakeGateway(endpoints=[endpoint("eu-1", "a", "b")])
    with closing(create_journal(tmp_path, run_plan)) as journal:
        await create_runner(journal, gateway, per_endpoint=1).run()
    tasks = [run_plan.task(number) for number in run_plan.order()]
    assert [(r.model, prompt_text(r)) for r in gateway.requests] == [
        (task.lane.model, task.prompt.text) for task in tasks
    ]
    assert gateway.busiest == 1


@pytest.mark.parametrize(
    ("endpoints", "busiest"),
    [
        ([endpoint("eu-1", "a", "b")], 3),
        ([endpoint("eu-1", "a"), endpoint("eu-2", "b")], 6),
        ([endpoint("eu-1", "a", "b"), endpoint("eu-2", "a", "b")], 6),
        ([endpoint("eu-1", "a", "b", weight=2), endpoint("eu-2", "a", "b", weight=1)], 4),
        ([endpoint("eu-1", "a", "b"), endpoint("eu-2", "a", "b", state=EndpointState.DOWN)], 3),
        ([endpoint("eu-1", "a", "b"), endpoint("eu-2", "a", "b", weight=0)], 3),
        ([], 6),
    ],
)
async def test_concurrent_calls_per_endpoint_are_limited(
    tmp_path: Path, endpoints: list[Any], busiest: int
) -> None:
    gateway = FakeGateway(endpoints=endpoints)
    with closing(create_journal(tmp_path, plan(*map(str, range(20))))) as journal:
        assert await create_runner(journal, gateway, per_endpoint=3).run() is RunState.DONE
    assert gateway.busiest == busiest


async def test_a_lane_pinned_to_an_endpoint_counts_there(tmp_path: Path) -> None:
    lanes = (Lane(model="a", endpoint="eu-1"), Lane(model="a", endpoint="eu-2"))
    gateway = FakeGateway(endpoints=[endpoint("eu-1", "a"), endpoint("eu-2", "a")])
    run_plan = plan(*map(str, range(10)), lanes=lanes)
    with closing(create_journal(tmp_path, run_plan)) as journal:
        await create_runner(journal, gateway, per_endpoint=2).run()
    assert gateway.busiest == 4
    assert {r.endpoint for r in gateway.requests} == {"eu-1", "eu-2"}


async def test_a_slow_lane_does_not_delay_another_one(tmp_path: Path) -> None:
    gate = asyncio.Event()

    def script(request: ChatRequest) -> list[Step]:
        return [gate, *echo(request)] if request.model == "a" else echo(request)

    endpoints = [endpoint("eu-1", "a"), endpoint("eu-2", "b")]
    gateway = FakeGateway(script, endpoints)
    with closing(create_journal(tmp_path, plan(*map(str, range(50))))) as journal:
        runner = create_runner(journal, gateway, per_endpoint=2)
        async with running(runner) as task:
            await until(lambda: runner.progress.done == 50)
            gate.set()
            assert await task is RunState.DONE


async def test_a_failing_endpoint_leaves_rows_with_its_error_and_the_run_continues(
    tmp_path: Path,
) -> None:
    def script(request: ChatRequest) -> list[Step]:
        if request.model == "a" and prompt_text(request) > "one":
            return [
                AllEndpointsFailed("a", EndpointUnreachable("eu-1", "refused"), retry_after_s=9.0)
            ]
        return echo(request)

    run_plan = plan("one", "two", "three")
    with closing(create_journal(tmp_path, run_plan)) as journal:
        runner = create_runner(journal, FakeGateway(script))
        assert await runner.run() is RunState.DONE
        rows = list(journal.rows())
    assert [row.outcome for row in rows] == [
        "ok",
        "ok",
        "AllEndpointsFailed",
        "ok",
        "AllEndpointsFailed",
        "ok",
    ]
    assert rows[2].error == "no endpoint answered for 'a': eu-1: unreachable (refused)"
    assert (runner.progress.done, runner.progress.failed) == (6, 2)


async def test_a_paused_run_starts_no_calls_and_completes_those_in_flight(tmp_path: Path) -> None:
    gate = asyncio.Event()
    gateway = FakeGateway(lambda r: [gate, *echo(r)], [endpoint("eu-1", "a", "b")])
    with closing(create_journal(tmp_path, plan(*"123456"))) as journal:
        runner = create_runner(journal, gateway, per_endpoint=2)
        async with running(runner) as task:
            await until(lambda: gateway.open == 2)
            runner.pause()
            gate.set()
            await until(lambda: runner.progress.in_flight == 0)
            assert (runner.progress.state, runner.progress.done) == (RunState.PAUSED, 2)
            assert len(gateway.requests) == 2
            runner.resume()
            assert await task is RunState.DONE
    assert len(gateway.requests) == 12


async def test_a_stopped_run_cancels_its_calls_and_continues_later_without_repeating_any(
    tmp_path: Path,
) -> None:
    gate = asyncio.Event()
    run_plan = plan(*"123456")
    gateway = FakeGateway(
        lambda r: [*echo(r)] if prompt_text(r) < "4" else [gate, *echo(r)],
        [endpoint("eu-1", "a", "b")],
    )
    with closing(create_journal(tmp_path, run_plan)) as journal:
        runner = create_runner(journal, gateway, per_endpoint=2)
        async with running(runner) as task:
            await until(lambda: runner.progress.done == 6 and gateway.open == 2)
            runner.stop()
            assert await task is RunState.STOPPED
    assert (gateway.open, runner.progress.in_flight) == (0, 0)
    first = len(gateway.requests)

    gate.set()
    with closing(Journal.open(tmp_path / "run.sqlite3")) as journal:
        again = create_runner(journal, gateway)
        assert (again.progress.state, again.progress.done) == (RunState.WAITING, 6)
        assert await again.run() is RunState.DONE
        assert len(list(journal.rows())) == 12
    late = [(r.model, prompt_text(r)) for r in gateway.requests[first:]]
    assert sorted(late) == sorted((model, text) for model in "ab" for text in "456")


async def test_a_cancelled_run_is_stopped(tmp_path: Path) -> None:
    gateway = FakeGateway(lambda _: [asyncio.Event()])
    with closing(create_journal(tmp_path, plan())) as journal:
        runner = create_runner(journal, gateway)
        async with running(runner):
            await until(lambda: gateway.open == 4)
    assert gateway.open == 0
    assert runner.progress.state is RunState.STOPPED


async def test_a_finished_run_sends_nothing(tmp_path: Path) -> None:
    gateway = FakeGateway()
    with closing(create_journal(tmp_path, plan())) as journal:
        await create_runner(journal, gateway).run()
        before = len(gateway.requests)
        assert await create_runner(journal, gateway).run() is RunState.DONE
    assert len(gateway.requests) == before


async def test_two_runs_at_once_keep_their_answers_apart(tmp_path: Path) -> None:
    gateway = FakeGateway()
    ann = Journal.create(tmp_path / "ann.sqlite3", plan("ann's"))
    bob = Journal.create(tmp_path / "bob.sqlite3", plan("bob's"))
    with closing(ann), closing(bob):
        done = await asyncio.gather(
            create_runner(ann, gateway).run(), create_runner(bob, gateway).run()
        )
        assert set(done) == {RunState.DONE}
        assert [row.answer for row in ann.rows()] == ["a: ann's", "b: ann's"]
        assert [row.answer for row in bob.rows()] == ["a: bob's", "b: bob's"]


async def test_an_unexpected_exception_ends_the_run_and_is_raised(tmp_path: Path) -> None:
    with closing(create_journal(tmp_path, plan())) as journal:
        runner = create_runner(journal, FakeGateway(lambda _: [KeyError("x")]))
        with pytest.raises(KeyError):
            await runner.run()
        assert runner.progress.state is RunState.STOPPED


async def test_the_remaining_time_follows_from_the_pace_so_far(tmp_path: Path) -> None:
    clock, gates = Clock(), [asyncio.Event() for _ in range(4)]
    gateway = FakeGateway(lambda r: [gates[int(prompt_text(r))], *echo(r)], [endpoint("eu-1", "a")])
    with closing(create_journal(tmp_path, plan(*"0123", models="a"))) as journal:
        runner = create_runner(journal, gateway, per_endpoint=1, clock=clock)
        async with running(runner) as task:
            await until(lambda: gateway.open == 1)
            assert runner.progress.remaining_s is None
            clock.now += 10
            gates[0].set()
            await until(lambda: len(gateway.requests) == 2)
            assert runner.progress.remaining_s == 10 * 2.5
            runner.pause()
            clock.now += 1000
            assert runner.progress.remaining_s == 10 * 2.5
            runner.resume()
            for gate in gates:
                gate.set()
            assert await task is RunState.DONE


async def test_memory_stays_flat_over_10_000_calls(tmp_path: Path) -> None:
    text = "word " * 400
    run_plan = plan(*(f"prompt {number}" for number in range(5_000)))
    peaks: list[int] = []
    gateway = FakeGateway(lambda r: answer(r, text))
    with closing(create_journal(tmp_path, run_plan)) as journal:
        runner = create_runner(journal, gateway)
        async with running(runner) as task:
            await until_done(runner, gateway, 5_000)
            tracemalloc.start()
            for calls in (6_000, 8_000, 10_000):
                await until_done(runner, gateway, calls)
                peaks.append(tracemalloc.get_traced_memory()[0])
            tracemalloc.stop()
            assert await task is RunState.DONE
        assert len(journal.outcomes()) == 10_000
    assert max(peaks) - peaks[0] < 500_000  # the answers alone are 8 MB


async def until_done(runner: Runner, gateway: FakeGateway, calls: int) -> None:
    """Wait until so many calls are done, without keeping their requests."""
    async with asyncio.timeout(120):
        while runner.progress.done < calls:
            gateway.requests.clear()
            await let_others_run()


# ── the journal ─────────────────────────────────────────────────────────────────


def test_a_journal_in_use_is_not_opened(tmp_path: Path) -> None:
    with closing(create_journal(tmp_path, plan())), pytest.raises(JournalError) as caught:
        Journal.open(tmp_path / "run.sqlite3")
    assert caught.value.reason == "busy"
    Journal.open(tmp_path / "run.sqlite3").close()


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "missing"), (b"", "not_a_run"), (b"text" * 300, "not_a_run")]
)
def test_a_file_that_is_no_journal_is_not_opened(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "run.sqlite3"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(JournalError) as caught:
        Journal.open(path)
    assert caught.value.reason == reason


def test_facts_are_stored_with_the_run(tmp_path: Path) -> None:
    with closing(Journal.create(tmp_path / "x.sqlite3", plan(), name="capitals")) as journal:
        journal.set_facts(finished="now")
    with closing(Journal.open(tmp_path / "x.sqlite3")) as journal:
        assert (journal.fact("name"), journal.fact("finished"), journal.fact("more", 1)) == (
            "capitals", "now", 1,
        )  # fmt: skip
        assert journal.plan == plan()
        assert journal.row(0) is None


def test_a_run_that_is_paused_for_an_hour_is_stopped(tmp_path: Path) -> None:
    async def main(journal: Journal) -> float:
        never = asyncio.Event()
        gateway = FakeGateway(lambda _request: [never])
        runner = create_runner(journal, gateway)
        task = asyncio.create_task(runner.run())
        await asyncio.sleep(MAX_PAUSE_S * 2)
        assert (runner.progress.state, gateway.open) == (RunState.RUNNING, 4)
        paused = asyncio.get_running_loop().time()
        runner.pause()
        assert await task is RunState.STOPPED
        assert gateway.open == 0
        return asyncio.get_running_loop().time() - paused

    with closing(create_journal(tmp_path, plan())) as journal:
        assert run_in_virtual_time(main(journal)) == MAX_PAUSE_S
