"""What an answer has to be, checked without asking anybody."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

LONGEST_PATTERN: Final = 2_000
_FENCED: Final = re.compile(r"\s*```\w*\n(.*)\n```\s*\Z", re.S)


class CheckKind(StrEnum):
    """The kinds of checks; the names of the columns in a prompt set."""

    CONTAINS = "contains"
    """The answer has these words in it, in any case."""
    REGEX = "regex"
    """The pattern is found in the answer; RE2's syntax, which takes linear time."""
    JSON = "json"
    """The answer is JSON, alone or in one code fence."""
    MAX_LENGTH = "max_length"
    """The answer has at most so many characters."""
    NOT_EMPTY = "not_empty"
    """The answer has a letter, digit or sign."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One demand. value: the words, the pattern, the number; "" for JSON and NOT_EMPTY."""

    kind: CheckKind
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """A demand, and whether the answer meets it."""

    check: Check
    passed: bool


def passes(check: Check, answer: str) -> bool:
    """Whether the answer meets the demand; the check was accepted by `fault_of` before."""
    match check.kind:
        case CheckKind.CONTAINS:
            return check.value.casefold() in answer.casefold()
        case CheckKind.REGEX:
            return _compiled(check.value).search(_encodable(answer)) is not None
        case CheckKind.JSON:
            return _is_json(answer)
        case CheckKind.MAX_LENGTH:
            return len(answer) <= int(check.value)
        case CheckKind.NOT_EMPTY:
            return bool(answer.strip())


def fault_of(check: Check) -> str:
    """What is wrong with the demand itself, "" when nothing is."""
    if check.kind is CheckKind.MAX_LENGTH:
        right = re.fullmatch(r"[0-9]{1,9}", check.value)
        return "" if right else "write a whole number of characters"
    if check.kind is CheckKind.REGEX:
        return _fault_of_pattern(check.value)
    return ""


def _fault_of_pattern(pattern: str) -> str:
    if len(pattern) > LONGEST_PATTERN:
        return f"a pattern has at most {LONGEST_PATTERN} characters"
    import re2

    try:
        _compiled(pattern)
    except re2.error as error:
        detail = error.args[0] if error.args else b""
        said = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)
        return f"{said} (patterns are RE2's: no look-around, no back-references)"
    return ""


def _compiled(pattern: str) -> Any:
    """RE2 looks at each character once: no pattern can hold the server up."""
    import re2

    options = re2.Options()
    options.log_errors = False
    return re2.compile(_encodable(pattern), options)


def _encodable(text: str) -> str:
    """Without half surrogate pairs, which RE2's UTF-8 has no place for."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _is_json(answer: str) -> bool:
    fenced = _FENCED.match(answer)
    try:
        json.loads(fenced[1] if fenced else answer, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(name: str) -> None:
    raise ValueError(name)
