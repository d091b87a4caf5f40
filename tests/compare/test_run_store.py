from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from akash_gradio.compare.open_run import OpenRun
from akash_gradio.compare.run_limits import MAX_ACTIVE_PER_VISITOR, MAX_ACTIVE_RUNS, TooManyRuns
from akash_gradio.compare.run_store import MAX_OPEN_FILES, RunStore, open_run_store
from akash_gradio.compare.runner import RunState
from akash_gradio.domain.chat import ChatRequest
from akash_gradio.domain.errors import AllEndpointsFailed, EndpointUnreachable
from akash_gradio.domain.visitor import CURRENT_VISITOR, Visitor
from tests.compare.fakes import FakeGateway, Step, echo, endpoint, plan
from tests.compare.test_runner import until


@pytest.fixture
def gate() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
async def runs(tmp_path: Path, gate: asyncio.Event) -> AsyncIterator[RunStore]:
    """A store whose answers wait for the gate."""
    store = open_run_store(tmp_path, FakeGateway(lambda r: [gate, *echo(r)]), lambda _model: None)
    yield store
    await store.close()


async def until_done(runs: RunStore, run_id: str) -> None:
    run = await runs.find(run_id)
    assert run is not None
    await until(lambda: not run.is_active)
    assert run.runner.progress.state is RunState.DONE


async def test_a_run_continues_by_itself_and_only_its_id_opens_it(
    runs: RunStore, gate: asyncio.Event
) -> None:
    mine, other = await runs.start(plan("mine"), "Mine"), await runs.start(plan("other"), "Other")
    assert mine != other
    assert len(mine) >= 24
    gate.set()
    await until_done(runs, mine)
    run = await runs.find(mine)
    assert run is not None
    assert (run.title, [row.answer for row in run.journal.rows()]) == (
        "Mine",
        ["a: mine", "b: mine"],
    )


@pytest.mark.parametrize("guess", ["", "x" * 24, "../votes", "a/b" * 8, "%2e" * 8])
async def test_a_guessed_id_opens_nothing(runs: RunStore, guess: str) -> None:
    assert await runs.find(guess) is None


async def test_a_run_in_a_folder_outlives_the_server(
    runs: RunStore, tmp_path: Path, gate: asyncio.Event
) -> None:
    run_id = await runs.start(plan("one", "two"), "T")
    await runs.close()
    later = open_run_store(tmp_path, FakeGateway(), lambda _model: None)
    run = await later.find(run_id)
    assert run is not None
    assert (run.title, run.is_active) == ("T", False)
    await later.resume(run_id)
    await until_done(later, run_id)
    await later.close()


async def test_without_a_folder_runs_end_with_the_server(gate: asyncio.Event) -> None:
    runs = open_run_store(None, FakeGateway(), lambda _model: None)
    assert not runs.is_persistent
    run_id = await runs.start(plan(), "T")
    await until_done(runs, run_id)
    await runs.close()
    assert await runs.find(run_id) is None


async def test_a_stopped_run_resumes_and_a_finished_one_sends_nothing(
    runs: RunStore, gate: asyncio.Event
) -> None:
    run_id = await runs.start(plan(), "T")
    run = await runs.find(run_id)
    assert run is not None
    await run.stop()
    assert (run.is_active, run.runner.progress.state) == (False, RunState.STOPPED)
    gate.set()
    again = await runs.resume(run_id)
    assert again is not None
    await until_done(runs, run_id)
    assert await runs.resume(run_id) is again
    assert not again.is_active


async def test_a_reopened_run_is_either_stopped_or_done(
    runs: RunStore, tmp_path: Path, gate: asyncio.Event
) -> None:
    gate.set()
    whole = await runs.start(plan(), "T")
    await until_done(runs, whole)
    gate.clear()
    half = await runs.start(plan(), "T")
    await runs.close()
    later = open_run_store(tmp_path, FakeGateway(), lambda _model: None)
    run = [await later.find(run_id) for run_id in (whole, half)]
    assert [each.runner.progress.state for each in run if each] == [RunState.DONE, RunState.STOPPED]
    await later.close()


