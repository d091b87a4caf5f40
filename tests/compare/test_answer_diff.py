"""The pieces are the text again; what differs is marked, and numbers that differ stand out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from akash_gradio.compare.answer_diff import MOST_WORDS, Mark, Span, diff


def marked(spans: tuple[Span, ...], mark: Mark) -> list[str]:
    return [span.text.strip() for span in spans if span.mark is mark]


TEXTS = st.lists(
    st.sampled_from(
        ["the ", "cat ", "42", "4.2", "\n", "```\n", "x = 1\n", "、", "猫", "\r\n", " "]
    )
    | st.text(max_size=4),
    max_size=40,
).map("".join)


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_the_pieces_of_a_text_are_the_text(a: str, b: str):
    found = diff(a, b)
    assert "".join(span.text for span in found.a) == a
    assert "".join(span.text for span in found.b) == b
    assert 0 <= found.common <= 1


@settings(deadline=None)
@given(TEXTS)
def test_a_text_has_all_in_common_with_itself(text: str):
    found = diff(text, text)
    assert {span.mark for span in (*found.a, *found.b)} <= {Mark.SAME}
    assert found.common == 1


def test_words_that_only_one_has_are_marked_on_its_side():
    found = diff("The cat sat on the mat today.", "The cat slept on the mat today.")
    assert marked(found.a, Mark.ONLY) == ["sat"]
    assert marked(found.b, Mark.ONLY) == ["slept"]


def test_numbers_that_differ_stand_out():
    found = diff("It was built in 1889 for 300 people.", "It was built in 1887 for 300 people.")
    assert marked(found.a, Mark.NUMBER) == ["1889"]
    assert marked(found.b, Mark.NUMBER) == ["1887"]


def test_a_number_beside_none_is_a_word_like_others():
    found = diff("It took 12 long years to build.", "It took very long years to build.")
    assert marked(found.a, Mark.NUMBER) == []
    assert marked(found.a, Mark.ONLY) == ["12"]


def test_the_same_number_within_another_sentence_does_not_stand_out():
    found = diff("Alpha beta 7 gamma delta.", "One two 7 three four five.")
    assert marked(found.a, Mark.NUMBER) == []


def test_code_goes_by_lines():
    before = "Try:\n```python\nfor x in range(3):\n    print(x)\n```\n"
    found = diff(before, before.replace("print(x)", "print(x, end='')"))
    assert marked(found.a, Mark.ONLY) == ["print(x)"]
    assert marked(found.b, Mark.ONLY) == ["print(x, end='')"]


def test_characters_are_compared_where_words_have_no_spaces():
    found = diff("東京は日本の首都です。", "京都は日本の古都です。")
    assert any("日本の" in text for text in marked(found.a, Mark.SAME))


def test_a_lone_comma_in_common_is_not_seen():
    found = diff("Alpha, omega", "Wholly, different")
    assert marked(found.a, Mark.SAME) == []
    assert found.common == 0


@pytest.mark.parametrize("size", [MOST_WORDS, 200_000])
def test_very_long_texts_are_compared_by_lines(size: int):
    line = "word " * 10 + "\n"
    a, b = line * (size // 10), line * (size // 10) + "one more\n"
    found = diff(a, b)
    assert marked(found.b, Mark.ONLY) == ["one more"]
