from __future__ import annotations

import pytest

from akash_gradio.compare.checks import LONGEST_PATTERN, Check, CheckKind, fault_of, passes

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
def test_an_answer_meets_a_demand_or_not(
    kind: CheckKind, value: str, answer: str, passed: bool
) -> None:
    check = Check(kind=kind, value=value)
    assert fault_of(check) == ""
    assert passes(check, answer) is passed


@pytest.mark.parametrize("pattern", ["(a+)+$", "^(a|a)*$", "^(([a-z])+.)+[A-Z]([a-z])+$", "(.*)*x"])
def test_a_pattern_that_explodes_elsewhere_is_done_at_once(pattern: str) -> None:
    check = Check(kind=REGEX, value=pattern)
    assert fault_of(check) == ""
    assert passes(check, "a" * 200_000 + "!") is False  # Python's own would take for ever


@pytest.mark.parametrize(
    ("kind", "value", "says"),
    [
        (REGEX, "(", "missing ): ( (patterns are RE2's"),
        (REGEX, "(?=a)", "invalid perl operator: (?= (patterns are RE2's"),
        (REGEX, "x" * (LONGEST_PATTERN + 1), "a pattern has at most 2000 characters"),
        (MAX_LENGTH, "many", "write a whole number"),
        (MAX_LENGTH, "-1", "write a whole number"),
        (MAX_LENGTH, "٣", "write a whole number"),
        (MAX_LENGTH, "9" * 10, "write a whole number"),
    ],
)
def test_a_demand_that_is_none_is_told(kind: CheckKind, value: str, says: str) -> None:
    assert fault_of(Check(kind=kind, value=value)).startswith(says)
