from __future__ import annotations

import pytest

from akash_gradio.compare.checks import (
    MAX_PATTERN_CHARACTERS,
    Check,
    CheckKind,
    check_problem,
    passes,
)

CONTAINS, REGEX, JSON = CheckKind.CONTAINS, CheckKind.REGEX, CheckKind.JSON
MAX_LENGTH, NOT_EMPTY = CheckKind.MAX_LENGTH, CheckKind.NOT_EMPTY


@pytest.mark.parametrize(
    ("kind", "value", "answer", "passed"),
    [
        (CONTAINS, "Paris", "It is PARIS.", True),
        (CONTAINS, "STRASSE", "die Straße", True),
        (CONTAINS, "Paris", "It is Rome.", False),
        (REGEX, r"^\d+$", "42", True),
        (REGEX, r"^\d+$", "42 or so", False),
        (REGEX, r"(?i)yes", "Well, YES", True),
        (REGEX, r"é{2}", "éé", True),
        (REGEX, "x", "half \ud83d pair x", True),
        (JSON, "", '{"a": [1]}', True),
        (JSON, "", '```json\n{"a": 1}\n```\n', True),
        (JSON, "", 'Here you are: {"a": 1}', False),
        (JSON, "", "NaN", False),
        (JSON, "", "[" * 100_000, False),
        (JSON, "", "", False),
        (MAX_LENGTH, "5", "12345", True),
        (MAX_LENGTH, "5", "123456", False),
        (NOT_EMPTY, "", " x ", True),
        (NOT_EMPTY, "", " \n", False),
    ],
)
def test_an_answer_passes_a_check_or_fails_it(
    kind: CheckKind, value: str, answer: str, passed: bool
) -> None:
    check = Check(kind=kind, value=value)
    assert check_problem(check) == ""
    assert passes(check, answer) is passed


@pytest.mark.parametrize("pattern", ["(a+)+$", "^(a|a)*$", "^(([a-z])+.)+[A-Z]([a-z])+$", "(.*)*x"])
def test_a_pattern_with_catastrophic_backtracking_takes_linear_time(pattern: str) -> None:
    check = Check(kind=REGEX, value=pattern)
    assert check_problem(check) == ""
    assert passes(check, "a" * 200_000 + "!") is False  # Python's `re` would not finish


@pytest.mark.parametrize(
    ("kind", "value", "problem"),
    [
        (REGEX, "(", "missing ): ( (RE2 syntax"),
        (REGEX, "(?=a)", "invalid perl operator: (?= (RE2 syntax"),
        (REGEX, "x" * (MAX_PATTERN_CHARACTERS + 1), "a pattern can have at most 2000 characters"),
        (MAX_LENGTH, "many", "enter a whole number"),
        (MAX_LENGTH, "-1", "enter a whole number"),
        (MAX_LENGTH, "٣", "enter a whole number"),
        (MAX_LENGTH, "9" * 10, "enter a whole number"),
    ],
)
def test_an_invalid_check_has_a_problem(kind: CheckKind, value: str, problem: str) -> None:
    assert check_problem(Check(kind=kind, value=value)).startswith(problem)
