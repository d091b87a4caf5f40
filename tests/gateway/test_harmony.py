from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akash_gradio.gateway.reasoning import ThinkSplitter

REASONING = "<|channel|>analysis<|message|>Hm <b>.<|end|>"
ANSWER = "<|start|>assistant<|channel|>final<|message|>Yes | no.<|return|>"


def split(*texts: str) -> tuple[str, str]:
    splitter = ThinkSplitter()
    parts = [splitter.feed(text) for text in texts] + [splitter.close()]
    return "".join(r for r, _ in parts), "".join(t for _, t in parts)


def test_the_final_channel_is_the_answer_and_the_rest_is_reasoning() -> None:
    assert split(REASONING + ANSWER) == ("Hm <b>.", "Yes | no.")
    assert ThinkSplitter().feed_complete(REASONING + ANSWER) == ("Hm <b>.", "Yes | no.")
    assert split("<|start|>assistant" + REASONING + ANSWER) == ("Hm <b>.", "Yes | no.")


def test_the_answer_may_come_without_reasoning_or_never() -> None:
    assert split("<|channel|>final<|message|>Yes.") == ("", "Yes.")
    assert split("<|channel|>analysis<|message|>Hm") == ("Hm", "")
    assert split("<|channel|>ana") == ("", "")


def test_a_tool_call_is_not_part_of_the_answer() -> None:
    call = (
        "<|start|>assistant<|channel|>commentary to=functions.search "
        '<|constrain|>json<|message|>{"q": 1}<|call|>'
    )
    assert split(REASONING + call + ANSWER) == ('Hm <b>.{"q": 1}', "Yes | no.")


def test_markers_in_code_are_text() -> None:
    text = "It begins with `<|channel|>analysis`, and `<|end|>` ends it."
    assert split(*f"<|channel|>final<|message|>{text}<|return|>") == ("", text)


@pytest.mark.parametrize(
    "text", ["See <|channel|>final<|message|>x", "`<|start|>`", "<|chan", "<|x|>"]
)
def test_markers_after_other_text_are_text(text: str) -> None:
    assert split(text) == ("", text)
    assert split(*text) == ("", text)


@given(st.lists(st.integers(0, len(REASONING + ANSWER)), max_size=12))
def test_the_split_does_not_depend_on_the_pieces(places: list[int]) -> None:
    whole = REASONING + ANSWER
    edges = [0, *sorted(places), len(whole)]
    assert split(*(whole[a:b] for a, b in itertools.pairwise(edges))) == ("Hm <b>.", "Yes | no.")


@given(st.text(alphabet="<|>`channelmsgfi ", max_size=60))
def test_no_text_of_the_final_channel_is_lost(text: str) -> None:
    reasoning, answer = split(f"<|channel|>final<|message|>{text}")
    assert reasoning == ""
    if "|>" not in text:
        assert answer == text
