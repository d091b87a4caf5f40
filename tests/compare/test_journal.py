from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from akash_gradio.compare.journal import Journal, JournalError
from akash_gradio.compare.rows import OK, Row, row_dict
from tests.compare.fakes import make_receipt, plan
from tests.gateway.fakes import chat_request

ROW = Row(
    number=0, outcome=OK, began="2026-11-26", answer="A", receipt=make_receipt(chat_request())
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict | list):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*path, name))


def with_value(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = with_value(value[path[0]], path[1:], new)
    return copy


@pytest.mark.parametrize("table", ["facts", "rows"])
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_run_file_opens_or_gives_a_clear_error(
    table: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "x.run"
    with Journal.create(path, plan()) as journal:
        journal._add(ROW)
        stored = row_dict(ROW) if table == "rows" else journal.fact("plan")
    place = data.draw(st.sampled_from(list(places(stored))))
    text = json.dumps(with_value(stored, place, data.draw(JSON)))
    database = sqlite3.connect(path)
    with database:
        column, where = ("row", "number = 0") if table == "rows" else ("value", "name = 'plan'")
        database.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (text,))
    database.close()
    reasons = []
    try:
        with Journal.open(path) as journal:
            journal.row(0)
            assert len(journal.plan.order()) == journal.plan.calls
            assert len(journal.plan.labels) == len(journal.plan.lanes)
    except JournalError as error:
        reasons.append(error.reason)
    assert reasons in ([], ["not_a_run"])


def test_a_journal_has_a_largest_size(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "x.run", plan(), max_bytes=100_000) as journal:
        for number in range(3):
            journal._add(Row(number=number, outcome=OK, began="", answer="x" * 20_000))
        with pytest.raises(JournalError) as caught:
            journal._add(Row(number=3, outcome=OK, began="", answer="x" * 40_000))
        assert (caught.value.code, caught.value.reason) == ("run_too_large", "too_large")
        assert len(journal.outcomes()) == 3
