"""Runs the program in a process, as the browser tests need it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[2]
START_S = 60.0
KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "PIP_INDEX_URL")
QUICK_RETRIES: dict[str, Any] = {
    "RETRY_ATTEMPTS": "1",
    "RETRY_DELAY": "1",
    "FIRST_TOKEN_TIMEOUT": "30",
    "IDLE_TIMEOUT": "30",
    "CONNECT_TIMEOUT": "2",
}
"""Settings for quick retries, and long timeouts for endpoints that are silent on purpose."""


@dataclass(slots=True)
class App:
    """A running `python app.py`.

    Attributes:
        process: The process.
        url: The address of the page.
        log_file: Its stdout and stderr.
    """

    process: subprocess.Popen[bytes]
    url: str
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    @property
    def children(self) -> list[int]:
        """Return the process ids of its children."""
        return [pid for pid, parent in _parents() if parent == self.process.pid]

    def answers(self) -> bool:
        """Return whether the page, or its sign-in form, can be opened now."""
        try:
            with urlopen(f"{self.url}/page/boot", timeout=10) as response:
                return bool(response.status == 200)
        except HTTPError as error:
            return error.code == 401
        except (URLError, OSError):
            return False

    def end(self, number: int = signal.SIGTERM) -> None:
        """Send a signal and wait for the end of the process."""
        self.process.send_signal(number)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def running_app(folder: Path, *, port: int = 0, **variables: Any) -> Iterator[App]:
    """Run the program with exactly these environment variables.

    Args:
        folder: Its working directory, also for its log.
        port: The port, 0 for a free one.
        variables: Environment variables; lists and dicts become JSON.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    app = _start(folder, port, variables)
    try:
        wait_until(lambda: app.process.poll() is not None or app.answers(), START_S, "the page")
        assert app.process.poll() is None, f"the program ended:\n{app.log}"
        yield app
    finally:
        if app.process.poll() is None:
            app.end()


def _start(folder: Path, port: int, variables: dict[str, Any]) -> App:
    environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    environment |= {"CACHE_DIR": str(folder / "cache"), "GRADIO_SERVER_PORT": str(port)}
    environment |= {name: _text(value) for name, value in variables.items()}
    log_file = folder / "app.log"
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "app.py")],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    return App(process, f"http://127.0.0.1:{port}", log_file)


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, list | dict) else str(value)


_PORTS = iter(range(20_000, 32_000))
"""Below the ephemeral ports of the system, which it could assign in between."""
_reserved: list[IO[str]] = []


def free_port() -> int:
    """Return a free port that no other test process uses, of this run or of another.

    A lock file reserves the port until this process ends.
    """
    for port in _PORTS:
        lock = (Path(tempfile.gettempdir()) / f"akash-gradio-test-port-{port}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            continue
        _reserved.append(lock)
        return port
    raise AssertionError("no port is left")


def wait_until(condition: Callable[[], Any], within_s: float, what: str) -> None:
    """Wait until a condition holds. Raises AssertionError after `within_s` seconds."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {within_s:g} s"
        time.sleep(0.02)


def alive(process_id: int) -> bool:
    """Return whether the process runs. A zombie does not, once its last thread has ended.

    Until then its sockets are open, and its port still accepts connections.
    """
    process = Path(f"/proc/{process_id}")
    try:
        state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" or len(list((process / "task").iterdir())) > 1
    except OSError:
        return False


def _parents() -> Iterator[tuple[int, int]]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        yield int(folder.name), int(parent)
