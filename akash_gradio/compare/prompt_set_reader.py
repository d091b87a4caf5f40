"""Parses prompt sets from pasted lines, CSV, JSON Lines and TOML."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from akash_gradio.compare.checks import Check, CheckKind, check_problem
from akash_gradio.compare.csv_reader import read_csv
from akash_gradio.compare.prompt_set import (
    MAX_ID_CHARACTERS,
    MAX_PROMPT_CHARACTERS,
    MAX_PROMPTS,
    Prompt,
    PromptSetError,
    SetProblem,
)

MAX_SET_BYTES: Final = 64_000_000
MAX_PROBLEMS: Final = 10
"""Problems that are reported at a time."""
SEPARATOR: Final = "---"
"""A line of pasted text that separates prompts of several lines."""
_TEXT_FIELDS: Final = ("prompt", "text", "question", "input")
_FIELDS: Final = (*_TEXT_FIELDS, "id", "system", *CheckKind)
_YES: Final = ("1", "true", "yes", "x")
_NO: Final = ("", "0", "false", "no")


class SetFormat(StrEnum):
    """The formats of a prompt set; the values are file extensions."""

    LINES = "txt"
    CSV = "csv"
    JSONL = "jsonl"
    TOML = "toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One prompt as written.

    Attributes:
        row: Where it is.
        fields: Field → value.
        columns: Field → name of its column in problems.
    """

    row: int
    fields: Mapping[str, Any]
    columns: Mapping[str, str]

    def problem(self, field: str, message: str) -> PromptSetError:
        return _problem(message, self.row, self.columns.get(field, field))


def format_from_name(name: str) -> SetFormat:
    """Return the format by the file's extension, LINES if it is unknown."""
    formats = {
        "csv": SetFormat.CSV,
        "tsv": SetFormat.CSV,
        "jsonl": SetFormat.JSONL,
        "ndjson": SetFormat.JSONL,
        "toml": SetFormat.TOML,
    }
    return formats.get(name.rpartition(".")[2].lower(), SetFormat.LINES)


def parse_prompt_set(content: bytes | str, set_format: SetFormat) -> tuple[Prompt, ...]:
    """Parse a prompt set.

    Args:
        content: The file's bytes, or pasted text.
        set_format: How it is written.

    Returns:
        The prompts, at least one.

    Raises:
        PromptSetError: The set can't be used. Names rows and columns.
    """
    if len(content) > MAX_SET_BYTES:
        raise _problem(f"a prompt set can have at most {MAX_SET_BYTES // 1_000_000} MB")
    text = _decode(content) if isinstance(content, bytes) else content
    read_entries = {
        SetFormat.LINES: _entries_from_lines,
        SetFormat.CSV: _entries_from_csv,
        SetFormat.JSONL: _entries_from_jsonl,
        SetFormat.TOML: _entries_from_toml,
    }[set_format]
    prompts: list[Prompt] = []
    problems: list[SetProblem] = []
    for entry in read_entries(text.removeprefix("\ufeff")):
        try:
            prompts.append(_prompt(entry))
        except PromptSetError as error:
            problems += error.problems
        if len(prompts) > MAX_PROMPTS:
            raise _problem(f"a prompt set can have at most {MAX_PROMPTS} prompts")
        if len(problems) >= MAX_PROBLEMS:
            break
    problems += _duplicate_ids(prompts)
    if problems:
        raise PromptSetError(*problems[:MAX_PROBLEMS])
    if not prompts:
        raise _problem("there are no prompts")
    return tuple(prompts)


def _problem(message: str, row: int = 0, column: str = "") -> PromptSetError:
    return PromptSetError(SetProblem(row=row, column=column, message=message))


