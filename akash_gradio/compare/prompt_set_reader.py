"""Prompt sets as people have them: pasted lines, CSV, JSON Lines, TOML."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from akash_gradio.compare.checks import Check, CheckKind, fault_of
from akash_gradio.compare.csv_reader import read_csv
from akash_gradio.compare.prompt_set import (
    LONGEST_ID,
    MAX_PROMPT_CHARACTERS,
    MOST_PROMPTS,
    Mistake,
    Prompt,
    PromptSetError,
)

MOST_BYTES: Final = 64_000_000
MOST_MISTAKES: Final = 10
"""Told at a time."""
APART: Final = "---"
"""A line of it parts pasted prompts that have lines of their own."""
_TEXT_NAMES: Final = ("prompt", "text", "question", "input")
_FIELDS: Final = (*_TEXT_NAMES, "id", "system", *CheckKind)
_YES: Final = ("1", "true", "yes", "x")
_NO: Final = ("", "0", "false", "no")


class SetFormat(StrEnum):
    """How a prompt set is written."""

    LINES = "txt"
    CSV = "csv"
    JSONL = "jsonl"
    TOML = "toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One prompt as written. row: where; columns: field → what its place is called."""

    row: int
    fields: Mapping[str, Any]
    columns: Mapping[str, str]

    def mistake(self, field: str, mend: str) -> Mistake:
        return Mistake(row=self.row, column=self.columns.get(field, field), mend=mend)


def format_from_name(name: str) -> SetFormat:
    """By the file's ending; pasted lines for a name without one that is known."""
    ending = name.rpartition(".")[2].lower()
    known = {"csv": SetFormat.CSV, "tsv": SetFormat.CSV, "jsonl": SetFormat.JSONL}
    return {**known, "ndjson": SetFormat.JSONL, "toml": SetFormat.TOML}.get(ending, SetFormat.LINES)


def parse_prompt_set(written: bytes | str, form: SetFormat) -> tuple[Prompt, ...]:
    """The prompts, at least one. Raises PromptSetError with the rows and columns to mend."""
    if len(written) > MOST_BYTES:
        raise _refused(f"a set has at most {MOST_BYTES // 1_000_000} MB")
    text = _decoded(written) if isinstance(written, bytes) else written
    read = {
        SetFormat.LINES: _from_lines,
        SetFormat.CSV: _from_csv,
        SetFormat.JSONL: _from_jsonl,
        SetFormat.TOML: _from_toml,
    }[form]
    prompts: list[Prompt] = []
    mistakes: list[Mistake] = []
    for entry in read(text.removeprefix("\ufeff")):
        try:
            prompts.append(_prompt(entry))
        except PromptSetError as refused:
            mistakes += refused.problems
        if len(prompts) > MOST_PROMPTS:
            raise _refused(f"a set has at most {MOST_PROMPTS} prompts")
        if len(mistakes) >= MOST_MISTAKES:
            break
    mistakes += _same_ids(prompts)
    if mistakes:
        raise PromptSetError(*mistakes[:MOST_MISTAKES])
    if not prompts:
        raise _refused("there is no prompt in it")
    return tuple(prompts)


def _refused(mend: str, row: int = 0, column: str = "") -> PromptSetError:
    return PromptSetError(Mistake(row=row, column=column, mend=mend))


def _decoded(written: bytes) -> str:
    if written.startswith((b"\xff\xfe", b"\xfe\xff")):
        return written.decode("utf-16", "replace")  # what Excel calls Unicode
    try:
        return written.decode("utf-8")
    except UnicodeDecodeError as error:
        row = written.count(b"\n", 0, error.start) + 1
        raise _refused("this is no UTF-8; save the file as UTF-8", row) from None


# ── the four forms ───────────────────────────────────────────────────────────


def _from_lines(text: str) -> Iterator[_Entry]:
    lines = text.splitlines()
    several = any(line.strip() == APART for line in lines)
    start, part = 1, list[str]()
    for row, line in enumerate([*lines, APART], 1):
        apart = line.strip() == APART
        if not apart:
            part.append(line)
        if apart or not several:
            if said := "\n".join(part).strip():
                yield _Entry(row=start, fields={"prompt": said}, columns={})
            start, part = row + 1, []


