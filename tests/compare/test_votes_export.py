from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime

import pytest

from akash_gradio.compare.csv_writer import csv_text
from akash_gradio.compare.ranking import rank
from akash_gradio.compare.votes.export import votes_csv, votes_json
from akash_gradio.compare.votes.store import Outcome, Vote

CAST = Vote(
    id="x",
    when=datetime(2026, 11, 26, 12, tzinfo=UTC),
    a="=HYPERLINK(1)",
    b='qwen, "temperature" 0.2\nand more',
    outcome=Outcome.BOTH_BAD,
    blind=True,
    visitor="who-voted",
)


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "＝1"])
def test_a_text_that_looks_like_a_formula_is_escaped(text: str) -> None:
    ((cell,),) = csv.reader(io.StringIO(csv_text([[text]]), newline=""))
    assert cell == f"'{text}"


def test_numbers_and_plain_text_are_not_escaped() -> None:
    assert csv_text([[-1.5, 2, None, True, "a=b", ""]]) == "-1.5,2,,true,a=b,\r\n"


def test_the_csv_of_votes_is_read_back() -> None:
    names, row = csv.reader(io.StringIO(votes_csv([CAST]), newline=""))
    assert names == ["when", "a", "b", "outcome", "blind"]
    assert row == ["2026-11-26T12:00:00+00:00", "'=HYPERLINK(1)", CAST.b, "both_bad", "true"]


def test_the_json_of_votes_has_the_ranking_and_no_visitor_ids() -> None:
    text = votes_json([CAST], rank([CAST]))
    data = json.loads(text)
    assert data["votes"][0]["a"] == "=HYPERLINK(1)"
    assert [standing["label"] for standing in data["ranking"]["standings"]] == [CAST.a, CAST.b]
    assert "who-voted" not in text + votes_csv([CAST])
