from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from akash_gradio.domain.chat import Default, Role, Sampling
from akash_gradio.domain.errors import UserError
from akash_gradio.domain.size_limits import ATTACHMENTS, MESSAGE_BYTES
from akash_gradio.web.schemas import (
    parse_render,
    parse_reply,
)


def body(*texts: str, **more: Any) -> bytes:
    """Return a request with these turns, beginning with the visitor."""
    roles = ("user", "assistant")
    turns = [{"role": roles[n % 2], "text": text} for n, text in enumerate(texts or ("Hello",))]
    return json.dumps({"model": "m", "turns": turns} | more).encode()


def with_settings(**values: Any) -> bytes:
    return body(settings=values)


def error_of(content: bytes) -> UserError:
    with pytest.raises(UserError) as caught:
        parse_reply(content)
    return caught.value


def detail_of(content: bytes) -> str:
    return str(error_of(content).facts["detail"])


def test_the_chat_and_its_system_prompt_are_parsed() -> None:
    request = parse_reply(body("Hi", "Hello!", "Who?", settings={"system": "Be brief."}))
    turns = [(turn.role, turn.content) for turn in request.conversation.turns]
    assert turns == [(Role.USER, "Hi"), (Role.ASSISTANT, "Hello!"), (Role.USER, "Who?")]
    assert request.conversation.system == "Be brief."
    assert (request.model, request.stream, request.endpoint) == ("m", True, None)


def test_without_settings_the_defaults_apply() -> None:
    assert parse_reply(body()).sampling == Sampling()


@pytest.mark.parametrize(
    ("sent", "meant"),
    [(0, 0.0), (0.0, 0.0), (2, 2.0), ("catalog", Default.CATALOG), ("endpoint", Default.ENDPOINT)],
)
def test_a_parameter_has_three_states_and_zero_is_a_value(sent: Any, meant: Any) -> None:
    sampling = parse_reply(with_settings(temperature=sent)).sampling
    assert sampling.temperature == meant
    assert type(sampling.temperature) is type(meant)
    assert sampling.top_p is Default.CATALOG


def test_top_p_may_be_zero_or_the_provider_default() -> None:
    assert parse_reply(with_settings(top_p=0)).sampling.top_p == 0.0
    assert parse_reply(with_settings(top_p="endpoint")).sampling.top_p is Default.ENDPOINT


def test_the_other_settings_are_parsed_and_zero_is_a_seed() -> None:
    sent = with_settings(max_tokens=64, seed=0, stop=["END", "\n"], stream=False)
    request = parse_reply(sent)
    assert request.sampling.max_tokens == 64
    assert request.sampling.seed == 0
    assert request.sampling.stop == ("END", "\n")
    assert request.stream is False


PARAMETERS = [field.name for field in fields(Sampling) if field.name != "reasoning_effort"]


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("state", list(Default))
def test_every_parameter_may_have_either_default(name: str, state: Default) -> None:
    sampling = parse_reply(with_settings(**{name: state.value})).sampling
    assert sampling == replace(Sampling(), **{name: state})


def test_null_means_the_provider_default() -> None:
    sampling = parse_reply(with_settings(max_tokens=None, seed=None)).sampling
    assert (sampling.max_tokens, sampling.seed) == (Default.ENDPOINT,) * 2


def test_the_penalties_and_the_effort_are_parsed() -> None:
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
def test_invalid_settings_are_rejected(settings: Any) -> None:
    error = error_of(body(settings=settings))
    assert (error.code, error.status) == ("invalid_request", 400)
    assert str(error.facts["detail"]).startswith("settings")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000])
@pytest.mark.parametrize("name", ["temperature", "top_p", "seed", "max_tokens"])
def test_numbers_that_are_not_finite_are_rejected(number: str, name: str) -> None:
    sent = b'{"model":"m","turns":[{"role":"user","text":"x"}],"settings":{"%s":%s}}'
    assert error_of(sent % (name.encode(), number.encode())).code == "invalid_request"


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
def test_an_invalid_request_is_rejected(changes: dict[str, Any]) -> None:
    error = error_of(body(**changes))
    assert (error.code, error.status) == ("invalid_request", 400)
    assert next(iter(changes)) in str(error.facts["detail"])


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
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'["\\ud83d",' + b"[" * 200_000,
        b'{"turns":"\\ud83d' + b'","a":' + b"9" * 5000 + b"}",
    ],
    ids=lambda content: str(content[:12]),
)
def test_invalid_and_deeply_nested_json_is_rejected(content: bytes) -> None:
    error = error_of(content)
    assert (error.code, error.status) == ("invalid_request", 400)
    assert 0 < len(str(error.facts["detail"])) < 300


def test_the_error_names_the_field_briefly() -> None:
    assert detail_of(with_settings(temperature=3)).startswith("settings.temperature: ")
    assert len(detail_of(body(**{"x" * 10_000: 1}))) < 300


def test_the_error_does_not_contain_what_was_sent() -> None:
    sent = body(settings={"system": ["the secret"], "seed": "the secret"})
    assert "the secret" not in detail_of(sent)


def test_the_error_of_a_long_message_contains_its_size() -> None:
    error = error_of(body("x" * 2_000_000))
    assert (error.code, error.status) == ("message_too_long", 413)
    assert error.facts == {"size": "2.0", "limit": "1.0"}