def _from_csv(text: str) -> Iterator[_Entry]:
    """With a line of names, or one column of prompts without."""
    names: list[str] | None = None
    for row, cells in enumerate(read_csv(text), 1):
        if row == 1:
            lower = [cell.strip().lower() for cell in cells]
            if set(lower) & set(_TEXT_NAMES):
                names = lower
                _check_names(names)
                continue
            if len(cells) > 1:
                raise _refused("name the columns in the first row; one of them is `prompt`", 1)
        if not any(cell.strip() for cell in cells):
            continue
        yield _entry_of(row, cells, names or ["prompt"])


def _entry_of(row: int, cells: list[str], names: list[str]) -> _Entry:
    if len(cells) != len(names):
        column = str(min(len(cells), len(names)) + 1)
        mend = f"this row has {len(cells)} cells, the first row {len(names)}"
        raise _refused(mend, row, column)
    columns = {name: f"{at} ({name})" for at, name in enumerate(names, 1)}
    return _Entry(row=row, fields=dict(zip(names, cells, strict=True)), columns=columns)


def _check_names(names: list[str]) -> None:
    for at, name in enumerate(names, 1):
        if name not in _FIELDS:
            mend = f"{name[:40]!r} is no column; there are {', '.join(_FIELDS)}"
            raise _refused(mend, 1, str(at))
        if names.count(name) > 1:
            raise _refused("this name stands twice", 1, f"{at} ({name})")


def _from_jsonl(text: str) -> Iterator[_Entry]:
    for row, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            column = str(error.colno) if isinstance(error, json.JSONDecodeError) else ""
            raise _refused("this is no JSON", row, column) from None
        yield _entry_of_object({"prompt": value} if isinstance(value, str) else value, row)


def _from_toml(text: str) -> Iterator[_Entry]:
    try:
        told = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise _refused(f"this is no TOML: {error}") from None
    entries = told.get("prompts")
    if not isinstance(entries, list):
        raise _refused("write each prompt under [[prompts]]")
    for number, entry in enumerate(entries, 1):
        yield _entry_of_object({"prompt": entry} if isinstance(entry, str) else entry, number)


def _entry_of_object(value: Any, row: int) -> _Entry:
    if not isinstance(value, dict):
        raise _refused('write {"prompt": "…"}', row)
    for name in value:
        if name not in _FIELDS:
            mend = f"no such field; there are {', '.join(_FIELDS)}"
            raise _refused(mend, row, str(name)[:40])
    return _Entry(row=row, fields=value, columns={})


# ── one prompt ───────────────────────────────────────────────────────────────


def _prompt(entry: _Entry) -> Prompt:
    name = next((name for name in _TEXT_NAMES if name in entry.fields), "prompt")
    text = _text(entry, name, MAX_PROMPT_CHARACTERS)
    if not text.strip():
        raise PromptSetError(entry.mistake(name, "the prompt is empty"))
    return Prompt(
        id=_text(entry, "id", LONGEST_ID).strip() or str(entry.row),
        text=text,
        system=_text(entry, "system", MAX_PROMPT_CHARACTERS),
        checks=tuple(_checks(entry)),
    )


def _text(entry: _Entry, field: str, longest: int) -> str:
    value = entry.fields.get(field, "")
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise PromptSetError(entry.mistake(field, "write a text"))
    if len(value) > longest:
        raise PromptSetError(entry.mistake(field, f"it has more than {longest} characters"))
    return value


def _checks(entry: _Entry) -> Iterator[Check]:
    for kind in CheckKind:
        written = entry.fields.get(kind, "")
        for value in written if isinstance(written, list) else [written]:
            if (check := _check(entry, kind, value)) is not None:
                if mend := fault_of(check):
                    raise PromptSetError(entry.mistake(kind, mend))
                yield check


def _check(entry: _Entry, kind: CheckKind, value: Any) -> Check | None:
    if kind in (CheckKind.JSON, CheckKind.NOT_EMPTY):
        word = str(value).strip().lower()
        if word in _YES:
            return Check(kind=kind)
        if word not in _NO:
            raise PromptSetError(entry.mistake(kind, "write yes, or leave it empty"))
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise PromptSetError(entry.mistake(kind, "write a text, or a list of texts"))
    text = str(value)
    if kind is CheckKind.MAX_LENGTH:
        text = text.strip()
    return Check(kind=kind, value=text) if text else None


def _same_ids(prompts: Iterable[Prompt]) -> Iterator[Mistake]:
    for name, times in Counter(prompt.id for prompt in prompts).items():
        if times > 1:
            yield Mistake(row=0, column="id", mend=f"{name!r} stands {times} times")
