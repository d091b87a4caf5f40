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
from akash_gradio.compare.runner import LONGEST_PAUSE_S, Run, RunState
from akash_gradio.domain.chat import ChatRequest
from akash_gradio.domain.errors import AllEndpointsFailed, EndpointUnreachable
from akash_gradio.domain.ports import EndpointState
from tests.compare.fakes import Answering, Step, answer, echo, plan, question, serving
from tests.virtual_time import run_in_virtual_time


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def journal(path: Path, asked: Plan) -> Journal:
    return Journal.create(path / "run.sqlite3", asked)


def run(kept: Journal, answerer: Answering, **more: Any) -> Run:
    return Run(kept, answerer, lambda _model: None, **more)


@asynccontextmanager
async def running(each: Run) -> AsyncIterator[asyncio.Task[RunState]]:
    task = asyncio.create_task(each.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def others_go_on() -> None:
    """Threads that write, too."""
    await asyncio.sleep(0.001)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await others_go_on()


async def test_every_task_gets_its_row(tmp_path: Path) -> None:
    asked = plan("one", "two", repeats=2)
    with closing(journal(tmp_path, asked)) as kept:
        each = run(kept, Answering())
        assert await each.run() is RunState.DONE
        rows = list(kept.rows())
        assert [row.number for row in rows] == list(range(8))
        for row in rows:
            task = asked.task(row.number)
            assert row.answer == f"{task.lane.model}: {task.prompt.text}"
            assert row.passed
        progress = each.progress
        assert (progress.done, progress.failed, progress.total, progress.in_flight) == (8, 0, 8, 0)
        assert progress.remaining_s == 0


async def test_one_at_a_time_they_are_asked_in_the_plans_order(tmp_path: Path) -> None:
    asked = plan(*"12345", repeats=2)
    answerer = Answering(endpoints=[serving("eu-1", "a", "b")])
    with closing(journal(tmp_path, asked)) as kept:
        await run(kept, answerer, per_endpoint=1).run()
    tasks = [asked.task(number) for number in asked.order()]
    assert [(r.model, question(r)) for r in answerer.asked] == [
        (task.lane.model, task.prompt.text) for task in tasks
    ]
    assert answerer.busiest == 1


@pytest.mark.parametrize(
    ("endpoints", "busiest"),
    [
        ([serving("eu-1", "a", "b")], 3),
        ([serving("eu-1", "a"), serving("eu-2", "b")], 6),
        ([serving("eu-1", "a", "b"), serving("eu-2", "a", "b")], 6),
        ([serving("eu-1", "a", "b", weight=2), serving("eu-2", "a", "b", weight=1)], 4),
        ([serving("eu-1", "a", "b"), serving("eu-2", "a", "b", state=EndpointState.DOWN)], 3),
        ([serving("eu-1", "a", "b"), serving("eu-2", "a", "b", weight=0)], 3),
        ([], 6),
    ],
)
async def test_each_endpoint_has_so_many_calls_at_a_time(
    tmp_path: Path, endpoints: list[Any], busiest: int
) -> None:
    answerer = Answering(endpoints=endpoints)
    with closing(journal(tmp_path, plan(*map(str, range(20))))) as kept:
        assert await run(kept, answerer, per_endpoint=3).run() is RunState.DONE
    assert answerer.busiest == busiest


async def test_a_lane_pinned_to_an_endpoint_counts_there(tmp_path: Path) -> None:
    lanes = (Lane(model="a", endpoint="eu-1"), Lane(model="a", endpoint="eu-2"))
    answerer = Answering(endpoints=[serving("eu-1", "a"), serving("eu-2", "a")])
    asked = plan(*map(str, range(10)), lanes=lanes)
    with closing(journal(tmp_path, asked)) as kept:
        await run(kept, answerer, per_endpoint=2).run()
    assert answerer.busiest == 4
    assert {r.endpoint for r in answerer.asked} == {"eu-1", "eu-2"}


async def test_a_slow_lane_holds_no_other_one(tmp_path: Path) -> None:
    gate = asyncio.Event()

    def says(request: ChatRequest) -> list[Step]:
        return [gate, *echo(request)] if request.model == "a" else echo(request)

    endpoints = [serving("eu-1", "a"), serving("eu-2", "b")]
    answerer = Answering(says, endpoints)
    with closing(journal(tmp_path, plan(*map(str, range(50))))) as kept:
        each = run(kept, answerer, per_endpoint=2)
        async with running(each) as task:
            await until(lambda: each.progress.done == 50)
            gate.set()
            assert await task is RunState.DONE


async def test_an_endpoint_that_dies_leaves_rows_that_say_so_and_the_run_goes_on(
    tmp_path: Path,
) -> None:
    def says(request: ChatRequest) -> list[Step]:
        if request.model == "a" and question(request) > "one":
            return [
                AllEndpointsFailed("a", EndpointUnreachable("eu-1", "refused"), retry_after_s=9.0)
            ]
        return echo(request)

    asked = plan("one", "two", "three")
    with closing(journal(tmp_path, asked)) as kept:
        each = run(kept, Answering(says))
        assert await each.run() is RunState.DONE
        rows = list(kept.rows())
    assert [row.outcome for row in rows] == [
        "ok",
        "ok",
        "AllEndpointsFailed",
        "ok",
        "AllEndpointsFailed",
        "ok",
    ]
    assert rows[2].said == "no endpoint answered for 'a': eu-1: unreachable (refused)"
    assert (each.progress.done, each.progress.failed) == (6, 2)


async def test_paused_it_begins_nothing_and_what_runs_comes_to_its_end(tmp_path: Path) -> None:
    gate = asyncio.Event()
    answerer = Answering(lambda r: [gate, *echo(r)], [serving("eu-1", "a", "b")])
    with closing(journal(tmp_path, plan(*"123456"))) as kept:
        each = run(kept, answerer, per_endpoint=2)
        async with running(each) as task:
            await until(lambda: answerer.open == 2)
            each.pause()
            gate.set()
            await until(lambda: each.progress.in_flight == 0)
            assert (each.progress.state, each.progress.done) == (RunState.PAUSED, 2)
            assert len(answerer.asked) == 2
            each.resume()
            assert await task is RunState.DONE
    assert len(answerer.asked) == 12


async def test_stopped_it_closes_what_runs_and_goes_on_later_without_asking_twice(
    tmp_path: Path,
) -> None:
    gate = asyncio.Event()
    asked = plan(*"123456")
    answerer = Answering(
        lambda r: [*echo(r)] if question(r) < "4" else [gate, *echo(r)], [serving("eu-1", "a", "b")]
    )
    with closing(journal(tmp_path, asked)) as kept:
        each = run(kept, answerer, per_endpoint=2)
        async with running(each) as task:
            await until(lambda: each.progress.done == 6 and answerer.open == 2)
            each.stop()
            assert await task is RunState.STOPPED
    assert (answerer.open, each.progress.in_flight) == (0, 0)
    first = len(answerer.asked)

    gate.set()
    with closing(Journal.open(tmp_path / "run.sqlite3")) as kept:
        again = run(kept, answerer)
        assert (again.progress.state, again.progress.done) == (RunState.WAITING, 6)
        assert await again.run() is RunState.DONE
        assert len(list(kept.rows())) == 12
    late = [(r.model, question(r)) for r in answerer.asked[first:]]
    assert sorted(late) == sorted((model, text) for model in "ab" for text in "456")


async def test_cancelled_it_is_stopped(tmp_path: Path) -> None:
    answerer = Answering(lambda _: [asyncio.Event()])
    with closing(journal(tmp_path, plan())) as kept:
        each = run(kept, answerer)
        async with running(each):
            await until(lambda: answerer.open == 4)
    assert answerer.open == 0
    assert each.progress.state is RunState.STOPPED


async def test_a_finished_run_asks_nothing(tmp_path: Path) -> None:
    answerer = Answering()
    with closing(journal(tmp_path, plan())) as kept:
        await run(kept, answerer).run()
        before = len(answerer.asked)
        assert await run(kept, answerer).run() is RunState.DONE
    assert len(answerer.asked) == before


async def test_two_people_run_sets_at_once(tmp_path: Path) -> None:
    answerer = Answering()
    ann = Journal.create(tmp_path / "ann.sqlite3", plan("ann's"))
    bob = Journal.create(tmp_path / "bob.sqlite3", plan("bob's"))
    with closing(ann), closing(bob):
        done = await asyncio.gather(run(ann, answerer).run(), run(bob, answerer).run())
        assert done == [RunState.DONE, RunState.DONE]
        assert [row.answer for row in ann.rows()] == ["a: ann's", "b: ann's"]
        assert [row.answer for row in bob.rows()] == ["a: bob's", "b: bob's"]


async def test_a_fault_of_our_own_ends_the_run_loudly(tmp_path: Path) -> None:
    with closing(journal(tmp_path, plan())) as kept:
        each = run(kept, Answering(lambda _: [KeyError("x")]))
        with pytest.raises(KeyError):
            await each.run()
        assert each.progress.state is RunState.STOPPED


async def test_the_time_left_is_told_at_the_pace_so_far(tmp_path: Path) -> None:
    clock, gates = Clock(), [asyncio.Event() for _ in range(4)]
    answerer = Answering(lambda r: [gates[int(question(r))], *echo(r)], [serving("eu-1", "a")])
    with closing(journal(tmp_path, plan(*"0123", models="a"))) as kept:
        each = run(kept, answerer, per_endpoint=1, clock=clock)
        async with running(each) as task:
            await until(lambda: answerer.open == 1)
            assert each.progress.remaining_s is None
            clock.now += 10
            gates[0].set()
            await until(lambda: len(answerer.asked) == 2)
            assert each.progress.remaining_s == 10 * 2.5
            each.pause()
            clock.now += 1000
            assert each.progress.remaining_s == 10 * 2.5
            each.resume()
            for gate in gates:
                gate.set()
            assert await task is RunState.DONE


async def test_memory_stays_flat_over_10_000_calls(tmp_path: Path) -> None:
    said = "word " * 400
    asked = plan(*(f"prompt {number}" for number in range(5_000)))
    peaks: list[int] = []
    answerer = Answering(lambda r: answer(r, said))
    with closing(journal(tmp_path, asked)) as kept:
        each = run(kept, answerer)
        async with running(each) as task:
            await until_light(answerer, lambda: each.progress.done >= 5_000)
            tracemalloc.start()
            for thousand in (6_000, 8_000, 10_000):
                await until_light(answerer, lambda: each.progress.done >= thousand)  # noqa: B023
                peaks.append(tracemalloc.get_traced_memory()[0])
            tracemalloc.stop()
            assert await task is RunState.DONE
        assert len(kept.outcomes()) == 10_000
    assert max(peaks) - peaks[0] < 500_000  # the answers alone are 8 MB


async def until_light(answerer: Answering, true: Callable[[], bool]) -> None:
    """`until`, without keeping what was asked."""
    async with asyncio.timeout(120):
        while not true():
            answerer.asked.clear()
            await others_go_on()


# ── the file ─────────────────────────────────────────────────────────────────


def test_a_journal_that_somebody_is_at_work_on_is_refused(tmp_path: Path) -> None:
    with closing(journal(tmp_path, plan())), pytest.raises(JournalError) as told:
        Journal.open(tmp_path / "run.sqlite3")
    assert told.value.reason == "busy"
    Journal.open(tmp_path / "run.sqlite3").close()


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "missing"), (b"", "not_ours"), (b"text" * 300, "not_ours")]
)
def test_a_file_that_is_no_journal_is_told(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "run.sqlite3"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(JournalError) as told:
        Journal.open(path)
    assert told.value.reason == reason


def test_facts_of_a_run_are_kept_with_it(tmp_path: Path) -> None:
    with closing(Journal.create(tmp_path / "x.sqlite3", plan(), name="capitals")) as kept:
        kept.note(finished="now")
    with closing(Journal.open(tmp_path / "x.sqlite3")) as kept:
        assert (kept.fact("name"), kept.fact("finished"), kept.fact("more", 1)) == (
            "capitals", "now", 1,
        )  # fmt: skip
        assert kept.plan == plan()
        assert kept.row(0) is None


def test_a_run_that_stays_paused_for_an_hour_is_put_away(tmp_path: Path) -> None:
    async def main(kept: Journal) -> float:
        never = asyncio.Event()
        answering = Answering(lambda _request: [never])
        each = run(kept, answering)
        task = asyncio.create_task(each.run())
        await asyncio.sleep(LONGEST_PAUSE_S * 2)
        assert (each.progress.state, answering.open) == (RunState.RUNNING, 4)
        paused = asyncio.get_running_loop().time()
        each.pause()
        assert await task is RunState.STOPPED
        assert answering.open == 0
        return asyncio.get_running_loop().time() - paused

    with closing(journal(tmp_path, plan())) as kept:
        assert run_in_virtual_time(main(kept)) == LONGEST_PAUSE_S
