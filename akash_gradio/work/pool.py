"""The pool: runs functions in worker processes, with a time limit, and cancels them."""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from akash_gradio.domain.errors import UserError
from akash_gradio.domain.visitor import CURRENT_VISITOR
from akash_gradio.work.fair_queue import FairQueue
from akash_gradio.work.worker import CANCEL_SIGNAL, LENGTH_BYTES, Outcome, register_reducers

JOB_CPU_S: Final = 5.0
"""CPU time of one job. The costliest input that the size limits admit takes about half of it."""
QUICK_JOB_CPU_S: Final = 0.2
"""CPU time of one quick job, which delays the quick jobs of others by as much."""
WALL_FACTOR: Final = 8
"""A job is given up after so many times its CPU time, for workers that get little CPU."""
START_S: Final = 20.0
"""Time that a worker may need to start, on a busy machine."""
CANCEL_S: Final = 0.5
"""Time in which a worker stops a cancelled job; after it the worker is killed."""

_ROOT: Final = Path(__file__).resolve().parents[2]
Params = ParamSpec("Params")
Result = TypeVar("Result")


class WorkFailed(UserError):
    """A job raised an unexpected error, took too long or needed too much memory.

    Its facts are the reason: `time`, `memory`, `crash` or the class name of the error.
    """

    def __init__(self, reason: str) -> None:
        super().__init__("work_failed", {"reason": reason}, 503)


def default_workers() -> int:
    """Return the number of workers of each kind: half the processors, at most four."""
    return min(4, max(1, (os.cpu_count() or 1) // 2))


class WorkPool:
    """Worker processes that start when they are needed. Use it on one event loop only.

    Quick jobs have workers of their own, so that they never wait for longer ones. All workers have
    a low priority, so that the event loop comes first.
    """

    def __init__(self, bulk_workers: int | None = None, quick_workers: int | None = None) -> None:
        """Create the pool without starting a process.

        Args:
            bulk_workers: Workers of `run`; see `default_workers`.
            quick_workers: Workers of `run_quickly`.
        """
        self._bulk = _Workers(bulk_workers or default_workers(), JOB_CPU_S)
        self._quick = _Workers(quick_workers or default_workers(), QUICK_JOB_CPU_S)
        self._threads, self._slow_threads = FairQueue(1), FairQueue(2)
        self._jobs: set[asyncio.Task[Any]] = set()
        register_reducers()

    async def run(
        self, function: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs
    ) -> Result:
        """Run a function in a worker process, for the visitor of the current request.

        Args:
            function: A function of a module, or a method of a value that can be pickled.
            *args: Its arguments, which are pickled.
            **kwargs: Its arguments by name.

        Raises:
            UserError: The function raised it.
            WorkFailed: The job took too long or too much memory, or raised another error.
            LimitReached: Too many jobs of the visitor wait.
        """
        result: Result = await self._in_task(self._bulk.run(function, args, kwargs))
        return result

    async def run_quickly(
        self, function: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs
    ) -> Result:
        """Do the same as `run`, for a job of at most `QUICK_JOB_CPU_S`."""
        result: Result = await self._in_task(self._quick.run(function, args, kwargs))
        return result

    async def in_thread(
        self, function: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs
    ) -> Result:
        """Run a function in a thread, one at a time, if it needs objects of this process.

        It holds the interpreter lock, so prefer `run`.

        Raises:
            LimitReached: Too many jobs of the visitor wait.
        """
        result: Result = await self._in_task(
            self._run_in_thread(self._threads, function, *args, **kwargs)
        )
        return result

    async def in_slow_thread(
        self, function: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs
    ) -> Result:
        """Do the same as `in_thread`, in one of two threads for functions that take seconds."""
        job = self._run_in_thread(self._slow_threads, function, *args, **kwargs)
        result: Result = await self._in_task(job)
        return result

    async def close(self) -> None:
        """Cancel all jobs and end the workers."""
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        await self._bulk.close()
        await self._quick.close()

    async def _in_task(self, job: Coroutine[Any, Any, Any]) -> Any:
        """Await a job in a task of its own: when cancelled, it still settles its worker."""
        task = asyncio.create_task(job)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.cancel()
            raise

    async def _run_in_thread(
        self, queue: FairQueue, function: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        async with queue.slot(CURRENT_VISITOR.get()):
            thread = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
            try:
                return await asyncio.shield(thread)
            except asyncio.CancelledError:  # a thread can't be stopped; the slot waits for it
                await asyncio.wait([thread])
                raise


class _Workers:
    """Some workers with one time limit."""

    def __init__(self, count: int, cpu_s: float) -> None:
        self._queue, self._cpu_s = FairQueue(count), cpu_s
        self._idle: list[_Worker] = []

    async def run(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        size_bytes = sum(len(arg) for arg in args if isinstance(arg, bytes | str))
        async with self._queue.slot(CURRENT_VISITOR.get(), size_bytes):
            job = (function, args, kwargs, self._cpu_s)
            payload = pickle.dumps(job, pickle.HIGHEST_PROTOCOL)
            outcome, value = await self._call(payload)
        if outcome is Outcome.FAILED:
            raise WorkFailed(value)
        if outcome is Outcome.RAISED:
            raise _restored(*value)
        return value

    async def close(self) -> None:
        workers, self._idle = self._idle, []
        for worker in workers:
            await worker.kill()

    async def _call(self, payload: bytes) -> tuple[Outcome, Any]:
        worker = self._idle.pop() if self._idle else await _Worker.start()
        reusable = False
        try:
            async with asyncio.timeout(WALL_FACTOR * self._cpu_s + START_S):
                outcome, value = await worker.call(payload)
            reusable = outcome is not Outcome.LAST
        except TimeoutError:
            raise WorkFailed("time") from None
        except (OSError, EOFError):
            raise WorkFailed("crash") from None
        except asyncio.CancelledError:
            reusable = await worker.cancel()
            raise
        finally:
            if reusable:
                self._idle.append(worker)
            else:
                await worker.kill()
        return outcome, value


def _restored(kind: type[UserError], args: tuple[Any, ...], attributes: Any) -> UserError:
    error = kind.__new__(kind, *args)
    vars(error).update(attributes)
    return error


class _Worker:
    """One worker process, seen from the server."""

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._input, self._output = process, process.stdin, process.stdout

    @classmethod
    async def start(cls) -> _Worker:
        command = [sys.executable, "-m", "akash_gradio.work.worker"]
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            cwd=_ROOT,
            env={"LANG": "C.UTF-8"},
            limit=1 << 20,
        )
        return cls(process)

    async def call(self, payload: bytes) -> tuple[Outcome, Any]:
        self._input.write(len(payload).to_bytes(LENGTH_BYTES, "big"))
        self._input.write(payload)
        await self._input.drain()
        return await self._response()

    async def cancel(self) -> bool:
        """Stop the job, and return whether the worker can be used again."""
        if CANCEL_SIGNAL is None or self._process.returncode is not None:
            return False
        self._process.send_signal(CANCEL_SIGNAL)
        try:
            async with asyncio.timeout(CANCEL_S):
                outcome, _ = await self._response()
        except (TimeoutError, OSError, EOFError):
            return False
        return outcome is not Outcome.LAST

    async def kill(self) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
        self._input.close()
        await self._process.wait()

    async def _response(self) -> tuple[Outcome, Any]:
        head = await self._output.readexactly(LENGTH_BYTES)
        body = await self._output.readexactly(int.from_bytes(head, "big"))
        outcome, value = pickle.loads(body)
        return outcome, value
