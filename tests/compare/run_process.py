"""A server process with a folder of runs, for tests that kill it or share its folder.

Usage: python -m tests.compare.run_process FOLDER COMMAND, where FOLDER is "" for a temporary one.
It prints the id of its run; `hold` then waits until standard input ends.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from akash_gradio.compare.journal import JournalError
from akash_gradio.compare.run_store import RunStore, open_run_store
from akash_gradio.domain.visitor import CURRENT_VISITOR, Visitor, VisitorKind
from tests.compare.fakes import FakeGateway, answer, plan
from tests.compare.test_runner import until

ANSWER = "planted-answer-" * 500


ANN = Visitor(id="ann", network="home", kind=VisitorKind.COOKIE)


def report(run_id: str) -> None:
    os.write(1, f"{run_id}\n".encode())  # a full disk may be simulated by a limit on files


async def finished_run(runs: RunStore) -> str:
    run_id = await runs.start(plan("x", models=["a"]), "T")
    run = await runs.find(run_id)
    assert run is not None
    await until(lambda: not run.is_active)
    assert run.runner.progress.done == 1, run.failure
    return run_id


async def hold_active(runs: RunStore, gateway: FakeGateway) -> None:
    never = asyncio.Event()
    gateway.script = lambda request: (
        answer(request, ANSWER) if len(gateway.requests) == 1 else [never]
    )
    run_id = await runs.start(plan("one", "two", models=["a"]), "T")
    run = await runs.find(run_id)
    assert run is not None
    await until(lambda: run.runner.progress.done == 1)
    report(run_id)
    await asyncio.to_thread(sys.stdin.read)


async def die_while_deleting(runs: RunStore, after: int) -> None:
    """Delete a run, killed before the file system operation with this number."""
    run_id = await finished_run(runs)
    report(run_id)
    calls = 0

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > after:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **more)

        return call

    for name in ("rename", "unlink", "replace", "remove", "fsync"):
        setattr(os, name, counted(getattr(os, name)))
    await runs.delete(run_id)


async def delete_on_full_disk(runs: RunStore) -> None:
    """Delete a run while no file can grow, after another couldn't be started."""
    run_id = await finished_run(runs)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    with pytest.raises(JournalError, match="run_not_saved"):
        await runs.start(plan("x"), "T")
    await runs.delete(run_id)
    report(run_id)


async def main(folder: str, command: str, *numbers: str) -> None:
    CURRENT_VISITOR.set(ANN)
    gateway = FakeGateway(lambda request: answer(request, ANSWER))
    runs = open_run_store(Path(folder) if folder else None, gateway, lambda _model: None)
    if command == "hold":
        await hold_active(runs, gateway)
    elif command == "die":
        await die_while_deleting(runs, int(numbers[0]))
    elif command == "full":
        await delete_on_full_disk(runs)
    await runs.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