def test_the_size_of_a_message_is_its_bytes() -> None:
    assert parse_reply(body("x" * MESSAGE_BYTES)).conversation.turns
    assert error_of(body("é" * (MESSAGE_BYTES // 2 + 1))).code == "message_too_long"


def test_a_long_chat_before_a_short_message_is_accepted() -> None:
    request = parse_reply(body("x" * 900_000, "y" * 1_500_000, "And now?"))
    assert len(request.conversation.turns[1].content) == 1_500_000


@pytest.mark.parametrize(
    "texts", [("Hi", "Hello!"), ("",), (" \n\t",), ("\0",), ("Hi", "", " \0 ")]
)
def test_the_last_turn_must_be_a_prompt(texts: tuple[str, ...]) -> None:
    assert error_of(body(*texts)).code == "empty_message"


def test_unanswered_prompts_are_merged_with_the_next_one() -> None:
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
def test_the_visitors_text_is_not_changed(text: str) -> None:
    for ascii_only in (True, False):
        sent = {"model": "m", "turns": [{"role": "user", "text": text}]}
        content = json.dumps(sent, ensure_ascii=ascii_only).encode()
        assert parse_reply(content).conversation.turns[0].content == text


def test_a_lone_surrogate_is_replaced_and_the_rest_stays() -> None:
    request = parse_reply(body("a \ud83d b", "\ude00", "\ud83d\ude00 é \\ud83d \ude00"))
    contents = [turn.content for turn in request.conversation.turns]
    assert contents == ["a \ufffd b", "\ufffd", "😀 é \\ud83d \ufffd"]


def test_lone_surrogates_are_replaced_in_every_field() -> None:
    request = parse_reply(body(model="m\ud83d", settings={"system": "\ud83d", "stop": ["\ud83d"]}))
    assert request.model == "m\ufffd"
    assert request.conversation.system == "\ufffd"
    assert request.sampling.stop == ("\ufffd",)


def test_nul_is_removed() -> None:
    request = parse_reply(body("a\0b", settings={"system": "\0c"}))
    assert request.conversation.turns[0].content == "ab"
    assert request.conversation.system == "c"


def test_texts_to_render_are_parsed_unchanged() -> None:
    assert parse_render(json.dumps({"texts": ["a", "", "\ud83d"]}).encode()) == ["a", "", "\ufffd"]


@pytest.mark.parametrize("sent", [{}, {"texts": "a"}, {"texts": [1]}, {"texts": ["a"] * 201}])
def test_invalid_texts_are_rejected(sent: dict[str, Any]) -> None:
    with pytest.raises(UserError) as caught:
        parse_render(json.dumps(sent).encode())
    assert caught.value.code == "invalid_request"


DOT = "data:image/png;base64,iVBORw0KGgo="


def with_files(*files: Any, text: str = "What is this?") -> bytes:
    return body(turns=[{"role": "user", "text": text, "attachments": list(files)}])


def test_files_precede_the_message_with_their_names() -> None:
    notes = {"kind": "text", "name": 'my "notes"<1>.md', "text": "# Notes\n"}
    table = {"kind": "text", "name": "a.csv", "text": "x,y"}
    (turn,) = parse_reply(with_files(notes, table)).conversation.turns
    assert turn.content == (
        '<file name="my notes 1 .md">\n# Notes\n</file>\n\n'
        '<file name="a.csv">\nx,y\n</file>\n\nWhat is this?'
    )


def test_pictures_may_come_with_or_without_text() -> None:
    picture = {"kind": "picture", "name": "dot.png", "url": DOT}
    for text in ("What is this?", ""):
        conversation = parse_reply(with_files(picture, text=text)).conversation
        assert [(turn.content, turn.pictures) for turn in conversation.turns] == [(text, (DOT,))]
        assert conversation.has_pictures
    assert not parse_reply(body("Hi")).conversation.has_pictures


def test_pictures_of_unanswered_prompts_are_kept() -> None:
    picture = {"kind": "picture", "name": "dot.png", "url": DOT}
    turns = [
        {"role": "user", "text": "", "attachments": [picture]},
        {"role": "user", "text": "So?"},
    ]
    (turn,) = parse_reply(body(turns=turns)).conversation.turns
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
def test_invalid_files_are_rejected(file: dict[str, str]) -> None:
    assert error_of(with_files(file)).code == "invalid_request"


def test_too_many_files_are_rejected() -> None:
    file = {"kind": "text", "name": "a", "text": "x"}
    assert parse_reply(with_files(*[file] * ATTACHMENTS)).conversation.turns
    assert error_of(with_files(*[file] * (ATTACHMENTS + 1))).code == "invalid_request"


@pytest.mark.parametrize(
    "junk", [b"[" + b"1," * 300_000 + b"1]", b'["",' * 300_000, b"[" * 300_000]
)
def test_json_of_very_many_values_is_refused_before_it_is_parsed(junk: bytes) -> None:
    error = error_of(b'{"junk":' + junk)
    assert (error.code, error.status) == ("too_many_values", 413)


def test_commas_and_quotes_in_a_text_are_no_values() -> None:
    text = '"a", [b] {c}: ' * 60_000
    assert parse_reply(body(text)).conversation.turns[0].content == text


def test_the_texts_of_a_chat_have_a_limit_together() -> None:
    assert parse_reply(body("x" * 1_500_000, "y" * 1_500_000, "z")).conversation.turns
    error = error_of(body("x" * 2_500_000, "y" * 1_500_000, "z"))
    assert (error.code, error.status) == ("chat_too_long", 413)
    assert error_of(with_settings(system="x" * 4_100_000)).code == "chat_too_long"
