"""Checks of an answer that need no model: text, pattern, JSON, length."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

MAX_PATTERN_CHARACTERS: Final = 2_000
_FENCED: Final = re.compile(r"\s*```\w*\n(.*)\n```\s*\Z", re.S)


class CheckKind(StrEnum):
    """The kinds of checks; the values are the column names of a prompt set."""

    CONTAINS = "contains"
    """The answer contains the text, ignoring case."""
    REGEX = "regex"
    """The pattern matches somewhere in the answer. RE2 syntax, which takes linear time."""
    JSON = "json"
    """The answer is JSON, either bare or in a single code fence."""
    MAX_LENGTH = "max_length"
    """The answer has at most this many characters."""
    NOT_EMPTY = "not_empty"
    """The answer contains something other than whitespace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A requirement on an answer.

    Attributes:
        kind: What is checked.
        value: The text, the pattern or the number; "" for JSON and NOT_EMPTY.
    """

    kind: CheckKind
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """A check, and whether the answer passed it."""

    check: Check
    passed: bool


def check_answer(checks: Sequence[Check], answer: str) -> tuple[CheckResult, ...]:
    """Evaluate the checks of an answer. A pattern may take 10 µs for each character."""
    return tuple(CheckResult(check=check, passed=passes(check, answer)) for check in checks)


def passes(check: Check, answer: str) -> bool:
    """Return whether the answer passes the check, which `check_problem` accepted before."""
    match check.kind:
        case CheckKind.CONTAINS:
            return check.value.casefold() in answer.casefold()
        case CheckKind.REGEX:
            return _compile(check.value).search(_encodable(answer)) is not None
        case CheckKind.JSON:
            return _is_json(answer)
        case CheckKind.MAX_LENGTH:
            return len(answer) <= int(check.value)
        case CheckKind.NOT_EMPTY:
            return bool(answer.strip())


def check_problem(check: Check) -> str:
    """Return what is wrong with the check itself, as text; "" if it is valid."""
    if check.kind is CheckKind.MAX_LENGTH:
        valid = re.fullmatch(r"[0-9]{1,9}", check.value)
        return "" if valid else "enter a whole number of characters"
    if check.kind is CheckKind.REGEX:
        return _pattern_problem(check.value)
    return ""


def _pattern_problem(pattern: str) -> str:
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        return f"a pattern can have at most {MAX_PATTERN_CHARACTERS} characters"
    import re2

    try:
        _compile(pattern)
    except re2.error as error:
        detail = error.args[0] if error.args else b""
        text = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)
        return f"{text} (RE2 syntax: no look-around, no back-references)"
    return ""


def _compile(pattern: str) -> Any:
    """Compile with RE2, whose linear time keeps a pattern from blocking the server."""
    import re2

    options = re2.Options()
    options.log_errors = False
    return re2.compile(_encodable(pattern), options)


def _encodable(text: str) -> str:
    """Replace unpaired surrogates, which RE2's UTF-8 can't represent."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _is_json(answer: str) -> bool:
    fenced = _FENCED.match(answer)
    try:
        json.loads(fenced[1] if fenced else answer, parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        return False
    return True


def _reject_constant(name: str) -> None:
    raise ValueError(name)
