"""Processes under test, pinned to a core and measured through /proc. Linux only."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from bench.programs import BUILD, ROOT

SYSTEM_CORE: Final = 0
LOAD_CORE: Final = 1
"""The core of the stand-in endpoint and the load client."""

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class DidNotStart(Exception):
    """A process ended, or was not ready in time. The message is the last line of its log."""


def pinned(command: list[str], core: int) -> list[str]:
    """Return the command pinned to a core, or unchanged without that core or taskset."""
    if shutil.which("taskset") is None or core not in os.sched_getaffinity(0):
        return command
    return ["taskset", "-c", str(core), *command]


def free_port() -> int:
    """Return a free port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Running:
    """A running process and its children, in a session of their own."""

    def __init__(
        self,
        name: str,
        command: list[str],
        *,
        core: int = SYSTEM_CORE,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        folder = BUILD / "run"
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / f"{name}.log"
        # Outside the repository's folder, whose .env belongs to the developer.
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                pinned(command, core),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
                start_new_session=True,
            )
        self.name = name

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def cpu_s(self) -> float:
        """Return the user and system seconds of the session so far, with its ended children."""
        ticks = 0
        for fields in self._stats():
            ticks += sum(int(field) for field in fields[11:15])
        return ticks / _TICKS_PER_S

    def memory_mb(self) -> float:
        """Return the resident memory of the session, in megabytes (10^6 bytes)."""
        return sum(int(fields[21]) for fields in self._stats()) * _PAGE_BYTES / 1e6

    def _stats(self) -> Iterator[list[str]]:
        """Yield the fields of /proc/PID/stat after the name, for each process. Source: proc(5)."""
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(") ")[2].split()
            except OSError:
                continue  # the process ended meanwhile
            if int(fields[3]) == self._process.pid:
                yield fields

    def settle(self, within_s: float = 10.0) -> None:
        """Wait until the session is idle: it uses almost no CPU, and no process is runnable."""
        until, before = time.monotonic() + within_s, self.cpu_s()
        while time.monotonic() < until:
            time.sleep(0.2)
            now = self.cpu_s()
            # On a busy machine it may use nothing while it waits for the CPU.
            if now - before <= 0.02 and not any(fields[0] == "R" for fields in self._stats()):
                return
            before = now

    def pause(self) -> None:
        """Stop the session until `resume`, so that it uses no CPU."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the session."""
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(3)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def last_log_line(self) -> str:
        """Return the last line of the log, shortened."""
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1].strip()[:200] if lines else "the log is empty"

    def _signal(self, number: int) -> None:
        if self.alive:
            os.killpg(self._process.pid, number)
