from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akash_gradio.gateway.passthrough.plain_events import PlainEvents
from tests.stubs.wire import chunk, error, event, finish_event, text_event, usage_event

SAYS = text_event("word")


def spaced(value: object) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


def after_one(before: bytes = SAYS) -> PlainEvents:
    plain = PlainEvents()
    plain.count(before)
    return plain


def test_counts_whole_events_that_say_more() -> None:
    plain = PlainEvents()
    assert [plain.count(SAYS * number) for number in (1, 2, 7)] == [1, 2, 7]


@pytest.mark.parametrize(
    "other",
    [
        b"",
        SAYS[:-1],
        SAYS[1:],
        SAYS.replace(b"\n\n", b"\r\n\r\n"),
        finish_event(),
        usage_event(),
        event(error("no")),
        b": ping\n\n",
        b"data: [DONE]\n\n",
        SAYS.replace(b'"word"', b"NaN"),
        SAYS.replace(b'"word"', b'"word","error":"no"'),
        SAYS.replace(b'"word"', b'"wo\nrd"'),
        SAYS.replace(b'"word"', b'"wo\n\nrd"'),
        SAYS.replace(b'"finish_reason":null', b'"finish_reason":"stop"'),
        SAYS.replace(b'"word"', b'"word\\"},"finish_reason":"stop","x":{"y":"'),
    ],
)
def test_anything_else_is_none_also_beside_one_and_after_one(other: bytes) -> None:
    assert PlainEvents().count(other) == 0
    assert after_one().count(other) == 0
    assert after_one().count(SAYS + other) == 0 or other == b""


@pytest.mark.parametrize("rest", [{}, {"choices": []}])
def test_an_event_of_two_answers_does_not_stand_in_for_one_of_none(rest: dict[str, object]) -> None:
    two = chunk({"content": "a"})
    two["choices"] *= 2
    none = {**rest, "detail": "out of memory"}
    for pack in (event, spaced):
        assert PlainEvents().count(pack(two) + pack(none)) == 0


@pytest.mark.parametrize("name", ["content", "reasoning_content", "refusal"])
def test_the_words_may_be_of_any_kind(name: str) -> None:
    first, second = (event(chunk({name: text})) for text in ("one", "two"))
    assert after_one(first).count(second) == 1


@given(st.text())
def test_the_next_is_one_whatever_its_words(words: str) -> None:
    looked_at = "NaN" in words or "Infinity" in words
    assert looked_at or after_one().count(text_event(words)) == 1


def test_words_that_are_no_numbers_are_known_for_words() -> None:
    assert after_one().count(text_event("NaN, Infinity")) == 1


@given(st.text(), st.binary(max_size=12))
def test_what_counts_after_another_differs_from_it_in_its_words_alone(
    before: str, inside: bytes
) -> None:
    first = text_event(before)
    start, _, end = text_event("\0").partition(b"\\u0000")
    part = start + inside + end
    if after_one(first).count(part) and not PlainEvents().count(part):
        text = part.decode(errors="replace").removeprefix("data: ")
        value = json.loads(text, strict=False)
        value["choices"][0]["delta"]["content"] = before
        assert event(value) == first
