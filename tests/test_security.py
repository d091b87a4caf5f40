"""SECURITY.md: every test that it names exists."""

from __future__ import annotations

import re

import pytest

from tests.documents import ROOT, text_of

TEXT = text_of(ROOT / "SECURITY.md")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", TEXT)))


@pytest.mark.parametrize(("path", "test"), NAMED)
def test_a_named_test_exists(path: str, test: str) -> None:
    source = (ROOT / path).read_text("utf-8")
    assert re.search(rf"^(async )?def {test}", source, re.M)


def test_each_row_of_the_threat_model_names_a_test() -> None:
    table = TEXT.split("## Threat model", 1)[1].split("## What is promised", 1)[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][2:]
    assert len(rows) >= 10
    for row in rows:
        assert re.search(r"`tests/[\w/]+\.py::\w+`", row), row
