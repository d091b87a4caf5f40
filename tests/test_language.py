"""The words that docs/glossary.md bans appear in no identifier, docstring or comment.

`python -m tests.test_language [PATH ...]` prints every use, as a work list.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
GLOSSARY = ROOT / "docs" / "glossary.md"
SOURCES = ("akash_gradio", "assets", "bench", "deploy", "examples", "tests", "app.py")

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SCRIPT_TOKEN = re.compile(
    r"(?P<comment>//[^\n]*|/\*.*?\*/)"
    r"|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`"
    r"|(?P<name>[A-Za-z_$][\w$]*)",
    re.DOTALL,
)


class Use(NamedTuple):
    """One use of a banned word."""

    path: str
    line: int
    word: str
    context: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.word!r} in {self.context!r}"


class Bans(NamedTuple):
    """Banned words in lower case: those of identifiers, and those of running text."""

    names: frozenset[str]
    text: frozenset[str]


def read_bans(document: str) -> Bans:
    """Read the table under "Words not used"."""
    names: set[str] = set()
    text: set[str] = set()
    for cell, where in re.findall(r"^\| (`.+?`) \| (names|everywhere) \|", document, re.M):
        words = set(re.findall(r"`(\w+)`", cell))
        names |= words
        if where == "everywhere":
            text |= words
    return Bans(frozenset(names), frozenset(text))


def name_uses(name: str, banned: frozenset[str]) -> set[str]:
    """Return the banned words in an identifier, which is split at underscores and capitals."""
    words = [word.lower() for word in _WORD.findall(name)]
    joined = f"_{'_'.join(words)}_"
    return {word for word in banned if f"_{word}_" in joined}


def text_uses(text: str, banned: frozenset[str]) -> set[str]:
    """Return the banned words in a docstring or a comment."""
    return {word for word in re.findall(r"[a-z]+", text.lower()) if word in banned}


def python_uses(path: str, source: str, bans: Bans) -> Iterator[Use]:
    """Yield the banned words in the identifiers, docstrings and comments of a Python file."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        words: set[str] = set()
        if token.type == tokenize.NAME:
            words = name_uses(token.string, bans.names)
        elif token.type == tokenize.COMMENT:
            words = text_uses(token.string, bans.text)
        for word in words:
            yield Use(path, token.start[0], word, token.string)
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Constant):
            continue
        if isinstance(node.value.value, str):
            for number, line in enumerate(node.value.value.splitlines(), node.lineno):
                for word in text_uses(line, bans.text):
                    yield Use(path, number, word, line.strip())


def script_uses(path: str, source: str, bans: Bans) -> Iterator[Use]:
    """Yield the banned words in the identifiers and comments of a script."""
    for match in _SCRIPT_TOKEN.finditer(source):
        words: set[str] = set()
        if match["name"]:
            words = name_uses(match["name"], bans.names)
        elif match["comment"]:
            words = text_uses(match["comment"], bans.text)
        for word in words:
            yield Use(path, source.count("\n", 0, match.start()) + 1, word, match[0][:80])


def uses(root: Path, bans: Bans) -> list[Use]:
    """Return every use in a file, or in the files below a folder."""
    result: list[Use] = []
    for file in [root] if root.is_file() else sorted(root.rglob("*")):
        name = file.relative_to(ROOT).as_posix()
        if file.suffix == ".py":
            result += python_uses(name, file.read_text(encoding="utf-8"), bans)
        elif file.suffix in {".js", ".mjs", ".ts"}:
            result += script_uses(name, file.read_text(encoding="utf-8"), bans)
    return result


@pytest.fixture(scope="module")
def bans() -> Bans:
    return read_bans(GLOSSARY.read_text(encoding="utf-8"))


@pytest.mark.parametrize("source", SOURCES)
def test_no_banned_word_is_used(source: str, bans: Bans) -> None:
    result = uses(ROOT / source, bans)
    assert not result, "\n".join(map(str, result[:50]))


def test_the_bans_are_read_from_the_glossary(bans: Bans) -> None:
    assert {"roster", "told", "until_left"} <= bans.names
    assert "roster" in bans.text
    assert "told" not in bans.text


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def find_told(): ...", {"told"}),
        ("class EndpointRoster: ...", {"roster"}),
        ("x = until_left_directly(1)", {"until_left"}),
        ("def f():\n    '''Fail when nobody answers.'''", {"nobody"}),
        ("x = 1  # the patience of the client", {"patience"}),
        ("x = {'told': 1}", set()),
        ("untold = outpouring = 1", set()),
        ("def f():\n    '''The client is told to wait.'''", set()),
    ],
)
def test_a_planted_word_is_found(code: str, expected: set[str], bans: Bans) -> None:
    assert {use.word for use in python_uses("planted.py", code, bans)} == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("export function saidBefore() {}", {"said"}),
        ("// whom to call\nlet a = 1;", {"whom"}),
        ('const text = "what was said";', set()),
    ],
)
def test_a_planted_word_in_a_script_is_found(code: str, expected: set[str], bans: Bans) -> None:
    assert {use.word for use in script_uses("planted.js", code, bans)} == expected


if __name__ == "__main__":
    for argument in sys.argv[1:] or SOURCES:
        for use in uses(ROOT / argument, read_bans(GLOSSARY.read_text(encoding="utf-8"))):
            sys.stdout.write(f"{use}\n")
