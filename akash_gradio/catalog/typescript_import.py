"""Reads catalog entries as the guide writes them, in TypeScript, and writes them as TOML.

Reads literals alone: nothing of the file is run. What is no literal is left out and told.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from akash_gradio.catalog.loader import GUIDE_NAMES, SPELLINGS
from akash_gradio.domain.model import Problem

LONGEST_SHOWN: Final = 40
MOST_NESTED: Final = 50

_TOKEN: Final = re.compile(
    r"""(?P<blank>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<string>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`)
    |(?P<number>-?(?:0[xX][0-9a-fA-F_]+|\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+))
    |(?P<word>[A-Za-z_$][\w$]*)
    |(?P<mark>\.\.\.|[^\w\s])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}
_ESCAPE: Final = re.compile(
    r"\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(\r\n|[\s\S]))"
)
_WORDS: Final[Mapping[str, Any]] = {"true": True, "false": False, "null": None, "undefined": None}
_OPENING: Final = "([{"
_CLOSING: Final = ")]}"


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


class NotRead(ValueError):
    """The file can't be read so. line: where, 0 for the whole file. hint: what to do."""

    def __init__(self, hint: str, line: int = 0) -> None:
        super().__init__(hint)
        self.hint, self.line = hint, line


@dataclass(frozen=True, slots=True)
class NoLiteral:
    """A value that only a program could know. line: where it stands."""

    line: int


def read_typescript(text: str) -> tuple[tuple[Mapping[str, Any], ...], tuple[Problem, ...]]:
    """The entries of a `models.ts`, and what of it was left out. Raises NotRead.

    text: a file with `export const models = [ … ]`, or one bare `{ … }` entry of it.
    """
    tokens = list(_tokens(text))
    start = _beginning(tokens)
    found = _Parser(tokens, start).value()
    entries = found if isinstance(found, list) else [found]
    kept: list[Mapping[str, Any]] = []
    problems: list[Problem] = []
    for number, entry in enumerate(entries, start=1):
        if isinstance(entry, dict):
            fields, wrong = _fields(entry, number)
            kept.append(fields)
            problems += wrong
        else:
            line = entry.line if isinstance(entry, NoLiteral) else 0
            hint = "it is no { … } of plain values; add the entry by hand"
            problems.append(_problem(f"line {line}" if line else f"entry {number}", "", hint))
    return tuple(kept), tuple(problems)


def as_toml(entries: tuple[Mapping[str, Any], ...]) -> str:
    """The entries as a catalog file, in the guide's spelling."""
    blocks = []
    for entry in entries:
        lines = [f"{name} = {_toml(value)}" for name, value in entry.items()]
        blocks.append("\n".join(["[[models]]", *lines]) + "\n")
    return "\n".join(blocks)


def _tokens(text: str) -> Iterator[_Token]:
    at, line = 0, 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise NotRead("a string or a number is not ended", line)
        kind = match.lastgroup or ""
        if kind == "mark" and match.group() in "'\"`":
            raise NotRead("a string is not ended", line)
        if kind != "blank":
            yield _Token(kind, match.group(), line)
        line += match.group().count("\n")
        at = match.end()


def _beginning(tokens: list[_Token]) -> int:
    """Where the list called `models` begins, else the first list of objects, else an object."""
    for place, token in enumerate(tokens):
        if token.text == "models" and (found := _after_assignment(tokens, place)) is not None:
            return found
    for place, token in enumerate(tokens[:-1]):
        if token.text == "[" and tokens[place + 1].text == "{":
            return place
    if tokens and tokens[0].text == "{":
        return 0
    raise NotRead("there is no list of models in it: export const models = [ … ]")


def _after_assignment(tokens: list[_Token], place: int) -> int | None:
    """`models: Model[] = [`: past the type to the list."""
    for at in range(place + 1, min(place + 24, len(tokens) - 1)):
        if tokens[at].text == "=":
            return at + 1 if tokens[at + 1].text == "[" else None
        if tokens[at].text in "{};":
            return None
    return None


class _Parser:
    """Live: a place in the tokens."""

    def __init__(self, tokens: list[_Token], at: int) -> None:
        self._tokens, self._at = tokens, at
        self._depth = 0

    def value(self) -> Any:
        """One value, up to the comma or bracket behind it."""
        self._depth += 1
        if self._depth > MOST_NESTED:
            raise NotRead("it is nested too deeply", self._peek().line)
        began = self._peek()
        found = self._simple()
        while self._peek().text == "+" and isinstance(found, str):
            self._next()
            more = self._simple()
            found = found + more if isinstance(more, str) else NoLiteral(began.line)
        if self._peek().text in ("as", "satisfies"):  # `as const`, `satisfies Model[]`
            self._skip()
        elif self._peek().text not in ("", ",", ";", *_CLOSING):
            self._skip()
            found = NoLiteral(began.line)
        self._depth -= 1
        return found

    def _simple(self) -> Any:
        token = self._next()
        if token.text == "[":
            return self._list()
        if token.text == "{":
            return self._object()
        if token.kind == "string":
            if token.text[0] == "`" and re.search(r"(?<!\\)\$\{", token.text):
                return NoLiteral(token.line)
            return _unescaped(token.text[1:-1])
        if token.kind == "number":
            return _number(token)
        if token.text in _WORDS:
            return _WORDS[token.text]
        self._at -= 1
        self._skip()
        return NoLiteral(token.line)

    def _list(self) -> list[Any]:
        found = []
        while self._peek().text != "]":
            found.append(self.value())
            self._comma("]")
        self._next()
        return found

    def _object(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._peek().text != "}":
            name = self._next()
            if name.kind not in ("word", "string", "number"):  # `...others`, `[computed]: 1`
                self._at -= 1
                self._skip()
            elif self._peek().text == ":":
                self._next()
                key = _unescaped(name.text[1:-1]) if name.kind == "string" else name.text
                found[key] = self.value()
            else:  # `name,` and `name() { … }`
                self._skip()
                found[name.text] = NoLiteral(name.line)
            self._comma("}")
        self._next()
        return found

    def _comma(self, closing: str) -> None:
        token = self._peek()
        if token.text == "," or not token.text:
            self._next()
        elif token.text != closing:
            raise NotRead(f"a comma or {closing} is missing", token.line)

    def _skip(self) -> None:
        """Past what is no literal, with all its brackets."""
        depth = 0
        while (token := self._peek()).text:
            if depth == 0 and token.text in (",", ";", *_CLOSING):
                return
            depth += (token.text in _OPENING) - (token.text in _CLOSING)
            self._next()

    def _peek(self) -> _Token:
        if self._at < len(self._tokens):
            return self._tokens[self._at]
        return _Token("end", "", self._tokens[-1].line if self._tokens else 0)

    def _next(self) -> _Token:
        token = self._peek()
        if not token.text:
            raise NotRead("it ends in the middle of a list or an object", token.line)
        self._at += 1
        return token


def _number(token: _Token) -> int | float:
    text = token.text.replace("_", "")
    if text.lower().lstrip("-").startswith("0x"):
        return int(text, 16)
    return int(text) if re.fullmatch(r"-?\d+", text) else float(text)


def _unescaped(text: str) -> str:
    def plain(match: re.Match[str]) -> str:
        code = match[1] or match[2] or match[3]
        if code:
            number = int(code, 16)
            return chr(number) if number <= 0x10FFFF else "\ufffd"
        if match[4] in ("\n", "\r\n"):  # a line that goes on
            return ""
        return _ESCAPES.get(match[4], match[4])

    joined = _ESCAPE.sub(plain, text)
    # Two escaped halves of a pair are one character.
    return joined.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _fields(entry: Mapping[str, Any], number: int) -> tuple[dict[str, Any], list[Problem]]:
    """The entry under the guide's names, in its order of writing."""
    name = entry.get("id")
    where = name if isinstance(name, str) else f"entry {number}"
    fields: dict[str, Any] = {}
    problems = []
    for key, value in entry.items():
        ours = SPELLINGS.get(key)
        if ours is None:
            hint = "this catalog has no such field; it is left out"
            problems.append(_problem(where, key[:LONGEST_SHOWN], hint))
        elif not _is_literal(value):
            hint = "it is no plain value; write it into the catalog by hand"
            problems.append(_problem(where, key, hint))
        elif value is not None:
            fields[GUIDE_NAMES[ours]] = inspect.cleandoc(value) if _is_text(value) else value
    return fields, problems


def _is_text(value: object) -> bool:
    return isinstance(value, str) and "\n" in value


def _is_literal(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_is_literal, value.values()))
    if isinstance(value, list):
        return all(map(_is_literal, value))
    return not isinstance(value, NoLiteral)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _toml_text(value)
    if isinstance(value, dict):
        pairs = (f"{_quoted(k)} = {_toml(v)}" for k, v in value.items() if v is not None)
        return "{ " + ", ".join(pairs) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value if item is not None) + "]"
    return repr(value)


def _toml_text(text: str) -> str:
    if "\n" not in text:
        return _quoted(text)
    lines = (_quoted(line)[1:-1] for line in text.split("\n"))
    return '"""\n' + "\n".join(lines) + '"""'


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _problem(where: str, field: str, hint: str) -> Problem:
    return Problem(where=where, field=field, value="", hint=hint)
