from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from akash_gradio.domain.chat import Default, Role, Sampling
from akash_gradio.domain.errors import UserError
from akash_gradio.web.schemas import (
    ATTACHMENT_LIMIT,
    MESSAGE_LIMIT_BYTES,
    parse_render,
    parse_reply,
)


def body(*said: str, **more: Any) -> bytes:
    """A request with these turns, the visitor's first."""
    roles = ("user", "assistant")
    turns = [{"role": roles[n % 2], "text": text} for n, text in enumerate(said or ("Hello",))]
    return json.dumps({"model": "m", "turns": turns} | more).encode()


def with_settings(**values: Any) -> bytes:
    return body(settings=values)


def fault(content: bytes) -> UserError:
    with pytest.raises(UserError) as caught:
        parse_reply(content)
    return caught.value


def test_reads_the_chat_and_its_system_prompt():
    request = parse_reply(body("Hi", "Hello!", "Who?", settings={"system": "Be brief."}))
    turns = [(turn.role, turn.content) for turn in request.conversation.turns]
    assert turns == [(Role.USER, "Hi"), (Role.ASSISTANT, "Hello!"), (Role.USER, "Who?")]
    assert request.conversation.system == "Be brief."
    assert (request.model, request.stream, request.endpoint) == ("m", True, None)


def test_leaves_everything_to_the_catalog_and_the_endpoint_when_nothing_is_set():
    assert parse_reply(body()).sampling == Sampling()


@pytest.mark.parametrize(
    ("sent", "meant"),
    [(0, 0.0), (0.0, 0.0), (2, 2.0), ("catalog", Default.CATALOG), ("endpoint", Default.ENDPOINT)],
)
def test_a_parameter_has_three_states_and_nought_is_a_value(sent: Any, meant: Any):
    sampling = parse_reply(with_settings(temperature=sent)).sampling
    assert sampling.temperature == meant
    assert type(sampling.temperature) is type(meant)
    assert sampling.top_p is Default.CATALOG


def test_top_p_may_be_nought_or_the_endpoints_own():
    assert parse_reply(with_settings(top_p=0)).sampling.top_p == 0.0
    assert parse_reply(with_settings(top_p="endpoint")).sampling.top_p is Default.ENDPOINT


def test_reads_the_other_settings_and_nought_is_a_seed():
    sent = with_settings(max_tokens=64, seed=0, stop=["END", "\n"], stream=False)
    request = parse_reply(sent)
    assert request.sampling.max_tokens == 64
    assert request.sampling.seed == 0
    assert request.sampling.stop == ("END", "\n")
    assert request.stream is False


PARAMETERS = [field.name for field in fields(Sampling) if field.name != "reasoning_effort"]


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("state", list(Default))
def test_every_parameter_may_be_the_catalogs_or_the_endpoints_own(name: str, state: Default):
    sampling = parse_reply(with_settings(**{name: state.value})).sampling
    assert sampling == replace(Sampling(), **{name: state})


def test_what_older_pages_leave_empty_is_left_to_the_endpoint():
    sampling = parse_reply(with_settings(max_tokens=None, seed=None)).sampling
    assert (sampling.max_tokens, sampling.seed) == (Default.ENDPOINT,) * 2


def test_reads_the_penalties_and_the_effort():
    sent = with_settings(presence_penalty=-2, frequency_penalty=0, reasoning_effort="high")
    sampling = parse_reply(sent).sampling
    assert (sampling.presence_penalty, sampling.frequency_penalty) == (-2.0, 0.0)
    assert sampling.reasoning_effort == "high"


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": True},
        {"temperature": "0.5"},
        {"temperature": "mine"},
        {"temperature": None},
        {"temperature": 2.01},
        {"temperature": -0.01},
        {"top_p": False},
        {"top_p": 1.1},
        {"max_tokens": True},
        {"max_tokens": 0},
        {"max_tokens": 1.5},
        {"max_tokens": "64"},
        {"seed": True},
        {"seed": 1.5},
        {"seed": 2**63},
        {"seed": "7"},
        {"stop": "END"},
        {"stop": ["a", "b", "c", "d", "e"]},
        {"stop": [""]},
        {"stop": [1]},
        {"presence_penalty": 2.1},
        {"frequency_penalty": "mine"},
        {"reasoning_effort": "High!"},
        {"reasoning_effort": 1},
        {"stream": "no"},
        {"stream": 1},
        {"system": 1},
        {"api_key": "x"},
        [],
        "catalog",
    ],
    ids=str,
)
def test_refuses_settings_of_another_kind(settings: Any):
    found = fault(body(settings=settings))
    assert (found.code, found.status) == ("invalid_request", 400)
    assert found.facts["detail"].startswith("settings")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000])
