"""Compiles the two C programs when they are first needed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
BUILD: Final = ROOT / "build" / "bench"


class NoCompiler(Exception):
    """The programs can't be compiled on this machine. The message says what to do."""


def program(name: str) -> Path:
    """Return the path of the compiled `bench/NAME.c`, compiled again if a source changed.

    Raises:
        NoCompiler: There is no C compiler, or the program doesn't compile.
    """
    binary = BUILD / name
    sources = [ROOT / "bench" / f"{name}.c", ROOT / "bench" / "buffer.h"]
    newest = max(source.stat().st_mtime for source in sources)
    if binary.exists() and binary.stat().st_mtime >= newest:
        return binary
    compiler = shutil.which("cc")
    if compiler is None:
        raise NoCompiler(
            "The benchmark needs a C compiler. Install one: apt-get install gcc libc6-dev"
        )
    BUILD.mkdir(parents=True, exist_ok=True)
    command = [compiler, "-O2", "-Wall", "-Wextra", "-o", str(binary), str(sources[0])]
    completed = subprocess.run(command, capture_output=True, text=True)
    if completed.returncode:
        raise NoCompiler(
            f"{name}.c doesn't compile on this machine (it needs Linux):\n{completed.stderr}"
        )
    return binary
