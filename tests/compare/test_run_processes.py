"""Processes that share a folder of runs, are killed, or have no disk space. They are real ones."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from akash_gradio.compare.open_run import OpenRun
from akash_gradio.compare.run_limits import MAX_STORED_PER_VISITOR
from akash_gradio.compare.run_store import RunElsewhere, RunStore, open_run_store
from akash_gradio.compare.runner import RunState
from akash_gradio.domain.visitor import CURRENT_VISITOR
from tests.compare.fakes import FakeGateway, plan
from tests.compare.run_process import ANN
from tests.compare.test_runner import until

ROOT = Path(__file__).resolve().parents[2]


def run_process(folder: Path | str, *command: str) -> list[str]:
    return [sys.executable, "-m", "tests.compare.run_process", str(folder), *command]


@contextmanager
def holder(
    folder: Path | str, environment: dict[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start a process that executes a run, and yield it with the run's id."""
    process = subprocess.Popen(
        run_process(folder, "hold"),
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        run_id = process.stdout.readline().strip()
        assert run_id
        yield process, run_id
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
async def runs(tmp_path: Path) -> AsyncIterator[RunStore]:
    store = open_run_store(tmp_path, FakeGateway(), lambda _model: None)
    yield store
    await store.close()


def is_finished(run: OpenRun) -> bool:
    return not run.is_active


def finish(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def files_with_answers(folder: Path) -> list[str]:
    return [
        path.name
        for path in folder.rglob("*")
        if path.is_file() and b"planted-answer" in path.read_bytes()
    ]


async def test_a_run_of_another_process_is_neither_opened_nor_deleted(
    runs: RunStore, tmp_path: Path
) -> None:
    CURRENT_VISITOR.set(ANN)
    with holder(tmp_path) as (process, run_id):
        for action in (runs.find, runs.resume, runs.retry_failed, runs.delete):
            with pytest.raises(RunElsewhere):
                await action(run_id)
        os.utime(tmp_path / "runs" / f"{run_id}.run", (0, 0))
        await asyncio.to_thread(runs._delete_expired)
        for _ in range(MAX_STORED_PER_VISITOR + 5):
            run = await runs.find(await runs.start(plan("x", models=["a"]), "T"))
            assert run is not None
            await until(partial(is_finished, run))
        assert process.poll() is None
        assert files_with_answers(tmp_path)
        process.send_signal(signal.SIGKILL)
        process.wait()
        found = await runs.find(run_id)
        assert found is not None
        assert found.runner.progress.done == 1
        resumed = await runs.resume(run_id)
        assert resumed is not None
        await until(lambda: not resumed.is_active)
        assert resumed.runner.progress.state is RunState.DONE


@pytest.mark.parametrize("after", range(8))
async def test_a_deletion_that_was_killed_is_completed_at_the_next_start(
    tmp_path: Path, after: int
) -> None:
    command = run_process(tmp_path, "die", str(after))
    done = await asyncio.to_thread(finish, command)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    run_id = done.stdout.strip()
    async with open_run_store(tmp_path, FakeGateway(), lambda _model: None) as runs:
        run = await runs.find(run_id)
        if run is None:
            await until(lambda: not list((tmp_path / "runs").glob(f"*{run_id}*")))
            assert files_with_answers(tmp_path) == []
        else:
            assert after == 0  # the deletion hadn't begun
            assert len(list(run.journal.rows())) == 1


async def test_a_deletion_needs_no_disk_space(tmp_path: Path) -> None:
    command = run_process(tmp_path, "full")
    done = await asyncio.to_thread(finish, command)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert files_with_answers(tmp_path) == []
    assert [path.name for path in (tmp_path / "runs").iterdir()] == []


async def test_the_temporary_runs_of_a_killed_process_are_removed_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with holder("", {"TMPDIR": str(tmp_path)}) as (process, _run_id):
        async with open_run_store(None, FakeGateway(), lambda _model: None) as runs:
            await asyncio.to_thread(runs._delete_expired)
            assert files_with_answers(tmp_path)
        process.kill()
        process.wait()
        assert files_with_answers(tmp_path)
        async with open_run_store(None, FakeGateway(), lambda _model: None):
            await until(lambda: not list(tmp_path.iterdir()))