@pytest.mark.parametrize("name", ["temperature", "top_p", "seed", "max_tokens"])
def test_refuses_numbers_that_are_none(number: str, name: str):
    sent = b'{"model":"m","turns":[{"role":"user","text":"x"}],"settings":{"%s":%s}}'
    assert fault(sent % (name.encode(), number.encode())).code == "invalid_request"


@pytest.mark.parametrize(
    "changes",
    [
        {"model": ""},
        {"model": "m" * 301},
        {"model": None},
        {"model": ["m"]},
        {"turns": []},
        {"turns": {}},
        {"turns": "Hello"},
        {"turns": [None]},
        {"turns": [{"role": "system", "text": "x"}]},
        {"turns": [{"role": "user"}]},
        {"turns": [{"role": "user", "text": ["x"]}]},
        {"turns": [{"role": "user", "text": "x", "name": "y"}]},
        {"turns": [{"role": "user", "text": "x"}] * 2001},
        {"endpoint": "eu-1"},
        {"extra": {}},
    ],
    ids=lambda changes: str(changes)[:40],
)
def test_refuses_a_request_of_another_shape(changes: dict[str, Any]):
    found = fault(body(**changes))
    assert (found.code, found.status) == ("invalid_request", 400)
    assert next(iter(changes)) in found.facts["detail"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b'{"model":"m","turns":[{"role":"user","text":"\xff"}]}',
        b'{"model":"m","turns":[{"role":"user","text":"\xed\xa0\xbd"}]}',
        b"[" * 1_000_000,
        b'{"a":' * 500_000,
        b'["\\ud83d",' + b"[" * 1_000_000,
        b'{"turns":"\\ud83d' + b'","a":' + b"9" * 5000 + b"}",
    ],
    ids=lambda content: str(content[:12]),
)
def test_refuses_what_is_no_json_or_a_bomb(content: bytes):
    found = fault(content)
    assert (found.code, found.status) == ("invalid_request", 400)
    assert 0 < len(found.facts["detail"]) < 300


def test_the_fault_names_the_field_in_few_characters():
    assert fault(with_settings(temperature=3)).facts["detail"].startswith("settings.temperature: ")
    assert len(fault(body(**{"x" * 10_000: 1})).facts["detail"]) < 300


def test_the_fault_never_repeats_what_was_sent():
    sent = body(settings={"system": ["the secret"], "seed": "the secret"})
    assert "the secret" not in fault(sent).facts["detail"]


def test_a_message_of_two_megabytes_is_told_its_size():
    found = fault(body("x" * 2_000_000))
    assert (found.code, found.status) == ("message_too_long", 413)
    assert found.facts == {"size": "2.0", "limit": "1.0"}