async def test_failed_calls_are_retried_after_the_run_has_ended(tmp_path: Path) -> None:
    down = True

    def script(request: ChatRequest) -> list[Step]:
        cause = EndpointUnreachable("eu-1", "refused")
        return [AllEndpointsFailed("b", cause)] if down and request.model == "b" else echo(request)

    gateway = FakeGateway(script)
    runs = open_run_store(tmp_path, gateway, lambda _model: None)
    run_id = await runs.start(plan("one", "two"), "T")
    await until_done(runs, run_id)
    before, down = len(gateway.requests), False
    again = await runs.retry_failed(run_id)
    assert again is not None
    await until_done(runs, run_id)
    assert [request.model for request in gateway.requests[before:]] == ["b", "b"]
    assert (again.runner.progress.failed, {row.ok for row in again.journal.rows()}) == (0, {True})
    assert await runs.retry_failed("x" * 24) is None
    await runs.close()


async def test_retrying_an_active_run_changes_nothing(runs: RunStore, gate: asyncio.Event) -> None:
    run_id = await runs.start(plan(), "T")
    run = await runs.find(run_id)
    assert await runs.retry_failed(run_id) is run
    gate.set()
    await until_done(runs, run_id)


async def test_a_paused_run_resumes(runs: RunStore, gate: asyncio.Event) -> None:
    run_id = await runs.start(plan(), "T")
    run = await runs.find(run_id)
    assert run is not None
    await until(lambda: run.runner.progress.in_flight == 4)
    run.runner.pause()
    assert await runs.resume(run_id) is run
    gate.set()
    await until_done(runs, run_id)


async def test_a_deleted_run_leaves_no_file(runs: RunStore, tmp_path: Path) -> None:
    run_id = await runs.start(plan(), "T")
    await runs.delete(run_id)
    assert await runs.find(run_id) is None
    assert [path.name for path in (tmp_path / "runs").iterdir()] == []


async def test_active_runs_are_limited(runs: RunStore, gate: asyncio.Event) -> None:
    first = []
    for number in range(MAX_ACTIVE_RUNS):
        with requests_from(f"visitor-{number}"):
            first.append(await runs.start(plan(), "T"))
    with pytest.raises(TooManyRuns) as caught:
        await runs.start(plan(), "T")
    assert caught.value.code == "runs_full"
    gate.set()
    await until_done(runs, first[0])
    await runs.start(plan(), "T")


async def test_unused_files_are_closed(runs: RunStore, tmp_path: Path, gate: asyncio.Event) -> None:
    gate.set()
    run_ids = []
    for _ in range(MAX_OPEN_FILES + 2):
        run_ids.append(await runs.start(plan("x"), "T"))
        await until_done(runs, run_ids[-1])
    await runs._close_unused(0)
    assert not list((tmp_path / "runs").glob("*.lock"))
    for run_id in run_ids:
        assert await runs.find(run_id) is not None
        assert len(list((tmp_path / "runs").glob("*.lock"))) == len(runs._open) <= MAX_OPEN_FILES


async def test_a_run_that_is_found_stays_open_beside_many_active_ones(
    runs: RunStore, gate: asyncio.Event
) -> None:
    gate.set()
    finished = await runs.start(plan("x"), "T")
    await until_done(runs, finished)
    await runs._close_unused(0)
    gate.clear()
    for number in range(MAX_ACTIVE_RUNS):
        with requests_from(f"visitor-{number}"):
            await runs.start(plan(), "T")
    run = await runs.find(finished)
    assert run is not None
    assert len(list(run.journal.rows())) == 2


async def test_the_summaries_of_a_finished_run_cover_all_rows(
    runs: RunStore, gate: asyncio.Event
) -> None:
    run_id = await runs.start(plan("one", "two"), "T")
    run = await runs.find(run_id)
    assert run is not None
    assert [summary.finished for summary in run.summaries()] == [0, 0]
    gate.set()
    await until_done(runs, run_id)
    assert [summary.answered for summary in run.summaries()] == [2, 2]


