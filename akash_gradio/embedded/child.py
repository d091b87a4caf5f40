"""Starts the model's server as a child process, watches it and ends it."""

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

_EXIT_TIMEOUT_S: Final = 0.5
_MAX_OUTPUT_BYTES: Final = 16_384
_LOAD_ERROR: Final = re.compile(r"error loading model: (.+)")


class ServerCrashed(Exception):
    """The child process ended by itself.

    Attributes:
        status: Its exit status as `subprocess` reports it, negative for a signal.
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"signal {-status}" if status < 0 else f"exit status {status}")
        self.status = status


class RunningServer:
    """A server with a loaded model; its process may end at any time.

    Attributes:
        url: `http://127.0.0.1:port`, without `/v1`.
    """

    def __init__(self, url: str, process: Process, output: asyncio.Task[str]) -> None:
        self.url, self._process, self._output = url, process, output

    @property
    def process_id(self) -> int:
        """The id of the child process."""
        return self._process.pid

    async def wait_for_output_end(self) -> None:
        """Wait until the child closes its output, which ends before its status is known."""
        await asyncio.wait([self._output])

    async def wait_for_exit(self) -> None:
        """Wait until the child exits, which is always a crash.

        Raises:
            ServerCrashed: A restart may help.
            EmbeddedUnavailable: A restart can't help.
        """
        raise _exit_error(await self._process.wait())


@asynccontextmanager
async def running_server(
    command: Sequence[str], parameters: Parameters, *, load_timeout_s: float
) -> AsyncIterator[RunningServer]:
    """Start the child process, wait until the model is loaded, and end the process on exit.

    Args:
        command: The command line of `embedded.server`.
        parameters: Sent to its standard input.
        load_timeout_s: Seconds after which loading is abandoned.

    Raises:
        ServerCrashed: Another attempt may help.
        EmbeddedUnavailable: Another attempt can't help.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        start_new_session=True,  # Ctrl-C in the terminal goes to the app, which ends the child
        env={**os.environ, "OMP_WAIT_POLICY": "passive"},
    )
    assert process.stderr is not None
    output = asyncio.create_task(_read_beginning(process.stderr))
    try:
        url = await _wait_until_loaded(process, parameters, output, load_timeout_s)
        yield RunningServer(url, process, output)
    finally:
        try:
            await _stop(process)
        finally:
            output.cancel()


async def _wait_until_loaded(
    process: Process,
    parameters: Parameters,
    output: asyncio.Task[str],
    load_timeout_s: float,
) -> str:
    try:
        async with asyncio.timeout(load_timeout_s):
            result = await _send_parameters(process, parameters)
            if "url" in result:
                return result["url"]
            errors = await output
    except TimeoutError:
        detail = f"not loaded after {load_timeout_s:g} s"
        raise EmbeddedUnavailable(Reason.LOAD_FAILED, detail) from None
    raise _load_error(Reason(result["error"]), result["detail"], errors)


async def _send_parameters(process: Process, parameters: Parameters) -> dict[str, str]:
    """Return the child's one line of JSON. Raises ServerCrashed when it exits without it."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(parameters).encode() + b"\n")
        await process.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        pass  # it exited already; its status has the reason
    line = await process.stdout.readline()
    if not line:
        raise _exit_error(await process.wait())
    result: dict[str, str] = json.loads(line)
    return result


def _load_error(reason: Reason, detail: str, output: str) -> EmbeddedUnavailable:
    """Return why the model wasn't loaded, with llama.cpp's own message where it has one."""
    if reason is Reason.NO_LIBGOMP:
        hint = "apt-get install libgomp1 (Debian, Ubuntu), dnf install libgomp (Fedora)"
        return EmbeddedUnavailable(reason, hint)
    if reason is Reason.LOAD_FAILED and (match := _LOAD_ERROR.search(output)):
        detail = match[1].strip()
    return EmbeddedUnavailable(reason, detail)


def _exit_error(status: int) -> ServerCrashed | EmbeddedUnavailable:
    if status == -signal.SIGILL:
        detail = f"illegal instruction on {platform.machine()}"
        return EmbeddedUnavailable(Reason.NO_AVX2, detail)
    return ServerCrashed(status)


async def _read_beginning(stream: asyncio.StreamReader) -> str:
    """Read to the end, so that the child is never blocked, but return only the beginning.

    Output while loading can't contain a prompt.
    """
    output = b""
    while piece := await stream.read(65_536):
        output += piece[: _MAX_OUTPUT_BYTES - len(output)]
    return output.decode(errors="replace")


async def _stop(process: Process) -> None:
    """Close the child's input, which ends it; kill it when it takes more than half a second."""
    assert process.stdin is not None
    try:
        process.stdin.close()
        async with asyncio.timeout(_EXIT_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
