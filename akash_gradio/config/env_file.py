"""Reads `.env`: the usual format, and lists that span several lines without quotes."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Final

from dotenv.parser import parse_stream

from akash_gradio.config import messages
from akash_gradio.domain.model import Problem

# docs/model-integration.md has `ENDPOINTS=[` and one entry per line. dotenv reads only `[`.
_LIST_START: Final = re.compile(r"^[ \t]*(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*=[ \t]*(?=\[)", re.M)
_NEXT_VARIABLE: Final = re.compile(r"^[ \t]*(?:export[ \t]+)?[A-Za-z_]\w*[ \t]*=", re.M)


def read_env_file(path: Path | None) -> tuple[dict[str, str], tuple[Problem, ...]]:
    """Read a `.env` file.

    Args:
        path: The file. For None, or a file that doesn't exist, nothing is returned.

    Returns:
        Each variable's value, in which `$NAME` is not replaced, and the problems.
    """
    if path is None or not path.is_file():
        return {}, ()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return {}, (Problem(where=path.name, hint=messages.UNREADABLE_ENV_FILE),)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lists, rest = _split_off_lists(text)
    plain, problems = _read_plain(path.name, rest)
    return {**plain, **lists}, problems


def _split_off_lists(text: str) -> tuple[dict[str, str], str]:
    """Return the values that begin with `[`, and the text with empty lines in their place."""
    lists: dict[str, str] = {}
    position = 0
    while match := _LIST_START.search(text, position):
        end = _end_of_list(text, match.end())
        lists[match[1]] = text[match.end() : end].strip()
        blank = "\n" * text.count("\n", match.start(), end)
        text = text[: match.start()] + blank + text[end:]
        position = match.start() + len(blank)
    return lists, text


def _end_of_list(text: str, start: int) -> int:
    """Return where the JSON ends; if it is invalid, where the next variable begins."""
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
            problems.append(Problem(where=where, hint=messages.NOT_A_VARIABLE.format(line=line)))
        elif binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    return values, tuple(problems)
