"""Reads `.env`: the usual form, and lists that run over several lines without quotes."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Final

from dotenv.parser import parse_stream

from akash_gradio.domain.model import Problem

# The guide writes `ENDPOINTS=[` and one entry to a line; dotenv would keep the bracket alone.
_LIST_BEGINS: Final = re.compile(r"^[ \t]*(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*=[ \t]*(?=\[)", re.M)
_NEXT_VARIABLE: Final = re.compile(r"^[ \t]*(?:export[ \t]+)?[A-Za-z_]\w*[ \t]*=", re.M)


def read_env_file(path: Path | None) -> tuple[dict[str, str], tuple[Problem, ...]]:
    """Name → value as written, `$NAME` left alone, and what could not be read.

    path: None or a file that isn't there gives nothing.
    """
    if path is None or not path.is_file():
        return {}, ()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        hint = "it can't be read; save it as UTF-8 text that this user may read"
        return {}, (Problem(where=path.name, field="", value="", hint=hint),)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lists, rest = _take_lists(text)
    plain, problems = _read_plain(path.name, rest)
    return {**plain, **lists}, problems


def _take_lists(text: str) -> tuple[dict[str, str], str]:
    """The values that begin with `[`, and the text with empty lines in their place."""
    found: dict[str, str] = {}
    position = 0
    while match := _LIST_BEGINS.search(text, position):
        end = _end_of_list(text, match.end())
        found[match[1]] = text[match.end() : end].strip()
        blank = "\n" * text.count("\n", match.start(), end)
        text = text[: match.start()] + blank + text[end:]
        position = match.start() + len(blank)
    return found, text


def _end_of_list(text: str, start: int) -> int:
    """Where the JSON ends; if it is broken, where the next variable begins."""
    try:
        _, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        following = _NEXT_VARIABLE.search(text, start)
        return following.start() if following else len(text)
    line_end = (text + "\n").index("\n", end)
    tail = text[end:line_end].strip()
    return end if not tail or tail.startswith("#") else line_end


def _read_plain(where: str, text: str) -> tuple[dict[str, str], tuple[Problem, ...]]:
    values: dict[str, str] = {}
    problems = []
    for binding in parse_stream(io.StringIO(text)):
        if binding.error or (binding.key is not None and binding.value is None):
            written = binding.original.string
            line = binding.original.line + written[: -len(written.lstrip())].count("\n")
            hint = f"line {line} is no NAME=value; mend its quotes, or begin it with #"
            problems.append(Problem(where=where, field="", value="", hint=hint))
        elif binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    return values, tuple(problems)
