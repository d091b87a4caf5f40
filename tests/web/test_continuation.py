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
from tests.web.fakes import (
    STARTED,
    FakeChatGateway,
    Step,
    chat_request,
    make_receipt,
    no_sleep,
    record_page,
)
from tests.work.fakes import WORK


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
def test_a_last_word_that_may_be_incomplete_is_dropped(text: str, begins: str) -> None:
    assert drop_partial_word(text) == begins


@pytest.mark.parametrize(
    ("before", "text", "joined"),
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
def test_the_parts_are_joined_with_one_space_where_it_belongs(
    before: str, text: str, joined: str
) -> None:
    assert join_first_delta(before, text) == joined


def body(*turns: tuple[str, str]) -> bytes:
    items = [{"role": role, "text": text} for role, text in turns]
    return json.dumps({"model": "m", "turns": items}).encode()


def test_the_interrupted_answer_precedes_the_instruction() -> None:
    request, before = parse_continuation(body(("user", "Tell"), ("assistant", "Once upon a ti")))
    contents = [(turn.role, turn.content) for turn in request.conversation.turns]
    assert contents == [
        (Role.USER, "Tell"),
        (Role.ASSISTANT, "Once upon a "),
        (Role.USER, INSTRUCTION),
    ]
    assert before == "Once upon a "


@pytest.mark.parametrize("turns", [[("user", "Tell")], [("user", "Tell"), ("assistant", " ")]])
def test_only_an_answer_with_text_can_be_continued(turns: list[tuple[str, str]]) -> None:
    with pytest.raises(UserError):
        parse_continuation(body(*turns))


async def test_the_patches_contain_the_beginning_of_the_answer() -> None:
    before = "A list:\n\n- one\n- "
    script: list[Step] = [
        STARTED,
        TextDelta(" two"),
        TextDelta("\n- three"),
        Finished("stop", make_receipt()),
    ]
    page = await record_page(
        reply(chat_request(), FakeChatGateway(script), WORK, beginning=before, sleep=no_sleep)
    )
    assert page.text["answer"] == "A list:\n\n- one\n- two\n- three"
    assert page.blocks["answer"] == list(render(page.text["answer"]))
