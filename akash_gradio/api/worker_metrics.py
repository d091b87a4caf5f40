"""The metrics of all worker processes: `WorkerMetrics`.

Each sample has the label `worker`. A sum over it is right in Prometheus also after a worker was
restarted, whose counters begin at zero again.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

READ_TIMEOUT_S: Final = 2.0
"""How long a worker may take to report; a busy one is left out then."""
_SAMPLE: Final = re.compile(rb"([a-zA-Z_:][a-zA-Z0-9_:]*)(\{)?")


class WorkerMetrics:
    """Exports the metrics of this worker to the others, and those of all together.

    Args:
        export: Returns the metrics of this worker.
        folder: A folder that only the workers can open, for their Unix sockets.
        worker: The number of this worker, from 1.
        workers: How many there are.
    """

    def __init__(
        self, export: Callable[[], bytes], folder: Path, worker: int, workers: int
    ) -> None:
        self._export, self._folder = export, folder
        self._worker, self._workers = worker, workers

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        """Report the metrics of this worker to the others while the context is open."""
        path = self._path(self._worker)
        path.unlink(missing_ok=True)  # of a worker that was killed
        server = await asyncio.start_unix_server(self._report, path)
        try:
            yield
        finally:
            server.close()
            path.unlink(missing_ok=True)

    async def export_all(self) -> bytes:
        """Return the metrics of all workers that report in time."""
        reports = await asyncio.gather(*map(self._read, range(1, self._workers + 1)))
        return merge_metrics(
            (worker, report) for worker, report in enumerate(reports, start=1) if report
        )

    async def _report(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            writer.write(self._export())
            await writer.drain()
        writer.close()

    async def _read(self, worker: int) -> bytes:
        if worker == self._worker:
            return self._export()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(READ_TIMEOUT_S):
                reader, writer = await asyncio.open_unix_connection(self._path(worker))
                try:
                    return await reader.read(-1)
                finally:
                    writer.close()
        return b""

    def _path(self, worker: int) -> Path:
        return self._folder / f"{worker}.sock"


def merge_metrics(reports: Iterable[tuple[int, bytes]]) -> bytes:
    """Merge reports in Prometheus' text format, and add the label `worker` to each sample.

    Args:
        reports: The number and the report of each worker.
    """
    families: dict[bytes, tuple[list[bytes], list[bytes]]] = {}
    for worker, report in reports:
        samples: list[bytes] = []
        for line in report.splitlines():
            if line.startswith(b"# HELP "):
                comments, samples = families.setdefault(line, ([line], []))
                is_known = len(comments) > 1
            elif line.startswith(b"#"):
                if not is_known:
                    comments.append(line)
            elif (match := _SAMPLE.match(line)) is not None:
                label = b'{worker="%d"' % worker
                rest = line[match.end() :]
                samples.append(match[1] + label + (b"," if match[2] else b"}") + rest)
    lines = [line for comments, samples in families.values() for line in (*comments, *samples)]
    return b"\n".join([*lines, b""])
