"""The code blocks of the documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


class Fence(NamedTuple):
    """A fenced block.

    Attributes:
        line: Its first line in the page.
    """

    page: str
    line: int
    language: str
    text: str


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def fences(path: Path) -> Iterator[Fence]:
    matches = re.finditer(r"^( *)```(\w*)\n(.*?)^\1```$", text_of(path), re.M | re.S)
    for match in matches:
        line = text_of(path).count("\n", 0, match.start()) + 1
        text = re.sub(rf"^{match[1]}", "", match[3], flags=re.M)
        yield Fence(path.name, line, match[2], text)


def example(path: Path, language: str, word: str) -> str:
    """Return the one block in this language that contains a word."""
    (text,) = [f.text for f in fences(path) if f.language == language and word in f.text]
    return text
