from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from akash_gradio.compare.run_store import (
    MAX_RUNS_PER_VISITOR,
    MOST_KEPT,
    MOST_OPEN,
    MOST_RUNNING,
    OpenRun,
    RunStore,
    TooManyRuns,
    open_run_store,
)
from akash_gradio.compare.runner import RunState
from akash_gradio.domain.chat import ChatRequest
from akash_gradio.domain.errors import AllEndpointsFailed, EndpointUnreachable
from akash_gradio.domain.visitor import CURRENT_VISITOR, Visitor
from tests.compare.fakes import Answering, Step, echo, plan, serving
from tests.compare.test_runner import until


@pytest.fixture
def gate() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
async def runs(tmp_path: Path, gate: asyncio.Event) -> AsyncIterator[RunStore]:
    """A server's runs; no answer comes before the gate is open."""
    found = open_run_store(tmp_path, Answering(lambda r: [gate, *echo(r)]), lambda _model: None)
    yield found
    await found.close()


async def done(runs: RunStore, run_id: str) -> None:
    found = await runs.find(run_id)
    assert found is not None
    await until(lambda: not found.is_active)
    assert found.run.progress.state is RunState.DONE


async def test_a_run_goes_on_by_itself_and_its_id_alone_opens_it(
    runs: RunStore, gate: asyncio.Event
) -> None:
    mine, other = await runs.start(plan("mine"), "Mine"), await runs.start(plan("other"), "Other")
    assert mine != other
    assert len(mine) >= 24
    gate.set()
    await done(runs, mine)
    found = await runs.find(mine)
    assert found is not None
    assert (found.title, [row.answer for row in found.journal.rows()]) == (
        "Mine",
        ["a: mine", "b: mine"],
    )


@pytest.mark.parametrize("guess", ["", "x" * 24, "../votes", "a/b" * 8, "%2e" * 8])
async def test_a_guessed_id_opens_nothing(runs: RunStore, guess: str) -> None:
    assert await runs.find(guess) is None


async def test_a_run_outlives_the_server_where_there_is_a_folder(
    runs: RunStore, tmp_path: Path, gate: asyncio.Event
) -> None:
    run_id = await runs.start(plan("one", "two"), "T")
    await runs.close()
    later = open_run_store(tmp_path, Answering(), lambda _model: None)
    found = await later.find(run_id)
    assert found is not None
    assert (found.title, found.is_active) == ("T", False)
    await later.resume(run_id)
    await done(later, run_id)
    await later.close()


async def test_without_a_folder_the_runs_go_with_the_server(gate: asyncio.Event) -> None:
    runs = open_run_store(None, Answering(), lambda _model: None)
    assert not runs.kept
    run_id = await runs.start(plan(), "T")
    await done(runs, run_id)
    await runs.close()
    assert await runs.find(run_id) is None


async def test_a_stopped_run_goes_on_and_a_finished_one_asks_nothing(
    runs: RunStore, gate: asyncio.Event
) -> None:
    run_id = await runs.start(plan(), "T")
    found = await runs.find(run_id)
    assert found is not None
    await found.stop()
    assert (found.is_active, found.run.progress.state) == (False, RunState.STOPPED)
    gate.set()
    again = await runs.resume(run_id)
    assert again is not None
    await done(runs, run_id)
    assert await runs.resume(run_id) is again
    assert not again.is_active


async def test_a_run_that_is_opened_again_is_stopped_or_done_and_waits_for_nothing(
    runs: RunStore, tmp_path: Path, gate: asyncio.Event
) -> None:
    gate.set()
    whole = await runs.start(plan(), "T")
    await done(runs, whole)
    gate.clear()
    half = await runs.start(plan(), "T")
    await runs.close()
    later = open_run_store(tmp_path, Answering(), lambda _model: None)
    found = [await later.find(run_id) for run_id in (whole, half)]
    assert [each.run.progress.state for each in found if each] == [RunState.DONE, RunState.STOPPED]
    await later.close()


async def test_what_failed_is_asked_again_once_the_run_has_ended(tmp_path: Path) -> None:
    down = True

    def says(request: ChatRequest) -> list[Step]:
        cause = EndpointUnreachable("eu-1", "refused")
        return [AllEndpointsFailed("b", cause)] if down and request.model == "b" else echo(request)

    answering = Answering(says)
    runs = open_run_store(tmp_path, answering, lambda _model: None)
    run_id = await runs.start(plan("one", "two"), "T")
    await done(runs, run_id)
    before, down = len(answering.asked), False
    again = await runs.retry_failed(run_id)
    assert again is not None
    await done(runs, run_id)
    assert [request.model for request in answering.asked[before:]] == ["b", "b"]
    assert (again.run.progress.failed, {row.ok for row in again.journal.rows()}) == (0, {True})
    assert await runs.retry_failed("x" * 24) is None
    await runs.close()


async def test_a_run_under_way_is_left_alone_when_its_failed_calls_are_asked_for(
    runs: RunStore, gate: asyncio.Event
) -> None:
    run_id = await runs.start(plan(), "T")
    found = await runs.find(run_id)
    assert await runs.retry_failed(run_id) is found
    gate.set()
    await done(runs, run_id)


async def test_a_paused_run_goes_on(runs: RunStore, gate: asyncio.Event) -> None:
    run_id = await runs.start(plan(), "T")
    found = await runs.find(run_id)
    assert found is not None
    await until(lambda: found.run.progress.in_flight == 4)
    found.run.pause()
    assert await runs.resume(run_id) is found
    gate.set()
    await done(runs, run_id)


