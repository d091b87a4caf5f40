"""Bytes in, the same bytes out; and what is put right on the way."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akash_gradio.domain.errors import EndpointMalformed, EndpointRefused, EndpointSilent
from akash_gradio.domain.events import TextDelta, Usage
from akash_gradio.gateway.passthrough.reader import PassthroughReader
from akash_gradio.gateway.passthrough.request import RawChunk, StreamItem
from tests.stubs import wire
from tests.stubs.wire import DONE, chunk, event, role_event, stream_body, text_event, usage_event

PLAIN = stream_body().removesuffix(DONE)


def reader(**more: Any) -> PassthroughReader:
    return PassthroughReader("a", None, **{"stream": True, "include_usage": False, **more})


def read(parts: Iterable[bytes], **more: Any) -> list[StreamItem]:
    """All that is heard, as an exchange would feed it."""
    reading, heard = reader(**more), []
    for part in parts:
        if reading.done:
            break
        heard += reading.feed(part)
    return [*heard, *reading.close()]


def passed(heard: Iterable[StreamItem]) -> bytes:
    return b"".join(each.data for each in heard if isinstance(each, RawChunk))


def relayed(*parts: bytes, **more: Any) -> bytes:
    return passed(read(parts, **more))


def values(data: bytes) -> list[Any]:
    """What a strict parser makes of it; str.splitlines knows more line ends than there are."""
    lines = data.decode().splitlines()
    assert lines[1::2] == [""] * (len(lines) // 2)
    assert all(line.startswith("data: {") for line in lines[::2])
    refuse: Any = {}.__getitem__
    return [json.loads(line[6:], parse_constant=refuse) for line in lines[::2]]


def said(data: bytes) -> str:
    deltas = [value["choices"][0]["delta"] for value in values(data) if value["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


def as_sent(data: bytes) -> bytes:
    """The stub sends U+2028 as itself."""
    return data.replace("\u2028".encode(), rb"\u2028")


def test_passes_on_what_came_without_touching_it():
    assert relayed(stream_body()) == as_sent(PLAIN)


@given(st.lists(st.integers(1, len(stream_body()) - 1), max_size=40), st.booleans())
def test_however_the_bytes_are_cut_the_same_go_on(cuts: list[int], tidy: bool):
    data = stream_body() if tidy else stream_body().replace(b"\n", b"\r\n")
    places = sorted({0, *cuts, len(data)})
    parts = [data[a:b] for a, b in itertools.pairwise(places)]
    assert relayed(*parts) == as_sent(PLAIN)


def test_passes_on_each_read_when_it_comes_and_all_its_events_at_once():
    reading = reader()
    assert not passed(reading.feed(role_event()))
    assert passed(reading.feed(text_event("a"))) == role_event() + text_event("a")
    assert reading.feed(text_event("b") + text_event("c")) == [
        RawChunk(text_event("b") + text_event("c"), 2)
    ]
    assert reading.feed(text_event("d")[:-1]) == []
    assert passed(reading.feed(b"\n")) == text_event("d")


def test_looks_into_plain_events_no_more_than_it_must():
    heard = read(
        [
            role_event(),
            text_event("a"),
            text_event("b") + text_event("c"),
            text_event("d"),
            stream_body([]),
            DONE,
        ]
    )
    assert [each.text for each in heard if isinstance(each, TextDelta)] == ["a"]
    assert sum(each.unparsed_events for each in heard if isinstance(each, RawChunk)) == 3


@pytest.mark.parametrize(
    "odd",
    [
        b": keep-alive\n\n" + text_event("b"),
        b"event: message\nid: 7\nretry: 10\n" + text_event("b"),
        text_event("b").replace(b"data: ", b"data:"),
        text_event("b").replace(b"\n", b"\r\n"),
        text_event("b").replace(b",", b",\ndata: "),
        b"\xef\xbb\xbf" + text_event("b"),
        event({**chunk({"content": "b"}), "score": float("nan")}),
        event({**chunk({"content": "b"}), "score": float("-inf")}),
        event({**chunk(None), "choices": [{"index": 0, "delta": None}]}) + text_event("b"),
        event({"id": "x"}) + text_event("b"),
        event({**chunk(None), "choices": [{"index": 0, "message": {"content": "b"}}]}),
    ],
    ids=[
        "comment", "fields", "no space", "crlf", "lines", "bom", "nan", "infinity", "null delta",
        "no choices", "message",
    ],
)  # fmt: skip
@pytest.mark.parametrize("first", [True, False], ids=["at first", "in the middle"])
def test_puts_right_what_a_strict_client_stumbles_over(odd: bytes, first: bool):
    if odd.startswith(b"\xef") and not first:
        odd = odd[3:]
    data = odd + text_event("a") if first else text_event("a") + odd
    out = (
        relayed(data, text_event("c"), DONE)
        if first
        else relayed(text_event("a"), odd, text_event("c"), DONE)
    )
    assert said(out) == ("bac" if first else "abc")


def test_bytes_that_are_no_text_become_a_mark():
    broken = text_event("x").replace(b"x", b"\xff")
    assert (
        said(relayed(text_event("a"), broken, broken + text_event("b"), DONE)) == "a\ufffd\ufffdb"
    )


def test_a_usage_chunk_goes_on_only_to_who_asked_for_it():
    parts = [stream_body().removesuffix(DONE), usage_event(), DONE]
    assert relayed(*parts) == as_sent(PLAIN)
    assert relayed(*parts, include_usage=True) == as_sent(PLAIN) + usage_event()
    assert Usage(13, len(wire.TOKENS)) in read(parts)


def test_usage_beside_words_stays_where_it_is():
    beside = event(chunk({"content": "b"}, usage=wire.USAGE))
    assert relayed(text_event("a"), beside, DONE) == text_event("a") + beside


def test_the_model_is_called_as_the_caller_called_it():
    own = json.dumps(chunk({"content": "b"}, model="org/own-é")).encode()
    spaced = b"data: " + own + b"\n\n"
    out = relayed(spaced, spaced + spaced, text_event("c"), DONE, rename="mine")
    assert {value["model"] for value in values(out)} == {"mine"}
    assert said(out) == "bbbc"


def test_a_model_that_is_spoken_of_keeps_its_name():
    text = 'call it "model":"own" {"model": "own"}'
    parts = [event(chunk({"content": text}, model="own"))] * 3
    out = relayed(*parts, DONE, rename="mine")
    assert said(out) == text * 3
    assert {value["model"] for value in values(out)} == {"mine"}


@pytest.mark.parametrize("broken", [b'"b"x', b'"b","n":' + b"9" * 5000, b'"b","n":' + b"[" * 10**5])
def test_broken_json_is_garbled_also_where_the_model_has_another_name(broken: bytes):
    first = event(chunk({"content": "a"}, model="own"))
    other = event(chunk({"content": "b"}, model="another")).replace(b'"b"', broken)
    with pytest.raises(EndpointMalformed) as error:
        read([first, other], rename="mine")
    assert error.value.reason == "json"


def test_a_whole_answer_becomes_a_stream():
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    body = {**wire.completion("hi", tool_calls=calls, odd=[1]), "x": {"y": 1}}
    chunks = values(relayed(wire.to_json(body), include_usage=True))
    first, last, usage = chunks
    assert first["choices"][0]["delta"] == {
        "role": "assistant", "content": "hi", "odd": [1], "tool_calls": [{"index": 0, **calls[0]}],
    }  # fmt: skip
    assert last["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    assert (usage["choices"], usage["usage"]) == ([], wire.USAGE)
    assert all(each["object"] == "chat.completion.chunk" and each["x"] for each in chunks)


def test_a_whole_answer_is_passed_on_untouched():
    body = b' {"choices":[{"message":{"content":"hi"}}], "odd" : [1.10, "\\u00e9"]}\n'
    assert relayed(body, stream=False) == body.strip()


def test_a_stream_becomes_a_whole_answer():
    def call(**more: Any) -> bytes:
        return event(chunk({"tool_calls": [{"index": 0, **more}]}))

    parts = [
        role_event(), event(chunk({"reasoning_content": "hm"})), text_event("a"), text_event("b"),
        call(id="c", type="function", function={"name": "f", "arguments": '{"a"'}),
        call(function={"arguments": ":1}"}),
        event(chunk({}, "tool_calls", x_odd=1)), usage_event(), DONE,
    ]  # fmt: skip
    whole = json.loads(relayed(*parts, stream=False))
    function = {"name": "f", "arguments": '{"a":1}'}
    assert whole["choices"] == [
        {
            "index": 0,
            "message": {
                "role": "assistant", "content": "ab", "reasoning_content": "hm",
                "tool_calls": [{"id": "c", "type": "function", "function": function}],
            },
            "finish_reason": "tool_calls",
        }
    ]  # fmt: skip
    assert (whole["object"], whole["usage"], whole["x_odd"]) == (
        "chat.completion", wire.USAGE, 1,
    )  # fmt: skip


def test_several_answers_at_once_end_when_all_have_ended():
    def of(index: int, text: str, finish: str | None = None) -> bytes:
        delta = {"content": text} if text else {}
        choice = {"index": index, "delta": delta, "finish_reason": finish}
        return event({**chunk(None), "choices": [choice]})

    parts = [of(0, "a"), of(1, "b"), of(0, "", "stop"), of(1, "c"), of(1, "", "stop")]
    reading = reader(choices=2)
    reasons = []
    for part in parts:
        reading.feed(part)
        reasons.append(reading.finish_reason)
    assert reasons == [None, None, None, None, "stop"]
    whole = json.loads(relayed(*parts, choices=2, stream=False))
    assert [c["message"]["content"] for c in whole["choices"]] == ["a", "bc"]


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        ([role_event(), event(wire.error("no")), DONE], EndpointMalformed),
        ([text_event("a"), event(wire.error("no"))], EndpointMalformed),
        (
            [text_event("a"), event({"object": "error", "message": "no", "code": 500})],
            EndpointRefused,
        ),
        ([text_event("a"), b'data: {"choices": [{"delta":\n\n'], EndpointMalformed),
        ([text_event("a"), b"<html>\n\n", text_event("b")], EndpointMalformed),
        ([text_event("a"), event({"detail": "worker died"})], EndpointMalformed),
        (
            [text_event("a"), event({**chunk({"content": ""}), **wire.error("no")})],
            EndpointMalformed,
        ),
        ([text_event("a"), text_event("b")[:-20]], EndpointMalformed),
        ([text_event("a"), b'data: {"x": "' + b"x" * (1 << 21)], EndpointMalformed),
        ([role_event(), wire.finish_event(), DONE], EndpointSilent),
        ([DONE], EndpointSilent),
    ],
)
def test_what_is_no_answer_is_an_error_here_too(parts: list[bytes], error: type[Exception]):
    with pytest.raises(error):
        read(parts)


def test_words_that_came_with_an_error_in_one_read_are_passed_on_before_it():
    reading = reader()
    assert passed(reading.feed(text_event("a") + event(wire.error("no")))) == text_event("a")
    assert reading.done
    with pytest.raises(EndpointMalformed):
        reading.close()


def test_a_line_that_grows_in_small_reads_takes_time_in_proportion():
    reading = reader()
    reading.feed(text_event("a"))
    long = text_event("x" * 400_000)
    for at in range(0, len(long), 8):
        out = reading.feed(long[at : at + 8])
    assert passed(out) == long