@contextmanager
def requests_from(visitor: str) -> Iterator[None]:
    token = CURRENT_VISITOR.set(Visitor(id=visitor))
    yield
    CURRENT_VISITOR.reset(token)


async def test_the_limit_holds_for_runs_that_start_together(
    runs: RunStore, gate: asyncio.Event
) -> None:
    results = await asyncio.gather(
        *(runs.start(plan(), "T") for _ in range(20)), return_exceptions=True
    )
    assert sum(isinstance(result, str) for result in results) == MAX_ACTIVE_PER_VISITOR
    assert sum(isinstance(result, TooManyRuns) for result in results) == 20 - MAX_ACTIVE_PER_VISITOR


async def test_active_runs_are_limited_per_visitor(runs: RunStore, gate: asyncio.Event) -> None:
    with requests_from("ann"):
        first = [await runs.start(plan(), "T") for _ in range(MAX_ACTIVE_PER_VISITOR)]
        with pytest.raises(TooManyRuns) as caught:
            await runs.start(plan(), "T")
        assert caught.value.code == "runs_full_for_visitor"
        run = await runs.find(first[0])
        assert run is not None
        await run.stop()
        await runs.start(plan(), "T")
        with pytest.raises(TooManyRuns):
            await runs.resume(first[0])
    with requests_from("bob"):
        again = await runs.resume(first[0])
    assert again is not None
    assert again.is_active


async def test_concurrent_requests_open_and_resume_a_run_once(
    runs: RunStore, tmp_path: Path, gate: asyncio.Event
) -> None:
    run_id = await runs.start(plan(), "T")
    await runs.close()
    later = open_run_store(tmp_path, FakeGateway(lambda r: [gate, *echo(r)]), lambda _model: None)
    one, other = await asyncio.gather(later.find(run_id), later.find(run_id))
    assert one is not None
    assert one is other
    one, other = await asyncio.gather(later.resume(run_id), later.resume(run_id))
    assert sum(each is not None and each.is_active for each in {one, other}) == 1
    await later.close()


class Threads(ThreadPoolExecutor):
    """An executor that records its results."""

    def __init__(self) -> None:
        super().__init__()
        self.results: list[Any] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
        future = super().submit(fn, *args, **more)
        future.add_done_callback(lambda done: self.results.append(done.result()))
        return future


async def test_runs_are_created_and_loaded_in_threads(tmp_path: Path) -> None:
    threads = Threads()
    asyncio.get_running_loop().set_default_executor(threads)
    never = asyncio.Event()
    runs = open_run_store(tmp_path, FakeGateway(lambda _request: [never]), lambda _model: None)
    run_id = await runs.start(plan(), "T")
    created = await runs.find(run_id)
    await runs.close()
    loaded = await runs.find(run_id)
    again = await runs.resume(run_id)
    assert [result for result in threads.results if isinstance(result, OpenRun)] == [
        created,
        loaded,
        again,
    ]
    await runs.close()


async def test_a_run_can_be_deleted_twice_at_once(runs: RunStore, gate: asyncio.Event) -> None:
    run_id = await runs.start(plan(), "T")
    await asyncio.gather(runs.delete(run_id), runs.delete(run_id))
    assert await runs.find(run_id) is None


async def test_a_server_that_shuts_down_starts_no_calls(tmp_path: Path) -> None:
    gates, closing = [asyncio.Event() for _ in range(20)], list[bool]()
    endpoints = [endpoint("eu-1", "a", "b")]
    gateway = FakeGateway(lambda r: [gates[len(gateway.requests) - 1], *echo(r)], endpoints)
    runs = open_run_store(tmp_path, gateway, lambda _model: None, lambda: bool(closing))
    run_id = await runs.start(plan(*map(str, range(10))), "T")
    run = await runs.find(run_id)
    assert run is not None
    await until(lambda: len(gateway.requests) == 4)
    closing.append(True)
    gates[0].set()
    await until(lambda: run.runner.progress.in_flight == 3)
    assert (len(gateway.requests), run.runner.progress.done) == (4, 1)
    await runs.close()
    assert gateway.open == 0
