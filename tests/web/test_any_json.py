"""Any JSON at any place of a body gets an answer or a clear error, in every route of the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from akash_gradio.compare.votes.sqlite import SqliteVotes
from tests.web.fakes import FakeChatGateway, endpoint_status, make_deps, make_page

GATEWAY = FakeChatGateway([], statuses=[endpoint_status("m", "n")])
RUN = "x" * 24
ANSWER = {
    "requested_at": "2026-11-26T04:00:00Z",
    "text": "Hi",
    "reasoning": "So.",
    "stopped": False,
    "failed": "",
    "facts": {"model": "m", "endpoint": "e", "total_s": 1.0, "tokens_out": 3, "sent": {"a": 1}},
}
VOTE = {
    "id": "v",
    "when": "2026-11-26T04:00:00Z",
    "a": "m",
    "b": "n",
    "outcome": "a",
    "blind": True,
    "visitor": "ann",
}
LANES = [
    {
        "model": model,
        "settings": {"system": "Be brief.", "temperature": 0.5, "stop": ["END"]},
        "turns": [{"prompt": "Who?", "answer": ANSWER}],
    }
    for model in ("m", "n")
]
SET = {"text": "one\ntwo", "name": ""}
START = {
    "set": SET,
    "candidates": [{"model": "m", "temperature": 0.5, "stop": ["END"], "system": "Be brief."}],
    "temperatures": [0.1],
    "max_tokens": 5,
    "repeats": 1,
    "system": "S",
    "contains": "c",
    "title": "T",
}
BODIES: dict[str, Any] = {
    "/page/compare/votes": {"votes": [VOTE]},
    "/page/compare/ranking": {"votes": [VOTE]},
    "/page/compare/export/csv": {"votes": [VOTE]},
    "/page/compare/export/json": {"votes": [VOTE]},
    "/page/compare/report": {"lanes": LANES, "form": "html", "preview": True, "votes": [VOTE]},
    "/page/sets/validate": SET,
    "/page/sets/forecast": START,
    "/page/sets/start": START,
    "/page/sets/status": {"run": RUN, "first": 0, "earlier": RUN},
    "/page/sets/row": {"run": RUN, "row": 0},
    "/page/sets/action": {"run": RUN, "action": "delete"},
    "/page/sets/report": {"run": RUN, "form": "csv", "preview": False},
}
DATES = st.builds(
    "{}T{}{}".format,
    st.sampled_from(["0001-01-01", "9999-12-31", "2026-02-30", "1970-01-01", "0000-00-00"]),
    st.sampled_from(["00:00:00", "23:59:59.999999", "24:00:00", "23:59:60"]),
    st.sampled_from(["", "Z", "+23:59", "-23:59", "+24:00", "-00:00", "+99:99", "+14:00"]),
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["\ud800", "\x00", "1e400", "__proto__", "=1+1", RUN])
    | DATES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict):
        for name, item in value.items():
            yield from places(item, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*path, index))


def with_value(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = with_value(value[path[0]], path[1:], new)
    return copy


@pytest.mark.parametrize("path", BODIES)
def test_any_json_at_any_place_gets_an_answer_or_a_clear_error(path: str, tmp_path: Path) -> None:
    votes = SqliteVotes(tmp_path / "votes.sqlite3")
    body = BODIES[path]
    page = make_page(make_deps(GATEWAY, tmp_path, votes=votes))
    with TestClient(page, raise_server_exceptions=False) as client:

        @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.sampled_from(list(places(body))), JSON)
        def check(place: tuple[Any, ...], value: Any) -> None:
            sent = json.dumps(with_value(body, place, value))
            response = client.post(path, content=sent, headers={"content-type": "application/json"})
            assert response.status_code < 500, response.text
            if response.status_code >= 400:
                error = response.json()["error"]
                assert error["title"]
                assert error["hint"]

        check()


@pytest.mark.parametrize("offset", ["+23:59", "-23:59", "+24:00", "Z", ""])
@pytest.mark.parametrize("day", ["0001-01-01T00:00:00", "9999-12-31T23:59:59"])
def test_a_date_at_the_end_of_time_is_no_server_error(
    day: str, offset: str, tmp_path: Path
) -> None:
    client = TestClient(make_page(make_deps(GATEWAY, tmp_path)), raise_server_exceptions=False)
    vote = {**VOTE, "when": day + offset}
    lane = {
        **LANES[0],
        "turns": [{"prompt": "?", "answer": {**ANSWER, "requested_at": day + offset}}],
    }
    report = {"lanes": [lane, LANES[1]], "form": "json", "preview": False}
    for path, body in (
        ("/page/compare/ranking", {"votes": [vote]}),
        ("/page/compare/report", report),
    ):
        assert client.post(path, json=body).status_code in (200, 400)
