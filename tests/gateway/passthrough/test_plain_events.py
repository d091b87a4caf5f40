from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akash_gradio.gateway.passthrough.plain_events import PlainEvents
from tests.stubs.wire import chunk, error, event, finish_event, text_event, usage_event

EVENT = text_event("word")


def spaced(value: object) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


def having_counted(before: bytes = EVENT) -> PlainEvents:
    plain = PlainEvents()
    plain.count(before)
    return plain


def test_whole_plain_events_are_counted() -> None:
    plain = PlainEvents()
    assert [plain.count(EVENT * number) for number in (1, 2, 7)] == [1, 2, 7]


@pytest.mark.parametrize(
    "other",
    [
        b"",
        EVENT[:-1],
        EVENT[1:],
        EVENT.replace(b"\n\n", b"\r\n\r\n"),
        finish_event(),
        usage_event(),
        event(error("no")),
        b": ping\n\n",
        b"data: [DONE]\n\n",
        EVENT.replace(b'"word"', b"NaN"),
        EVENT.replace(b'"word"', b'"word","error":"no"'),
        EVENT.replace(b'"word"', b'"wo\nrd"'),
        EVENT.replace(b'"word"', b'"wo\n\nrd"'),
        EVENT.replace(b'"finish_reason":null', b'"finish_reason":"stop"'),
        EVENT.replace(b'"word"', b'"word\\"},"finish_reason":"stop","x":{"y":"'),
    ],
)
def test_other_data_counts_as_none_alone_and_beside_a_plain_event(other: bytes) -> None:
    assert PlainEvents().count(other) == 0
    assert having_counted().count(other) == 0
    assert having_counted().count(EVENT + other) == 0 or other == b""


@pytest.mark.parametrize("rest", [{}, {"choices": []}])
def test_an_event_with_two_choices_does_not_hide_one_without(rest: dict[str, object]) -> None:
    two = chunk({"content": "a"})
    two["choices"] *= 2
    none = {**rest, "detail": "out of memory"}
    for serialize in (event, spaced):
        assert PlainEvents().count(serialize(two) + serialize(none)) == 0


@pytest.mark.parametrize("name", ["content", "reasoning_content", "refusal"])
def test_the_text_may_be_in_any_output_field(name: str) -> None:
    first, second = (event(chunk({name: text})) for text in ("one", "two"))
    assert having_counted(first).count(second) == 1


@given(st.text())
def test_the_next_event_counts_whatever_its_text(text: str) -> None:
    parsed = "NaN" in text or "Infinity" in text
    assert parsed or having_counted().count(text_event(text)) == 1


def test_nan_in_the_text_is_not_taken_for_a_number() -> None:
    assert having_counted().count(text_event("NaN, Infinity")) == 1


@given(st.text(), st.binary(max_size=12))
def test_an_event_that_counts_after_another_differs_only_in_its_text(
    before: str, inside: bytes
) -> None:
    first = text_event(before)
    start, _, end = text_event("\0").partition(b"\\u0000")
    data = start + inside + end
    if having_counted(first).count(data) and not PlainEvents().count(data):
        text = data.decode(errors="replace").removeprefix("data: ")
        value = json.loads(text, strict=False)
        value["choices"][0]["delta"]["content"] = before
        assert event(value) == first
