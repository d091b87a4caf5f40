"""Reads an attached file in a child process with limits, and hands back plain values.

A file from a stranger may be broken or built to eat memory and time. So none is opened in
the process that serves everybody: the child has a limit on each, and no secret in its
environment.
"""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

FILE_LIMIT_BYTES: Final = 20_000_000
TIMEOUT_S: Final = 30.0
CHILDREN: Final = 2
"""At once; others wait their turn."""
WAITING: Final = 16
"""More than these are sent away."""

_ROOT: Final = Path(__file__).resolve().parents[2]


class Kind(StrEnum):
    """What is read here; texts are read by the browser itself."""

    PDF = "pdf"
    PICTURE = "picture"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The text of a PDF. pages: how many it has. read_pages: how many the text is of."""

    text: str
    pages: int
    read_pages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture drawn anew: upright, shrunk, without EXIF. url: a JPEG as a data URL."""

    url: str
    width: int
    height: int


class UnreadableFile(Exception):
    """The file can't be used. reason: a key of `words.FILE_ERRORS`.

    `broken`, `locked` (a password), `no_text` (a scan), `not_picture`, `too_many_pixels`,
    `too_heavy` (memory or time), `busy` (too many are being read now).
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class FileReader:
    """Live state: how many children run. One for a process; safe for its event loop alone."""

    def __init__(self, *, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._turn = asyncio.Semaphore(CHILDREN)
        self._waiting = 0

    async def read_pdf(self, content: bytes) -> Document:
        """The text of a PDF. Raises UnreadableFile."""
        return Document(**await self._read(Kind.PDF, content))

    async def read_picture(self, content: bytes) -> Picture:
        """The picture, checked and shrunk. Raises UnreadableFile."""
        return Picture(**await self._read(Kind.PICTURE, content))

    async def _read(self, kind: Kind, content: bytes) -> dict[str, Any]:
        if self._waiting >= WAITING:
            raise UnreadableFile("busy")
        self._waiting += 1
        try:
            async with self._turn:
                return await _in_child(kind, content, self._timeout_s)
        finally:
            self._waiting -= 1


async def _in_child(kind: Kind, content: bytes, timeout_s: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "akash_gradio.files.child", kind.value]
    child = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, cwd=_ROOT, env={"LANG": "C.UTF-8"}
    )
    try:
        async with asyncio.timeout(timeout_s):
            output, _ = await child.communicate(content)
    except TimeoutError:
        raise UnreadableFile("too_heavy") from None
    finally:
        await _end(child)
    return _result(child.returncode, output)


async def _end(child: Process) -> None:
    if child.returncode is None:
        child.kill()
        await child.wait()


def _result(returncode: int | None, output: bytes) -> dict[str, Any]:
    """What the child said. One that was ended by its limits said nothing."""
    if returncode != 0:
        raise UnreadableFile("too_heavy")
    said: dict[str, Any] = json.loads(output)
    if "reason" in said:
        raise UnreadableFile(str(said["reason"]))
    return said
