"""The two small C programs, compiled when they are first wanted."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
BUILD: Final = ROOT / "build" / "bench"


class NoCompiler(Exception):
    """The programs can't be made here. The text says what to do."""


def program(name: str) -> Path:
    """The compiled `bench/NAME.c`, made anew when a source is newer. Raises NoCompiler."""
    made = BUILD / name
    sources = [ROOT / "bench" / f"{name}.c", ROOT / "bench" / "buffer.h"]
    newest = max(source.stat().st_mtime for source in sources)
    if made.exists() and made.stat().st_mtime >= newest:
        return made
    compiler = shutil.which("cc")
    if compiler is None:
        raise NoCompiler("the benchmark needs a C compiler: apt-get install gcc libc6-dev")
    BUILD.mkdir(parents=True, exist_ok=True)
    command = [compiler, "-O2", "-Wall", "-Wextra", "-o", str(made), str(sources[0])]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise NoCompiler(f"{name}.c can't be compiled here (it needs Linux):\n{done.stderr}")
    return made
