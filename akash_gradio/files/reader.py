"""Reads an attached file in a child process with limits, and returns plain values.

A visitor's file may be damaged, or crafted to exhaust memory or time. Files are therefore never
opened in the server's process. The child's memory and time are limited, and its environment
contains no secrets.
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

from akash_gradio.domain.errors import LimitReached
from akash_gradio.domain.visitor import CURRENT_VISITOR
from akash_gradio.files.errors import UnreadableFile
from akash_gradio.work.fair_queue import FairQueue

TIMEOUT_S: Final = 30.0
MAX_CHILDREN: Final = 2
"""Upper bound of concurrent children; other files wait, fairly between visitors."""

_ROOT: Final = Path(__file__).resolve().parents[2]


class Kind(StrEnum):
    """The kinds of files that the server reads. Browsers read text files themselves."""

    PDF = "pdf"
    PICTURE = "picture"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The text of a PDF.

    Attributes:
        text: The text of the first pages.
        pages: Number of pages in the file.
        read_pages: Number of pages that were read.
    """

    text: str
    pages: int
    read_pages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture, upright, downscaled and without metadata.

    Attributes:
        url: A JPEG as a data URL.
        width: In pixels.
        height: In pixels.
    """

    url: str
    width: int
    height: int


class FileReader:
    """Reads files, a limited number at a time. Use it on one event loop only."""

    def __init__(self, *, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._children = FairQueue(MAX_CHILDREN)

    async def read_pdf(self, content: bytes) -> Document:
        """Extract the text of a PDF.

        Raises:
            UnreadableFile: The file can't be used.
        """
        return Document(**await self._read(Kind.PDF, content))

    async def read_picture(self, content: bytes) -> Picture:
        """Validate and downscale a picture.

        Raises:
            UnreadableFile: The file can't be used.
        """
        return Picture(**await self._read(Kind.PICTURE, content))

    async def _read(self, kind: Kind, content: bytes) -> dict[str, Any]:
        try:
            async with self._children.slot(CURRENT_VISITOR.get(), len(content)):
                return await _read_in_child(kind, content, self._timeout_s)
        except LimitReached:
            raise UnreadableFile("file_reader_busy") from None


async def _read_in_child(kind: Kind, content: bytes, timeout_s: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "akash_gradio.files.child", kind.value]
    child = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, cwd=_ROOT, env={"LANG": "C.UTF-8"}
    )
    try:
        async with asyncio.timeout(timeout_s):
            output, _ = await child.communicate(content)
    except TimeoutError:
        raise UnreadableFile("file_too_heavy") from None
    finally:
        await _kill(child)
    return _result(child.returncode, output)


async def _kill(child: Process) -> None:
    if child.returncode is None:
        child.kill()
        await child.wait()


def _result(returncode: int | None, output: bytes) -> dict[str, Any]:
    """Parse the child's output. A child that the system killed for its limits wrote none."""
    if returncode != 0:
        raise UnreadableFile("file_too_heavy")
    result: dict[str, Any] = json.loads(output)
    if "error" in result:
        raise UnreadableFile(str(result["error"]))
    return result
