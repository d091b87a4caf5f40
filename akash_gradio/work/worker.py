"""The program of a worker process: reads jobs from standard input, writes their results.

`python -m akash_gradio.work.worker`

A job is a pickled function with its arguments. The pipes lead to the server alone, which is
trusted; a visitor's bytes are only ever arguments.
"""

from __future__ import annotations

import copyreg
import os
import pickle
import signal
import sys
from contextlib import suppress
from enum import Enum
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Any, BinaryIO, Final

from akash_gradio.domain.errors import UserError

LENGTH_BYTES: Final = 8
"""Before each message: its length, big-endian."""
CANCEL_SIGNAL: Final[signal.Signals | None] = getattr(signal, "SIGUSR1", None)
"""Stops the job in progress; None on systems without it (Windows), where workers are killed."""
MEMORY_LIMIT_BYTES: Final = 500_000_000
"""Address space of a worker."""
MEMORY_KEPT_BYTES: Final = 100_000_000
"""A worker that holds more after a job ends."""
NICENESS: Final = 10
"""Added to the priority of the server, whose event loop comes first."""


class Outcome(Enum):
    """How a job ended."""

    DONE = "done"
    RAISED = "raised"
    """With a `UserError`: its class, arguments and attributes."""
    FAILED = "failed"
    """With another error, or at a limit: the reason."""
    LAST = "last"
    """Done, and the worker ends."""


class _State(Enum):
    WAITING = "waiting"
    """For a job. A signal that arrives now is of the previous job, and has no effect."""
    READING = "reading"
    RUNNING = "running"
    STOPPED = "stopped"


class _Stopped(BaseException):
    """The job was cancelled or used up its time. No handler for `Exception` catches it."""


class Worker:
    """Runs jobs one after the other until its input ends."""

    def __init__(self, source: BinaryIO, target: BinaryIO) -> None:
        self._source, self._target = source, target
        self._state = _State.WAITING

    def run(self) -> None:
        """Run all jobs."""
        while len(head := self._source.read(LENGTH_BYTES)) == LENGTH_BYTES:
            self._state = _State.READING
            outcome = self._run_job(self._source.read(int.from_bytes(head, "big")))
            self._state = _State.WAITING
            is_last = _memory_bytes() > MEMORY_KEPT_BYTES
            if is_last and outcome[0] is Outcome.DONE:
                outcome = (Outcome.LAST, outcome[1])
            self._write(outcome)
            if is_last:
                return

    def stop(self, _number: int, _frame: FrameType | None) -> None:
        """Handle a signal: stop the job in progress, if there is one."""
        if self._state is _State.RUNNING:
            self._state = _State.STOPPED
            raise _Stopped
        if self._state is _State.READING:
            self._state = _State.STOPPED

    def _run_job(self, payload: bytes) -> tuple[Outcome, Any]:
        try:
            if self._state is _State.STOPPED:
                return Outcome.FAILED, "time"
            self._state = _State.RUNNING
            try:
                function, args, kwargs, cpu_s = pickle.loads(payload)
                _set_timer(cpu_s)
                value = function(*args, **kwargs)
            finally:
                self._state = _State.STOPPED
                _set_timer(0)
        except UserError as error:
            attributes = {name: _plain(value) for name, value in vars(error).items()}
            return Outcome.RAISED, (type(error), error.args, attributes)
        except _Stopped:
            return Outcome.FAILED, "time"
        except (MemoryError, RecursionError):
            return Outcome.FAILED, "memory"
        except Exception as error:  # its text may contain a visitor's words
            return Outcome.FAILED, type(error).__name__
        return Outcome.DONE, value

    def _write(self, outcome: tuple[Outcome, Any]) -> None:
        body = pickle.dumps(outcome, pickle.HIGHEST_PROTOCOL)
        self._target.write(len(body).to_bytes(LENGTH_BYTES, "big"))
        self._target.write(body)
        self._target.flush()


def register_reducers() -> None:
    """Let immutable mappings be pickled."""
    copyreg.pickle(MappingProxyType, _reduce_mapping)


def _reduce_mapping(mapping: MappingProxyType[Any, Any]) -> tuple[Any, ...]:
    return _restore_mapping, (dict(mapping),)


def _restore_mapping(values: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(values)


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, MappingProxyType) else value


def _set_timer(seconds: float) -> None:
    """Limit the CPU time of the job; one that a C function doesn't return to stop ends the process.

    The default action of SIGVTALRM, which nothing handles, is to end it.
    """
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.setitimer(signal.ITIMER_VIRTUAL, 2 * seconds)


def _memory_bytes() -> int:
    """Return the resident memory, 0 on systems without /proc."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _limit_resources() -> None:
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if hasattr(os, "nice"):
        os.nice(NICENESS)


def main() -> None:
    """Run jobs until the server closes the pipe."""
    worker = Worker(sys.stdin.buffer, sys.stdout.buffer)
    sys.stdout = sys.stderr  # a job that prints must not write into the pipe
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: the server ends the workers
    if CANCEL_SIGNAL is not None:
        signal.signal(CANCEL_SIGNAL, worker.stop)
    if hasattr(signal, "SIGPROF"):
        signal.signal(signal.SIGPROF, worker.stop)
    _limit_resources()
    register_reducers()
    worker.run()


if __name__ == "__main__":
    # Pickle names a class by its module, which must be the same in the server.
    from akash_gradio.work import worker as module

    module.main()
