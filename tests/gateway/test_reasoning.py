from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akash_gradio.gateway.reasoning import MAX_BLANK_CHARACTERS, ThinkSplitter


def split(*texts: str, starts_in_reasoning: bool = False) -> tuple[str, str]:
    splitter = ThinkSplitter(starts_in_reasoning=starts_in_reasoning)
    parts = [splitter.feed(text) for text in texts] + [splitter.close()]
    return "".join(r for r, _ in parts), "".join(t for _, t in parts)


def test_splits_the_reasoning_from_the_answer() -> None:
    assert split("<think>Hm.</think>Yes.") == ("Hm.", "Yes.")


def test_finds_tags_divided_among_pieces() -> None:
    assert split(*"\n<think>\nHm <b>.</think>\n\nYes.") == ("Hm <b>.", "Yes.")


def test_drops_the_newlines_after_the_tags_but_no_spaces() -> None:
    assert split("<think>\n\n a", "</think>\r\n", "\n  code\n\nx") == (" a", "  code\n\nx")


def test_empty_reasoning_is_dropped() -> None:
    assert split("<think>\n\n</think>\n\nHi") == ("", "Hi")


@pytest.mark.parametrize(
    "text",
    ["See: <think>x</think>", "`<think>` and `</think>`", "```\n</think>\n```", "<thinker>", "<th"],
)
def test_a_tag_after_other_text_or_in_code_is_text(text: str) -> None:
    assert split(text) == ("", text)
    assert split(*text) == ("", text)


def test_an_end_tag_alone_in_a_stream_is_dropped_once() -> None:
    assert split("So: yes.</th", "ink>\nYes. </think>") == ("", "So: yes.\nYes. </think>")


def test_text_inside_the_tag_from_the_start_is_reasoning() -> None:
    assert split(*"So: yes.</think>\nYes.", starts_in_reasoning=True) == ("So: yes.", "Yes.")
    assert split("<think>\nHm.</think>Yes.", starts_in_reasoning=True) == ("Hm.", "Yes.")
    assert split("Never ends </thi", starts_in_reasoning=True) == ("Never ends </thi", "")


@pytest.mark.parametrize(
    ("text", "at_once"),
    [
        ("Yes, of course.", True),
        ("So: yes.</think>Yes.", False),
        ("<think>Hm, and then", False),
        ("Never ends </thi", True),
    ],
)
def test_text_without_the_expected_end_tag_was_the_answer(text: str, at_once: bool) -> None:
    splitter = ThinkSplitter(starts_in_reasoning=True)
    splitter.feed(text)
    assert splitter.reasoning_is_untagged is at_once


def test_a_complete_answer_with_an_end_tag_alone_is_split() -> None:
    splitter = ThinkSplitter()
    assert splitter.feed_complete("So: yes.</think>\n\nYes.") == ("So: yes.", "Yes.")


@pytest.mark.parametrize("text", ["Write `</think>` there.", "Plain.", "See <think>x</think>"])
def test_a_complete_answer_without_reasoning_is_unchanged(text: str) -> None:
    assert ThinkSplitter(starts_in_reasoning=True).feed_complete(text) == ("", text)


def test_reasoning_in_its_own_field_ends_with_the_text() -> None:
    splitter = ThinkSplitter(starts_in_reasoning=True)
    splitter.expect_answer()
    assert splitter.feed("\n\n") == ("", "")
    assert splitter.feed("Yes. </think>") == ("", "Yes. </think>")


def test_blanks_are_held_up_to_a_limit() -> None:
    blanks = " " * (MAX_BLANK_CHARACTERS + 1)
    splitter = ThinkSplitter()
    assert splitter.feed(blanks) == ("", blanks)
    assert split(blanks + "<think>x</think>")[0] == ""


def test_an_incomplete_tag_at_the_end_is_text() -> None:
    assert split("<thi") == ("", "<thi")
    assert split("<think>a</thi") == ("a</thi", "")
    assert split("1 <") == ("", "1 <")


TEXTS = st.lists(
    st.sampled_from(["<think>", "</think>", "<", "</", "think>", "`", "\n", " ", "a", " " * 200])
).map("".join)


@given(TEXTS, st.lists(st.integers(0, 400)), st.booleans())
def test_the_split_does_not_depend_on_the_pieces(
    text: str, places: list[int], inside: bool
) -> None:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(edges)]
    assert split(*pieces, starts_in_reasoning=inside) == split(text, starts_in_reasoning=inside)


@given(st.text(alphabet="ab<c/ ", min_size=1))
def test_text_without_a_tag_is_unchanged(text: str) -> None:
    assert split(*text) == ("", text)