def test_the_size_of_a_message_is_its_bytes():
    assert parse_reply(body("x" * MESSAGE_LIMIT_BYTES)).conversation.turns
    assert fault(body("é" * (MESSAGE_LIMIT_BYTES // 2 + 1))).code == "message_too_long"


def test_a_long_chat_before_a_short_message_is_accepted():
    request = parse_reply(body("x" * 900_000, "y" * 1_500_000, "And now?"))
    assert len(request.conversation.turns[1].content) == 1_500_000


@pytest.mark.parametrize("said", [("Hi", "Hello!"), ("",), (" \n\t",), ("\0",), ("Hi", "", " \0 ")])
def test_the_last_word_must_be_the_visitors(said: tuple[str, ...]):
    assert fault(body(*said)).code == "empty_message"


def test_questions_that_were_never_answered_stand_before_the_next_one():
    turns = parse_reply(body("Hi", "", "Again", "Yes?", "One", "\0", "Two")).conversation.turns
    assert [turn.content for turn in turns] == ["Hi\n\nAgain", "Yes?", "One\n\nTwo"]
    assert [turn.role for turn in turns] == [Role.USER, Role.ASSISTANT, Role.USER]


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[31mred\x07\x08",
        "שלום \u202eabc\u202c مرحبا",
        "e\u0301 a\u0308\u0327 \u0e01\u0e33",
        "👩‍👩‍👧‍👦 \U0001f3f4\U000e0067 \ufe0f \u200d",
        "a\u2028b\u2029c\r\nd\te ",
        "  leading and trailing  \n",
        "\\ud83d is how it is written",
        "{braces} %s ${x} {{y}}",
        "\ufeff\ufffe\uffff",
    ],
    ids=ascii,
)
def test_the_visitors_text_is_left_as_it_is(text: str):
    for ascii_only in (True, False):
        sent = {"model": "m", "turns": [{"role": "user", "text": text}]}
        content = json.dumps(sent, ensure_ascii=ascii_only).encode()
        assert parse_reply(content).conversation.turns[0].content == text


def test_half_a_character_becomes_a_sign_and_the_rest_stays():
    request = parse_reply(body("a \ud83d b", "\ude00", "\ud83d\ude00 é \\ud83d \ude00"))
    said = [turn.content for turn in request.conversation.turns]
    assert said == ["a \ufffd b", "\ufffd", "😀 é \\ud83d \ufffd"]


def test_halves_are_mended_wherever_text_may_stand():
    request = parse_reply(body(model="m\ud83d", settings={"system": "\ud83d", "stop": ["\ud83d"]}))
    assert request.model == "m\ufffd"
    assert request.conversation.system == "\ufffd"
    assert request.sampling.stop == ("\ufffd",)


def test_nul_is_taken_out():
    request = parse_reply(body("a\0b", settings={"system": "\0c"}))
    assert request.conversation.turns[0].content == "ab"
    assert request.conversation.system == "c"


def test_texts_to_draw_are_read_as_they_are():
    assert parse_render(json.dumps({"texts": ["a", "", "\ud83d"]}).encode()) == ["a", "", "\ufffd"]


@pytest.mark.parametrize("sent", [{}, {"texts": "a"}, {"texts": [1]}, {"texts": ["a"] * 201}])
def test_refuses_texts_of_another_shape(sent: dict[str, Any]):
    with pytest.raises(UserError) as caught:
        parse_render(json.dumps(sent).encode())
    assert caught.value.code == "invalid_request"


DOT = "data:image/png;base64,iVBORw0KGgo="


def with_files(*files: Any, text: str = "What is this?") -> bytes:
    return body(turns=[{"role": "user", "text": text, "attachments": list(files)}])


def test_files_stand_before_the_message_each_under_its_name():
    notes = {"kind": "text", "name": 'my "notes"<1>.md', "text": "# Notes\n"}
    table = {"kind": "text", "name": "a.csv", "text": "x,y"}
    (turn,) = parse_reply(with_files(notes, table)).conversation.turns
    assert turn.content == (
        '<file name="my notes 1 .md">\n# Notes\n</file>\n\n'
        '<file name="a.csv">\nx,y\n</file>\n\nWhat is this?'
    )


def test_pictures_go_beside_the_words_and_may_go_alone():
    picture = {"kind": "picture", "name": "dot.png", "url": DOT}
    for text in ("What is this?", ""):
        conversation = parse_reply(with_files(picture, text=text)).conversation
        assert [(turn.content, turn.pictures) for turn in conversation.turns] == [(text, (DOT,))]
        assert conversation.has_pictures
    assert not parse_reply(body("Hi")).conversation.has_pictures


def test_pictures_of_questions_that_were_never_answered_stay_with_them():
    picture = {"kind": "picture", "name": "dot.png", "url": DOT}
    asked = [
        {"role": "user", "text": "", "attachments": [picture]},
        {"role": "user", "text": "So?"},
    ]
    (turn,) = parse_reply(body(turns=asked)).conversation.turns
    assert (turn.content, turn.pictures) == ("So?", (DOT,))


@pytest.mark.parametrize(
    "file",
    [
        {"kind": "picture", "name": "a", "url": "https://host.example/a.png"},
        {"kind": "picture", "name": "a", "url": "file:///etc/passwd"},
        {"kind": "picture", "name": "a", "url": "data:image/svg+xml;base64,PHN2Zz4="},
        {"kind": "picture", "name": "a", "url": "data:text/html;base64,PHA+"},
        {"kind": "picture", "name": "a", "url": DOT + "\n"},
        {"kind": "picture", "name": "a", "url": DOT + " https://host.example"},
        {"kind": "text", "name": "", "text": "x"},
        {"kind": "text", "name": "a" * 201, "text": "x"},
        {"kind": "text", "name": "a", "text": "x", "url": DOT},
        {"kind": "video", "name": "a", "url": DOT},
    ],
    ids=str,
)
def test_refuses_files_of_another_shape(file: dict[str, str]):
    assert fault(with_files(file)).code == "invalid_request"


def test_refuses_more_files_than_a_message_may_have():
    file = {"kind": "text", "name": "a", "text": "x"}
    assert parse_reply(with_files(*[file] * ATTACHMENT_LIMIT)).conversation.turns
    assert fault(with_files(*[file] * (ATTACHMENT_LIMIT + 1))).code == "invalid_request"