async def test_a_forgotten_run_leaves_nothing_behind(runs: RunStore, tmp_path: Path) -> None:
    run_id = await runs.start(plan(), "T")
    await runs.delete(run_id)
    assert await runs.find(run_id) is None
    assert [path.name for path in (tmp_path / "runs").iterdir()] == []


async def test_only_so_many_are_under_way_at_once(runs: RunStore, gate: asyncio.Event) -> None:
    first = [await runs.start(plan(), "T") for _ in range(MOST_RUNNING)]
    with pytest.raises(TooManyRuns):
        await runs.start(plan(), "T")
    gate.set()
    await done(runs, first[0])
    await runs.start(plan(), "T")


async def test_files_that_nobody_looks_at_are_closed_and_the_oldest_removed(
    runs: RunStore, tmp_path: Path, gate: asyncio.Event
) -> None:
    gate.set()
    ids = []
    for _ in range(MOST_OPEN + 2):
        ids.append(await runs.start(plan("x"), "T"))
        await done(runs, ids[-1])
    assert len(runs._open) <= MOST_OPEN
    assert await runs.find(ids[0]) is not None
    for number in range(MOST_KEPT):
        (tmp_path / "runs" / f"new-{number}.run").write_text("")
    await runs.start(plan("x"), "T")
    assert len(list((tmp_path / "runs").glob("*.run"))) <= MOST_KEPT + MOST_OPEN


async def test_the_figures_of_a_finished_run_are_of_all_its_rows(
    runs: RunStore, gate: asyncio.Event
) -> None:
    run_id = await runs.start(plan("one", "two"), "T")
    found = await runs.find(run_id)
    assert found is not None
    assert [each.asked for each in found.summaries()] == [0, 0]
    gate.set()
    await done(runs, run_id)
    assert [each.answered for each in found.summaries()] == [2, 2]


@contextmanager
def asked_by(visitor: str) -> Iterator[None]:
    token = CURRENT_VISITOR.set(Visitor(id=visitor))
    yield
    CURRENT_VISITOR.reset(token)


async def test_runs_that_begin_together_are_no_more_than_others(
    runs: RunStore, gate: asyncio.Event
) -> None:
    begun = await asyncio.gather(
        *(runs.start(plan(), "T") for _ in range(5 * MOST_RUNNING)), return_exceptions=True
    )
    assert sum(isinstance(each, str) for each in begun) == MOST_RUNNING
    assert sum(isinstance(each, TooManyRuns) for each in begun) == 4 * MOST_RUNNING


async def test_one_visitor_leaves_room_for_the_others(runs: RunStore, gate: asyncio.Event) -> None:
    with asked_by("ann"):
        first = [await runs.start(plan(), "T") for _ in range(MAX_RUNS_PER_VISITOR)]
        with pytest.raises(TooManyRuns) as full:
            await runs.start(plan(), "T")
        assert full.value.own
        found = await runs.find(first[0])
        assert found is not None
        await found.stop()
        await runs.start(plan(), "T")
        with pytest.raises(TooManyRuns):
            await runs.resume(first[0])
    with asked_by("bob"):
        again = await runs.resume(first[0])
    assert again is not None
    assert again.is_active


async def test_a_run_that_is_asked_for_twice_while_it_is_opened_is_opened_once(
    runs: RunStore, tmp_path: Path, gate: asyncio.Event
) -> None:
    run_id = await runs.start(plan(), "T")
    await runs.close()
    later = open_run_store(tmp_path, Answering(lambda r: [gate, *echo(r)]), lambda _model: None)
    one, other = await asyncio.gather(later.find(run_id), later.find(run_id))
    assert one is not None
    assert one is other
    one, other = await asyncio.gather(later.resume(run_id), later.resume(run_id))
    assert sum(each is not None and each.is_active for each in {one, other}) == 1
    await later.close()


class Threads(ThreadPoolExecutor):
    """Records what its threads made."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[Any] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
        future = super().submit(fn, *args, **more)
        future.add_done_callback(lambda done: self.made.append(done.result()))
        return future


async def test_runs_are_made_in_threads_since_big_ones_take_long(tmp_path: Path) -> None:
    threads = Threads()
    asyncio.get_running_loop().set_default_executor(threads)
    never = asyncio.Event()
    runs = open_run_store(tmp_path, Answering(lambda _request: [never]), lambda _model: None)
    run_id = await runs.start(plan(), "T")
    begun = await runs.find(run_id)
    await runs.close()
    loaded = await runs.find(run_id)
    again = await runs.resume(run_id)
    assert [made for made in threads.made if isinstance(made, OpenRun)] == [begun, loaded, again]
    await runs.close()


async def test_a_run_may_be_forgotten_twice_at_once(runs: RunStore, gate: asyncio.Event) -> None:
    run_id = await runs.start(plan(), "T")
    await asyncio.gather(runs.delete(run_id), runs.delete(run_id))
    assert await runs.find(run_id) is None


async def test_a_server_that_is_about_to_end_asks_nothing_new(tmp_path: Path) -> None:
    gates, closing = [asyncio.Event() for _ in range(20)], list[bool]()
    endpoints = [serving("eu-1", "a", "b")]
    answering = Answering(lambda r: [gates[len(answering.asked) - 1], *echo(r)], endpoints)
    runs = open_run_store(tmp_path, answering, lambda _model: None, lambda: bool(closing))
    run_id = await runs.start(plan(*map(str, range(10))), "T")
    found = await runs.find(run_id)
    assert found is not None
    await until(lambda: len(answering.asked) == 4)
    closing.append(True)
    gates[0].set()
    await until(lambda: found.run.progress.in_flight == 3)
    assert (len(answering.asked), found.run.progress.done) == (4, 1)
    await runs.close()
    assert answering.open == 0
