from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akash_gradio.gateway.reasoning import ThinkSplitter

THOUGHT = "<|channel|>analysis<|message|>Hm <b>.<|end|>"
ANSWER = "<|start|>assistant<|channel|>final<|message|>Yes | no.<|return|>"


def split(*texts: str) -> tuple[str, str]:
    splitter = ThinkSplitter()
    parts = [splitter.feed(text) for text in texts] + [splitter.close()]
    return "".join(r for r, _ in parts), "".join(t for _, t in parts)


def test_the_final_channel_is_the_answer_and_the_rest_is_reasoning() -> None:
    assert split(THOUGHT + ANSWER) == ("Hm <b>.", "Yes | no.")
    assert ThinkSplitter().whole(THOUGHT + ANSWER) == ("Hm <b>.", "Yes | no.")
    assert split("<|start|>assistant" + THOUGHT + ANSWER) == ("Hm <b>.", "Yes | no.")


def test_an_answer_may_come_without_a_thought_or_never_come() -> None:
    assert split("<|channel|>final<|message|>Yes.") == ("", "Yes.")
    assert split("<|channel|>analysis<|message|>Hm") == ("Hm", "")
    assert split("<|channel|>ana") == ("", "")


def test_a_tool_call_is_no_part_of_the_answer() -> None:
    call = (
        "<|start|>assistant<|channel|>commentary to=functions.search "
        '<|constrain|>json<|message|>{"q": 1}<|call|>'
    )
    assert split(THOUGHT + call + ANSWER) == ('Hm <b>.{"q": 1}', "Yes | no.")


def test_marks_in_the_code_of_an_answer_are_text() -> None:
    said = "It begins with `<|channel|>analysis`, and `<|end|>` ends it."
    assert split(*f"<|channel|>final<|message|>{said}<|return|>") == ("", said)


@pytest.mark.parametrize(
    "text", ["See <|channel|>final<|message|>x", "`<|start|>`", "<|chan", "<|x|>"]
)
def test_marks_after_other_text_are_text(text: str) -> None:
    assert split(text) == ("", text)
    assert split(*text) == ("", text)


@given(st.lists(st.integers(0, len(THOUGHT + ANSWER)), max_size=12))
def test_any_cutting_gives_the_same_split(places: list[int]) -> None:
    whole = THOUGHT + ANSWER
    edges = [0, *sorted(places), len(whole)]
    assert split(*(whole[a:b] for a, b in itertools.pairwise(edges))) == ("Hm <b>.", "Yes | no.")


@given(st.text(alphabet="<|>`channelmsgfi ", max_size=60))
def test_no_text_is_lost_in_the_final_channel_but_marks(text: str) -> None:
    reasoning, answer = split(f"<|channel|>final<|message|>{text}")
    assert reasoning == ""
    if "|>" not in text:
        assert answer == text
