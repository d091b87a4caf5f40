"""Measures the delay of a visitor's tokens while others attack, and the server's memory."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.browser.servers import QUICK_RETRIES, ROOT, App, running_app
from tests.browser.upstreams import Upstreams, open_upstreams
from tests.soak.attacks import HONEST, Attack, send
from tests.soak.listener import ticking

MAX_DELAY_S = 0.1
"""The 99th percentile of the delay, above that of the quiet server in the same run."""
MAX_MEMORY_MB = 600.0
ENOUGH_DELAYS = 15
"""Fewer patches in a measurement mean that the stream stood still."""


@dataclass(slots=True)
class Server:
    """A running page with an honest and a hostile model."""

    app: App
    upstreams: Upstreams
    quiet_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """The honest visitor's delays during an attack, in seconds, and the highest memory."""

    delays_s: Sequence[float]
    memory_mb: float
    by_process_mb: tuple[int, ...] = ()

    @property
    def p99_s(self) -> float:
        """The 99th percentile of the delays."""
        delays = sorted(self.delays_s)
        return delays[min(len(delays) - 1, int(0.99 * len(delays)))] if delays else float("inf")


@contextmanager
def serving(**variables: Any) -> Iterator[Server]:
    """Run the page with a model whose tokens are timestamps, and a hostile one."""
    with open_upstreams(single=2, pairs=0) as upstreams, tempfile.TemporaryDirectory() as folder:
        upstreams.single[0].stub.set_behavior(ticking())
        settings = {"ENDPOINTS": upstreams.entries(), "EMBEDDED": "off", **QUICK_RETRIES}
        with running_app(Path(folder), **(settings | variables)) as app:
            server = Server(app, upstreams)
            server.quiet_s = min(measure(server, [], 2.0).p99_s for _ in range(2))
            yield server


def measure(server: Server, attacks: Iterable[tuple[str, Attack]], seconds: float) -> Measurement:
    """Stream for some seconds while the attacks run, one after the other for half a second."""
    listener = subprocess.Popen(
        [sys.executable, "-m", "tests.soak.listener", server.app.url, HONEST, str(seconds + 1)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    with MemoryWatch(server.app) as memory:
        time.sleep(1.0)  # until it streams
        asyncio.run(_attack(server.app.url, list(attacks), seconds))
        try:
            output, _ = listener.communicate(timeout=seconds + 30)
        except subprocess.TimeoutExpired:  # the server doesn't respond any more
            listener.kill()
            output, _ = listener.communicate()
    delays = json.loads(output) if listener.returncode == 0 else []
    return Measurement(
        delays_s=delays,
        memory_mb=memory.peak_mb,
        by_process_mb=tuple(map(int, memory.by_process_mb.values())),
    )


async def _attack(url: str, attacks: Sequence[tuple[str, Attack]], seconds: float) -> None:
    tasks = [asyncio.create_task(asyncio.sleep(seconds))]
    for route, attack in attacks:
        tasks.append(asyncio.create_task(send(url, route, attack, limit_s=seconds)))
        await asyncio.sleep(0.5)
    await asyncio.gather(*tasks)


@dataclass(slots=True)
class MemoryWatch:
    """Records the highest resident memory of a server with its workers."""

    app: App
    peak_mb: float = 0.0
    by_process_mb: dict[int, float] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> MemoryWatch:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        assert self._thread is not None
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.1):
            sizes = {pid: _resident_mb(pid) for pid in (self.app.process.pid, *self.app.children)}
            if sum(sizes.values()) > self.peak_mb:
                self.peak_mb, self.by_process_mb = sum(sizes.values()), sizes


def _resident_mb(process_id: int) -> float:
    try:
        pages = int(Path(f"/proc/{process_id}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * 4096 / 1e6


def problems_of(
    measured: Measurement, quiet_s: float, max_memory_mb: float = MAX_MEMORY_MB
) -> list[str]:
    """List the limits that a measurement exceeds."""
    problems = []
    if len(measured.delays_s) < ENOUGH_DELAYS:
        problems.append(f"only {len(measured.delays_s)} patches")
    if measured.p99_s > MAX_DELAY_S + quiet_s:
        problems.append(f"tokens {measured.p99_s * 1000:.0f} ms late")
    if measured.memory_mb > max_memory_mb:
        problems.append(f"{measured.memory_mb:.0f} MB in {measured.by_process_mb}")
    return problems
