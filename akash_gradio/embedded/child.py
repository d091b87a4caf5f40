"""One life of the model's server: a child process from its start to its end."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import re
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from akash_gradio.embedded.errors import EmbeddedUnavailable, Reason
from akash_gradio.embedded.server import Parameters

_GRACE_S: Final = 0.5
_KEPT_BYTES: Final = 16_384
_COMPLAINT: Final = re.compile(r"error loading model: (.+)")


class ServerCrashed(Exception):
    """The child ended by itself. status: as `subprocess` gives it, negative for a signal."""

    def __init__(self, status: int) -> None:
        super().__init__(f"signal {-status}" if status < 0 else f"exit status {status}")
        self.status = status


class RunningServer:
    """A loaded model that answers. Live state: the process may end at any time.

    url: `http://127.0.0.1:port`, without a version. process_id: the child's.
    """

    def __init__(self, url: str, process: Process, output: asyncio.Task[str]) -> None:
        self.url, self._process, self._output = url, process, output

    @property
    def process_id(self) -> int:
        """Of the child."""
        return self._process.pid

    async def silent(self) -> None:
        """Wait for the end of its output: known at once when it dies, its status only later."""
        await asyncio.wait([self._output])

    async def ended(self) -> None:
        """Wait for the child's end, which is always a crash: raises ServerCrashed or
        EmbeddedUnavailable."""
        raise _crash(await self._process.wait())


@asynccontextmanager
async def running_server(
    command: Sequence[str], parameters: Parameters, *, load_timeout_s: float
) -> AsyncIterator[RunningServer]:
    """Start the child, wait until the model is loaded; end the child on the way out.

    Raises EmbeddedUnavailable where another try can't help, ServerCrashed where it may.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        start_new_session=True,  # Ctrl-C in the terminal is for the app, which ends this
        env={**os.environ, "OMP_WAIT_POLICY": "passive"},
    )
    assert process.stderr is not None
    complaints = asyncio.create_task(_beginning(process.stderr))
    try:
        url = await _loaded(process, parameters, complaints, load_timeout_s)
        yield RunningServer(url, process, complaints)
    finally:
        try:
            await _end(process)
        finally:
            complaints.cancel()


async def _loaded(
    process: Process,
    parameters: Parameters,
    complaints: asyncio.Task[str],
    load_timeout_s: float,
) -> str:
    try:
        async with asyncio.timeout(load_timeout_s):
            answer = await _ask(process, parameters)
            if "url" in answer:
                return answer["url"]
            said = await complaints
    except TimeoutError:
        detail = f"not loaded after {load_timeout_s:g} s"
        raise EmbeddedUnavailable(Reason.LOAD_FAILED, detail) from None
    raise _refusal(Reason(answer["error"]), answer["detail"], said)


async def _ask(process: Process, parameters: Parameters) -> dict[str, str]:
    """The child's one line. Raises ServerCrashed when it ends without it."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(parameters).encode() + b"\n")
        await process.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        pass  # it ended already; the reason is in its status
    line = await process.stdout.readline()
    if not line:
        raise _crash(await process.wait())
    answer: dict[str, str] = json.loads(line)
    return answer


def _refusal(reason: Reason, detail: str, said: str) -> EmbeddedUnavailable:
    """What stopped the load, in llama.cpp's own words where it has any."""
    if reason is Reason.NO_LIBGOMP:
        mend = "apt-get install libgomp1 (Debian, Ubuntu), dnf install libgomp (Fedora)"
        return EmbeddedUnavailable(reason, mend)
    if reason is Reason.LOAD_FAILED and (complaint := _COMPLAINT.search(said)):
        detail = complaint[1].strip()
    return EmbeddedUnavailable(reason, detail)


def _crash(status: int) -> ServerCrashed | EmbeddedUnavailable:
    if status == -signal.SIGILL:
        detail = f"illegal instruction on {platform.machine()}"
        return EmbeddedUnavailable(Reason.NO_AVX2, detail)
    return ServerCrashed(status)


async def _beginning(stream: asyncio.StreamReader) -> str:
    """Reads to the end, so that the child never waits for us, and keeps the beginning only:
    what is said while loading can't hold a prompt."""
    kept = b""
    while piece := await stream.read(65_536):
        kept += piece[: _KEPT_BYTES - len(kept)]
    return kept.decode(errors="replace")


async def _end(process: Process) -> None:
    """Close the child's input, which ends it; kill it when that takes more than half a second."""
    assert process.stdin is not None
    try:
        process.stdin.close()
        async with asyncio.timeout(_GRACE_S):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