def _decode(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")  # "Unicode Text" of Excel
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
        raise _problem("not UTF-8; save the file as UTF-8", row) from None


# ── the formats ──────────────────────────────────────────────────────────────


def _entries_from_lines(text: str) -> Iterator[_Entry]:
    lines = text.splitlines()
    has_separators = any(line.strip() == SEPARATOR for line in lines)
    start, part = 1, list[str]()
    for row, line in enumerate([*lines, SEPARATOR], 1):
        is_separator = line.strip() == SEPARATOR
        if not is_separator:
            part.append(line)
        if is_separator or not has_separators:
            if prompt := "\n".join(part).strip():
                yield _Entry(row=start, fields={"prompt": prompt}, columns={})
            start, part = row + 1, []


def _entries_from_csv(text: str) -> Iterator[_Entry]:
    """Yield the rows below a row of column names, or of one column of prompts without a name."""
    names: list[str] | None = None
    for row, cells in enumerate(read_csv(text), 1):
        if row == 1:
            lower = [cell.strip().lower() for cell in cells]
            if set(lower) & set(_TEXT_FIELDS):
                names = lower
                _check_column_names(names)
                continue
            if len(cells) > 1:
                raise _problem("name the columns in the first row; one of them is `prompt`", 1)
        if not any(cell.strip() for cell in cells):
            continue
        yield _entry_from_cells(row, cells, names or ["prompt"])


def _entry_from_cells(row: int, cells: list[str], names: list[str]) -> _Entry:
    if len(cells) != len(names):
        column = str(min(len(cells), len(names)) + 1)
        message = f"this row has {len(cells)} cells, the first row {len(names)}"
        raise _problem(message, row, column)
    columns = {name: f"{at} ({name})" for at, name in enumerate(names, 1)}
    return _Entry(row=row, fields=dict(zip(names, cells, strict=True)), columns=columns)


def _check_column_names(names: list[str]) -> None:
    for at, name in enumerate(names, 1):
        if name not in _FIELDS:
            message = f"unknown column {name[:40]!r}; use {', '.join(_FIELDS)}"
            raise _problem(message, 1, str(at))
        if names.count(name) > 1:
            raise _problem("duplicate column name", 1, f"{at} ({name})")


def _entries_from_jsonl(text: str) -> Iterator[_Entry]:
    for row, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            column = str(error.colno) if isinstance(error, json.JSONDecodeError) else ""
            raise _problem("not valid JSON", row, column) from None
        yield _entry_from_object({"prompt": value} if isinstance(value, str) else value, row)


def _entries_from_toml(text: str) -> Iterator[_Entry]:
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise _problem(f"not valid TOML: {error}") from None
    entries = document.get("prompts")
    if not isinstance(entries, list):
        raise _problem("put each prompt under [[prompts]]")
    for number, entry in enumerate(entries, 1):
        yield _entry_from_object({"prompt": entry} if isinstance(entry, str) else entry, number)


def _entry_from_object(value: Any, row: int) -> _Entry:
    if not isinstance(value, dict):
        raise _problem('write {"prompt": "…"}', row)
    for name in value:
        if name not in _FIELDS:
            raise _problem(f"unknown field; use {', '.join(_FIELDS)}", row, str(name)[:40])
    return _Entry(row=row, fields=value, columns={})


# ── one prompt ───────────────────────────────────────────────────────────────


def _prompt(entry: _Entry) -> Prompt:
    name = next((name for name in _TEXT_FIELDS if name in entry.fields), "prompt")
    text = _text(entry, name, MAX_PROMPT_CHARACTERS)
    if not text.strip():
        raise entry.problem(name, "the prompt is empty")
    return Prompt(
        id=_text(entry, "id", MAX_ID_CHARACTERS).strip() or str(entry.row),
        text=text,
        system=_text(entry, "system", MAX_PROMPT_CHARACTERS),
        checks=tuple(_checks(entry)),
    )


def _text(entry: _Entry, field: str, max_characters: int) -> str:
    value = entry.fields.get(field, "")
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise entry.problem(field, "enter a text")
    if len(value) > max_characters:
        raise entry.problem(field, f"longer than {max_characters} characters")
    return value


def _checks(entry: _Entry) -> Iterator[Check]:
    for kind in CheckKind:
        values = entry.fields.get(kind, "")
        for value in values if isinstance(values, list) else [values]:
            if (check := _check(entry, kind, value)) is not None:
                if problem := check_problem(check):
                    raise entry.problem(kind, problem)
                yield check


def _check(entry: _Entry, kind: CheckKind, value: Any) -> Check | None:
    if kind in (CheckKind.JSON, CheckKind.NOT_EMPTY):
        word = str(value).strip().lower()
        if word in _YES:
            return Check(kind=kind)
        if word not in _NO:
            raise entry.problem(kind, "enter yes, or leave it empty")
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise entry.problem(kind, "enter a text, or a list of texts")
    text = str(value)
    if kind is CheckKind.MAX_LENGTH:
        text = text.strip()
    return Check(kind=kind, value=text) if text else None


def _duplicate_ids(prompts: Iterable[Prompt]) -> Iterator[SetProblem]:
    for name, times in Counter(prompt.id for prompt in prompts).items():
        if times > 1:
            yield SetProblem(row=0, column="id", message=f"{name!r} is used {times} times")
