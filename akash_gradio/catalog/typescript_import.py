"""Converts the catalog entries of a `models.ts` to TOML.

Only literals are read: nothing in the file is executed. Other values are omitted and reported.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from akash_gradio.catalog.loader import DOCUMENTED_NAMES, SPELLINGS
from akash_gradio.domain.model import Problem

MAX_NAME_LENGTH: Final = 40
MAX_DEPTH: Final = 50

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
_KEYWORDS: Final[Mapping[str, Any]] = {
    "true": True,
    "false": False,
    "null": None,
    "undefined": None,
}
_OPENING: Final = "([{"
_CLOSING: Final = ")]}"


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


class TypeScriptError(ValueError):
    """The file can't be converted.

    Attributes:
        reason: What is wrong.
        line: The line, 0 for the whole file.
    """

    def __init__(self, reason: str, line: int = 0) -> None:
        super().__init__(reason)
        self.reason, self.line = reason, line


@dataclass(frozen=True, slots=True)
class NonLiteral:
    """A value that can't be read without running the file, and its line."""

    line: int


def read_typescript(text: str) -> tuple[tuple[Mapping[str, Any], ...], tuple[Problem, ...]]:
    """Read the entries of a `models.ts`.

    Args:
        text: A file with `export const models = [ … ]`, or a single `{ … }` entry.

    Returns:
        The entries with the documented spelling of the fields, and problems for what was omitted.

    Raises:
        TypeScriptError: The file contains no list of models, or it is malformed.
    """
    tokens = list(_tokens(text))
    start = _start_of_list(tokens)
    value = _Parser(tokens, start).value()
    entries = value if isinstance(value, list) else [value]
    converted: list[Mapping[str, Any]] = []
    problems: list[Problem] = []
    for number, entry in enumerate(entries, start=1):
        if isinstance(entry, dict):
            fields, field_problems = _fields(entry, number)
            converted.append(fields)
            problems += field_problems
        else:
            line = entry.line if isinstance(entry, NonLiteral) else 0
            hint = "is not an object of literals; add it by hand"
            problems.append(Problem(where=f"line {line}" if line else f"entry {number}", hint=hint))
    return tuple(converted), tuple(problems)


def as_toml(entries: tuple[Mapping[str, Any], ...]) -> str:
    """Return the entries as the text of a catalog file."""
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
            raise TypeScriptError("a string or a number is not terminated", line)
        kind = match.lastgroup or ""
        if kind == "mark" and match.group() in "'\"`":
            raise TypeScriptError("a string is not terminated", line)
        if kind != "blank":
            yield _Token(kind, match.group(), line)
        line += match.group().count("\n")
        at = match.end()


def _start_of_list(tokens: list[_Token]) -> int:
    """Return the index of the list named `models`, else of the first list of objects or object."""
    for index, token in enumerate(tokens):
        if token.text == "models" and (start := _after_assignment(tokens, index)) is not None:
            return start
    for index, token in enumerate(tokens[:-1]):
        if token.text == "[" and tokens[index + 1].text == "{":
            return index
    if tokens and tokens[0].text == "{":
        return 0
    raise TypeScriptError("the file has no list of models, export const models = [ … ]")


def _after_assignment(tokens: list[_Token], index: int) -> int | None:
    """Skip the type in `models: Model[] = [`."""
    for at in range(index + 1, min(index + 24, len(tokens) - 1)):
        if tokens[at].text == "=":
            return at + 1 if tokens[at + 1].text == "[" else None
        if tokens[at].text in "{};":
            return None
    return None


class _Parser:
    """A recursive descent parser of literals."""

    def __init__(self, tokens: list[_Token], at: int) -> None:
        self._tokens, self._at = tokens, at
        self._depth = 0

    def value(self) -> Any:
        """Parse one value, up to the comma or bracket after it."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TypeScriptError("the values are nested too deeply", self._peek().line)
        first = self._peek()
        value = self._simple()
        while self._peek().text == "+" and isinstance(value, str):
            self._next()
            right = self._simple()
            value = value + right if isinstance(right, str) else NonLiteral(first.line)
        if self._peek().text in ("as", "satisfies"):  # `as const`, `satisfies Model[]`
            self._skip()
        elif self._peek().text not in ("", ",", ";", *_CLOSING):
            self._skip()
            value = NonLiteral(first.line)
        self._depth -= 1
        return value

    def _simple(self) -> Any:
        token = self._next()
        if token.text == "[":
            return self._list()
        if token.text == "{":
            return self._object()
        if token.kind == "string":
            if token.text[0] == "`" and re.search(r"(?<!\\)\$\{", token.text):
                return NonLiteral(token.line)
            return _unescaped(token.text[1:-1])
        if token.kind == "number":
            return _number(token)
        if token.text in _KEYWORDS:
            return _KEYWORDS[token.text]
        self._at -= 1
        self._skip()
        return NonLiteral(token.line)

    def _list(self) -> list[Any]:
        items = []
        while self._peek().text != "]":
            items.append(self.value())
            self._comma("]")
        self._next()
        return items

    def _object(self) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        while self._peek().text != "}":
            name = self._next()
            if name.kind not in ("word", "string", "number"):  # `...others`, `[computed]: 1`
                self._at -= 1
                self._skip()
            elif self._peek().text == ":":
                self._next()
                key = _unescaped(name.text[1:-1]) if name.kind == "string" else name.text
                fields[key] = self.value()
            else:  # `name,` and `name() { … }`
                self._skip()
                fields[name.text] = NonLiteral(name.line)
            self._comma("}")
        self._next()
        return fields

    def _comma(self, closing: str) -> None:
        token = self._peek()
        if token.text == "," or not token.text:
            self._next()
        elif token.text != closing:
            raise TypeScriptError(f"a comma or {closing} is missing", token.line)

    def _skip(self) -> None:
        """Skip a value that isn't a literal, including nested brackets."""
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
            raise TypeScriptError("the file ends within a list or an object", token.line)
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
        if match[4] in ("\n", "\r\n"):  # a continued line
            return ""
        return _ESCAPES.get(match[4], match[4])

    joined = _ESCAPE.sub(plain, text)
    # An escaped surrogate pair is one character.
    return joined.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _fields(entry: Mapping[str, Any], number: int) -> tuple[dict[str, Any], list[Problem]]:
    """Return the entry with the documented spelling of the fields, in the order of the file."""
    model_id = entry.get("id")
    where = model_id if isinstance(model_id, str) else f"entry {number}"
    fields: dict[str, Any] = {}
    problems = []
    for key, value in entry.items():
        name = SPELLINGS.get(key)
        if name is None:
            hint = "is not a field of the catalog; it is omitted"
            problems.append(Problem(where=where, field=key[:MAX_NAME_LENGTH], hint=hint))
        elif not _is_literal(value):
            hint = "is not a literal; add it by hand"
            problems.append(Problem(where=where, field=key, hint=hint))
        elif value is not None:
            fields[DOCUMENTED_NAMES[name]] = inspect.cleandoc(value) if _is_text(value) else value
    return fields, problems


def _is_text(value: object) -> bool:
    return isinstance(value, str) and "\n" in value


def _is_literal(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_is_literal, value.values()))
    if isinstance(value, list):
        return all(map(_is_literal, value))
    return not isinstance(value, NonLiteral)


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
