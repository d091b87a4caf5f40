from __future__ import annotations

import json

import pytest

from akash_gradio.domain.chat import Role
from akash_gradio.domain.errors import UserError
from akash_gradio.domain.events import Finished, TextDelta
from akash_gradio.markdown.renderer import render
from akash_gradio.web.continuation import INSTRUCTION, drop_partial_word, join_first_delta
from akash_gradio.web.reply import reply
from akash_gradio.web.schemas import parse_continuation
from tests.web.fakes import STARTED, FakeChatGateway, chat_request, make_receipt, no_nap, shown


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("As far as I cam", "As far as I "),
        ("It ends here.", "It ends here."),
        ("A blank ", "A blank "),
        ("one", "one"),
        ("call foo_ba", "call "),
        ("I don't", "I "),
        ("это полов", "это "),
        ("昨日は富士山を見", "昨日は富士山を見"),
        ("```python\nx = comput", "```python\nx = "),
        ("x " + "a" * 31, "x " + "a" * 31),
        ("", ""),
    ],
)
def test_a_last_word_that_may_be_half_is_left_to_the_model(text: str, begins: str):
    assert drop_partial_word(text) == begins


@pytest.mark.parametrize(
    ("before", "text", "said"),
    [
        ("I ", " came", "came"),
        ("I ", "came", "came"),
        ("The end.", "Then", " Then"),
        ("The end.", " Then", " Then"),
        ("3.", "14", "14"),
        ("(", "x", "x"),
        ("line\n", "\n- item", "\n- item"),
        ("富士", "山", "山"),
    ],
)
def test_the_parts_join_with_one_blank_where_one_belongs(before: str, text: str, said: str):
    assert join_first_delta(before, text) == said


def body(*said: tuple[str, str]) -> bytes:
    turns = [{"role": role, "text": text} for role, text in said]
    return json.dumps({"model": "m", "turns": turns}).encode()


def test_the_answer_as_far_as_it_came_stands_before_what_asks_to_go_on():
    request, before = parse_continuation(body(("user", "Tell"), ("assistant", "Once upon a ti")))
    said = [(turn.role, turn.content) for turn in request.conversation.turns]
    assert said == [
        (Role.USER, "Tell"),
        (Role.ASSISTANT, "Once upon a "),
        (Role.USER, INSTRUCTION),
    ]
    assert before == "Once upon a "


@pytest.mark.parametrize("said", [[("user", "Tell")], [("user", "Tell"), ("assistant", " ")]])
def test_only_an_answer_that_began_can_be_gone_on_with(said: list[tuple[str, str]]):
    with pytest.raises(UserError):
        parse_continuation(body(*said))


async def test_the_whole_answer_is_drawn_not_only_what_came_now():
    before = "A list:\n\n- one\n- "
    script = [STARTED, TextDelta(" two"), TextDelta("\n- three"), Finished("stop", make_receipt())]
    page = await shown(
        reply(chat_request(), FakeChatGateway(script), beginning=before, sleep=no_nap)
    )
    assert page.text["answer"] == "A list:\n\n- one\n- two\n- three"
    assert page.blocks["answer"] == list(render(page.text["answer"]))
