"""The pieces add up to the texts; differences are marked, differing numbers separately."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from akash_gradio.compare.answer_diff import MAX_WORDS, Mark, Span, diff_answers


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
def test_the_pieces_of_a_text_are_the_text(a: str, b: str) -> None:
    result = diff_answers(a, b)
    assert "".join(span.text for span in result.a) == a
    assert "".join(span.text for span in result.b) == b
    assert 0 <= result.common <= 1


@settings(deadline=None)
@given(TEXTS)
def test_a_text_equals_itself(text: str) -> None:
    result = diff_answers(text, text)
    assert {span.mark for span in (*result.a, *result.b)} <= {Mark.SAME}
    assert result.common == 1


def test_words_of_only_one_text_are_marked() -> None:
    result = diff_answers("The cat sat on the mat today.", "The cat slept on the mat today.")
    assert marked(result.a, Mark.ONLY) == ["sat"]
    assert marked(result.b, Mark.ONLY) == ["slept"]


def test_differing_numbers_are_marked_as_numbers() -> None:
    result = diff_answers(
        "It was built in 1889 for 300 people.", "It was built in 1887 for 300 people."
    )
    assert marked(result.a, Mark.NUMBER) == ["1889"]
    assert marked(result.b, Mark.NUMBER) == ["1887"]


def test_a_number_without_a_counterpart_is_marked_as_a_word() -> None:
    result = diff_answers("It took 12 long years to build.", "It took very long years to build.")
    assert marked(result.a, Mark.NUMBER) == []
    assert marked(result.a, Mark.ONLY) == ["12"]


def test_an_equal_number_in_another_sentence_is_not_marked_as_a_number() -> None:
    result = diff_answers("Alpha beta 7 gamma delta.", "One two 7 three four five.")
    assert marked(result.a, Mark.NUMBER) == []


def test_code_is_compared_by_lines() -> None:
    before = "Try:\n```python\nfor x in range(3):\n    print(x)\n```\n"
    result = diff_answers(before, before.replace("print(x)", "print(x, end='')"))
    assert marked(result.a, Mark.ONLY) == ["print(x)"]
    assert marked(result.b, Mark.ONLY) == ["print(x, end='')"]


def test_characters_are_compared_where_words_have_no_spaces() -> None:
    result = diff_answers("東京は日本の首都です。", "京都は日本の古都です。")
    assert any("日本の" in text for text in marked(result.a, Mark.SAME))


def test_a_single_common_comma_is_ignored() -> None:
    result = diff_answers("Alpha, omega", "Wholly, different")
    assert marked(result.a, Mark.SAME) == []
    assert result.common == 0


@pytest.mark.parametrize("size", [MAX_WORDS, 200_000])
def test_very_long_texts_are_compared_by_lines(size: int) -> None:
    line = "word " * 10 + "\n"
    a, b = line * (size // 10), line * (size // 10) + "one more\n"
    result = diff_answers(a, b)
    assert marked(result.b, Mark.ONLY) == ["one more"]
