from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from akash_gradio.compare.run import RunState
from akash_gradio.compare.runs import MOST_KEPT, MOST_OPEN, MOST_RUNNING, Runs, RunsFull, open_runs
from tests.compare.fakes import Answering, echo, plan
from tests.compare.test_run import until


@pytest.fixture
def gate() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
async def runs(tmp_path: Path, gate: asyncio.Event) -> AsyncIterator[Runs]:
    """A server's runs; no answer comes before the gate is open."""
    found = open_runs(tmp_path, Answering(lambda r: [gate, *echo(r)]), lambda _model: None)
    yield found
    await found.close()


async def done(runs: Runs, run_id: str) -> None:
    found = runs.find(run_id)
    assert found is not None
    await until(lambda: not found.at_work)
    assert found.run.progress.state is RunState.DONE


async def test_a_run_goes_on_by_itself_and_its_id_alone_opens_it(
    runs: Runs, gate: asyncio.Event
) -> None:
    mine, other = await runs.begin(plan("mine"), "Mine"), await runs.begin(plan("other"), "Other")
    assert mine != other
    assert len(mine) >= 24
    gate.set()
    await done(runs, mine)
    found = runs.find(mine)
    assert found is not None
    assert (found.title, [row.answer for row in found.journal.rows()]) == (
        "Mine",
        ["a: mine", "b: mine"],
    )


@pytest.mark.parametrize("guess", ["", "x" * 24, "../votes", "a/b" * 8, "%2e" * 8])
def test_a_guessed_id_opens_nothing(runs: Runs, guess: str) -> None:
    assert runs.find(guess) is None


async def test_a_run_outlives_the_server_where_there_is_a_folder(
    runs: Runs, tmp_path: Path, gate: asyncio.Event
) -> None:
    run_id = await runs.begin(plan("one", "two"), "T")
    await runs.close()
    later = open_runs(tmp_path, Answering(), lambda _model: None)
    found = later.find(run_id)
    assert found is not None
    assert (found.title, found.at_work) == ("T", False)
    await later.go_on(run_id)
    await done(later, run_id)
    await later.close()


async def test_without_a_folder_the_runs_go_with_the_server(gate: asyncio.Event) -> None:
    runs = open_runs(None, Answering(), lambda _model: None)
    assert not runs.kept
    run_id = await runs.begin(plan(), "T")
    await done(runs, run_id)
    await runs.close()
    assert runs.find(run_id) is None


async def test_a_stopped_run_goes_on_and_a_finished_one_asks_nothing(
    runs: Runs, gate: asyncio.Event
) -> None:
    run_id = await runs.begin(plan(), "T")
    found = runs.find(run_id)
    assert found is not None
    await found.stop()
    assert (found.at_work, found.run.progress.state) == (False, RunState.STOPPED)
    gate.set()
    again = await runs.go_on(run_id)
    assert again is not None
    await done(runs, run_id)
    assert await runs.go_on(run_id) is again
    assert not again.at_work


async def test_a_paused_run_goes_on(runs: Runs, gate: asyncio.Event) -> None:
    run_id = await runs.begin(plan(), "T")
    found = runs.find(run_id)
    assert found is not None
    await until(lambda: found.run.progress.in_flight == 4)
    found.run.pause()
    assert await runs.go_on(run_id) is found
    gate.set()
    await done(runs, run_id)


async def test_a_forgotten_run_leaves_nothing_behind(runs: Runs, tmp_path: Path) -> None:
    run_id = await runs.begin(plan(), "T")
    await runs.forget(run_id)
    assert runs.find(run_id) is None
    assert [path.name for path in (tmp_path / "runs").iterdir()] == []


async def test_only_so_many_are_under_way_at_once(runs: Runs, gate: asyncio.Event) -> None:
    first = [await runs.begin(plan(), "T") for _ in range(MOST_RUNNING)]
    with pytest.raises(RunsFull):
        await runs.begin(plan(), "T")
    gate.set()
    await done(runs, first[0])
    await runs.begin(plan(), "T")


async def test_files_that_nobody_looks_at_are_closed_and_the_oldest_removed(
    runs: Runs, tmp_path: Path, gate: asyncio.Event
) -> None:
    gate.set()
    ids = []
    for _ in range(MOST_OPEN + 2):
        ids.append(await runs.begin(plan("x"), "T"))
        await done(runs, ids[-1])
    assert len(runs._open) <= MOST_OPEN
    assert runs.find(ids[0]) is not None
    for number in range(MOST_KEPT):
        (tmp_path / "runs" / f"new-{number}.run").write_text("")
    await runs.begin(plan("x"), "T")
    assert len(list((tmp_path / "runs").glob("*.run"))) <= MOST_KEPT + MOST_OPEN


async def test_the_figures_of_a_finished_run_are_of_all_its_rows(
    runs: Runs, gate: asyncio.Event
) -> None:
    run_id = await runs.begin(plan("one", "two"), "T")
    found = runs.find(run_id)
    assert found is not None
    assert [each.asked for each in found.summaries()] == [0, 0]
    gate.set()
    await done(runs, run_id)
    assert [each.answered for each in found.summaries()] == [2, 2]
