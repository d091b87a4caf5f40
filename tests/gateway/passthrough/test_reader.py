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
from akash_gradio.gateway.passthrough.reader import RelayReader
from akash_gradio.gateway.passthrough.request import RawChunk, StreamItem
from tests.stubs import wire
from tests.stubs.wire import DONE, chunk, event, opening, says, story, usage_event

PLAIN = story().removesuffix(DONE)


def reader(**more: Any) -> RelayReader:
    return RelayReader("a", None, **{"stream": True, "usage": False, **more})


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
    assert relayed(story()) == as_sent(PLAIN)


@given(st.lists(st.integers(1, len(story()) - 1), max_size=40), st.booleans())
def test_however_the_bytes_are_cut_the_same_go_on(cuts: list[int], tidy: bool):
    data = story() if tidy else story().replace(b"\n", b"\r\n")
    places = sorted({0, *cuts, len(data)})
    parts = [data[a:b] for a, b in itertools.pairwise(places)]
    assert relayed(*parts) == as_sent(PLAIN)


def test_passes_on_each_read_when_it_comes_and_all_its_events_at_once():
    reading = reader()
    assert not passed(reading.feed(opening()))
    assert passed(reading.feed(says("a"))) == opening() + says("a")
    assert reading.feed(says("b") + says("c")) == [RawChunk(says("b") + says("c"), 2)]
    assert reading.feed(says("d")[:-1]) == []
    assert passed(reading.feed(b"\n")) == says("d")


def test_looks_into_plain_events_no_more_than_it_must():
    heard = read([opening(), says("a"), says("b") + says("c"), says("d"), story([]), DONE])
    assert [each.text for each in heard if isinstance(each, TextDelta)] == ["a"]
    assert sum(each.events for each in heard if isinstance(each, RawChunk)) == 3


@pytest.mark.parametrize(
    "odd",
    [
        b": keep-alive\n\n" + says("b"),
        b"event: message\nid: 7\nretry: 10\n" + says("b"),
        says("b").replace(b"data: ", b"data:"),
        says("b").replace(b"\n", b"\r\n"),
        says("b").replace(b",", b",\ndata: "),
        b"\xef\xbb\xbf" + says("b"),
        event({**chunk({"content": "b"}), "score": float("nan")}),
        event({**chunk({"content": "b"}), "score": float("-inf")}),
        event({**chunk(None), "choices": [{"index": 0, "delta": None}]}) + says("b"),
        event({"id": "x"}) + says("b"),
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
    data = odd + says("a") if first else says("a") + odd
    out = relayed(data, says("c"), DONE) if first else relayed(says("a"), odd, says("c"), DONE)
    assert said(out) == ("bac" if first else "abc")


def test_bytes_that_are_no_text_become_a_mark():
    broken = says("x").replace(b"x", b"\xff")
    assert said(relayed(says("a"), broken, broken + says("b"), DONE)) == "a\ufffd\ufffdb"


def test_a_usage_chunk_goes_on_only_to_who_asked_for_it():
    parts = [story().removesuffix(DONE), usage_event(), DONE]
    assert relayed(*parts) == as_sent(PLAIN)
    assert relayed(*parts, usage=True) == as_sent(PLAIN) + usage_event()
    assert Usage(13, len(wire.TOKENS)) in read(parts)


def test_usage_beside_words_stays_where_it_is():
    beside = event(chunk({"content": "b"}, usage=wire.USAGE))
    assert relayed(says("a"), beside, DONE) == says("a") + beside


def test_the_model_is_called_as_the_caller_called_it():
    own = json.dumps(chunk({"content": "b"}, model="org/own-é")).encode()
    spaced = b"data: " + own + b"\n\n"
    out = relayed(spaced, spaced + spaced, says("c"), DONE, rename="mine")
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
    assert error.value.what == "json"


def test_a_whole_answer_becomes_a_stream():
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    body = {**wire.completion("hi", tool_calls=calls, odd=[1]), "x": {"y": 1}}
    chunks = values(relayed(wire.pack(body), usage=True))
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
        opening(), event(chunk({"reasoning_content": "hm"})), says("a"), says("b"),
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
    reading = reader(answers=2)
    reasons = []
    for part in parts:
        reading.feed(part)
        reasons.append(reading.finish_reason)
    assert reasons == [None, None, None, None, "stop"]
    whole = json.loads(relayed(*parts, answers=2, stream=False))
    assert [c["message"]["content"] for c in whole["choices"]] == ["a", "bc"]


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        ([opening(), event(wire.error("no")), DONE], EndpointMalformed),
        ([says("a"), event(wire.error("no"))], EndpointMalformed),
        ([says("a"), event({"object": "error", "message": "no", "code": 500})], EndpointRefused),
        ([says("a"), b'data: {"choices": [{"delta":\n\n'], EndpointMalformed),
        ([says("a"), b"<html>\n\n", says("b")], EndpointMalformed),
        ([says("a"), event({"detail": "worker died"})], EndpointMalformed),
        ([says("a"), event({**chunk({"content": ""}), **wire.error("no")})], EndpointMalformed),
        ([says("a"), says("b")[:-20]], EndpointMalformed),
        ([says("a"), b'data: {"x": "' + b"x" * (1 << 21)], EndpointMalformed),
        ([opening(), wire.ending(), DONE], EndpointSilent),
        ([DONE], EndpointSilent),
    ],
)
def test_what_is_no_answer_is_an_error_here_too(parts: list[bytes], error: type[Exception]):
    with pytest.raises(error):
        read(parts)


def test_words_that_came_with_an_error_in_one_read_are_passed_on_before_it():
    reading = reader()
    assert passed(reading.feed(says("a") + event(wire.error("no")))) == says("a")
    assert reading.done
    with pytest.raises(EndpointMalformed):
        reading.close()


def test_a_line_that_grows_in_small_reads_takes_time_in_proportion():
    reading = reader()
    reading.feed(says("a"))
    long = says("x" * 400_000)
    for at in range(0, len(long), 8):
        out = reading.feed(long[at : at + 8])
    assert passed(out) == long
