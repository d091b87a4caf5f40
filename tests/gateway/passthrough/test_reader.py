"""Bytes in, the same bytes out, except where strict clients need something else."""

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


def make_reader(**options: Any) -> PassthroughReader:
    return PassthroughReader("a", None, **{"stream": True, "include_usage": False, **options})


def read(parts: Iterable[bytes], **options: Any) -> list[StreamItem]:
    """Return all items of a reader that is fed like by an upstream call."""
    reader = make_reader(**options)
    items: list[StreamItem] = []
    for part in parts:
        if reader.done:
            break
        items += reader.feed(part)
    return [*items, *reader.close()]


def raw_bytes(items: Iterable[StreamItem]) -> bytes:
    return b"".join(item.data for item in items if isinstance(item, RawChunk))


def forward(*parts: bytes, **options: Any) -> bytes:
    return raw_bytes(read(parts, **options))


def values(data: bytes) -> list[Any]:
    """Parse events strictly; str.splitlines knows more line ends than SSE has."""
    lines = data.decode().splitlines()
    assert lines[1::2] == [""] * (len(lines) // 2)
    assert all(line.startswith("data: {") for line in lines[::2])
    reject: Any = {}.__getitem__
    return [json.loads(line[6:], parse_constant=reject) for line in lines[::2]]


def text_in(data: bytes) -> str:
    deltas = [value["choices"][0]["delta"] for value in values(data) if value["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


def escaped(data: bytes) -> bytes:
    """Escape U+2028, which the stub sends unescaped."""
    return data.replace("\u2028".encode(), rb"\u2028")


def test_a_stream_is_forwarded_unchanged() -> None:
    assert forward(stream_body()) == escaped(PLAIN)


@given(st.lists(st.integers(1, len(stream_body()) - 1), max_size=40), st.booleans())
def test_the_output_does_not_depend_on_how_the_bytes_are_cut(
    cuts: list[int], lf_only: bool
) -> None:
    data = stream_body() if lf_only else stream_body().replace(b"\n", b"\r\n")
    places = sorted({0, *cuts, len(data)})
    parts = [data[a:b] for a, b in itertools.pairwise(places)]
    assert forward(*parts) == escaped(PLAIN)


def test_each_read_is_forwarded_at_once_with_all_its_events() -> None:
    reader = make_reader()
    assert not raw_bytes(reader.feed(role_event()))
    assert raw_bytes(reader.feed(text_event("a"))) == role_event() + text_event("a")
    assert reader.feed(text_event("b") + text_event("c")) == [
        RawChunk(text_event("b") + text_event("c"), text_bytes=2)
    ]
    assert reader.feed(text_event("d")[:-1]) == []
    assert raw_bytes(reader.feed(b"\n")) == text_event("d")


def test_plain_events_are_not_parsed_after_the_first_token() -> None:
    items = read(
        [
            role_event(),
            text_event("a"),
            text_event("b") + text_event("c"),
            text_event("d"),
            stream_body([]),
            DONE,
        ]
    )
    assert [item.text for item in items if isinstance(item, TextDelta)] == ["a"]
    assert sum(item.text_bytes for item in items if isinstance(item, RawChunk)) == 3


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
def test_events_that_strict_clients_reject_are_rewritten(odd: bytes, first: bool) -> None:
    if odd.startswith(b"\xef") and not first:
        odd = odd[3:]
    data = odd + text_event("a") if first else text_event("a") + odd
    out = (
        forward(data, text_event("c"), DONE)
        if first
        else forward(text_event("a"), odd, text_event("c"), DONE)
    )
    assert text_in(out) == ("bac" if first else "abc")


def test_invalid_utf8_becomes_a_replacement_character() -> None:
    broken = text_event("x").replace(b"x", b"\xff")
    assert (
        text_in(forward(text_event("a"), broken, broken + text_event("b"), DONE))
        == "a\ufffd\ufffdb"
    )


def test_a_usage_chunk_is_forwarded_only_if_requested() -> None:
    parts = [stream_body().removesuffix(DONE), usage_event(), DONE]
    assert forward(*parts) == escaped(PLAIN)
    assert forward(*parts, include_usage=True) == escaped(PLAIN) + usage_event()
    assert Usage(13, len(wire.TOKENS)) in read(parts)


def test_usage_beside_text_stays_there() -> None:
    beside = event(chunk({"content": "b"}, usage=wire.USAGE))
    assert forward(text_event("a"), beside, DONE) == text_event("a") + beside


def test_the_model_has_the_name_that_the_client_requested() -> None:
    own = json.dumps(chunk({"content": "b"}, model="org/own-é")).encode()
    spaced = b"data: " + own + b"\n\n"
    out = forward(spaced, spaced + spaced, text_event("c"), DONE, rename="mine")
    assert {value["model"] for value in values(out)} == {"mine"}
    assert text_in(out) == "bbbc"


def test_a_model_name_in_the_text_is_not_replaced() -> None:
    text = 'call it "model":"own" {"model": "own"}'
    parts = [event(chunk({"content": text}, model="own"))] * 3
    out = forward(*parts, DONE, rename="mine")
    assert text_in(out) == text * 3
    assert {value["model"] for value in values(out)} == {"mine"}


@pytest.mark.parametrize("broken", [b'"b"x', b'"b","n":' + b"9" * 5000, b'"b","n":' + b"[" * 10**5])
def test_broken_json_is_malformed_also_in_a_renamed_stream(broken: bytes) -> None:
    first = event(chunk({"content": "a"}, model="own"))
    other = event(chunk({"content": "b"}, model="another")).replace(b'"b"', broken)
    with pytest.raises(EndpointMalformed) as error:
        read([first, other], rename="mine")
    assert error.value.reason == "json"


def test_a_whole_response_becomes_a_stream() -> None:
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    body = {**wire.completion("hi", tool_calls=calls, odd=[1]), "x": {"y": 1}}
    chunks = values(forward(wire.to_json(body), include_usage=True))
    first, last, usage = chunks
    assert first["choices"][0]["delta"] == {
        "role": "assistant", "content": "hi", "odd": [1], "tool_calls": [{"index": 0, **calls[0]}],
    }  # fmt: skip
    assert last["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    assert (usage["choices"], usage["usage"]) == ([], wire.USAGE)
    assert all(value["object"] == "chat.completion.chunk" and value["x"] for value in chunks)


def test_a_whole_response_is_forwarded_unchanged() -> None:
    body = b' {"choices":[{"message":{"content":"hi"}}], "odd" : [1.10, "\\u00e9"]}\n'
    assert forward(body, stream=False) == body.strip()


def test_a_stream_becomes_a_whole_response() -> None:
    def call(**options: Any) -> bytes:
        return event(chunk({"tool_calls": [{"index": 0, **options}]}))

    parts = [
        role_event(), event(chunk({"reasoning_content": "hm"})), text_event("a"), text_event("b"),
        call(id="c", type="function", function={"name": "f", "arguments": '{"a"'}),
        call(function={"arguments": ":1}"}),
        event(chunk({}, "tool_calls", x_odd=1)), usage_event(), DONE,
    ]  # fmt: skip
    whole = json.loads(forward(*parts, stream=False))
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


def test_several_choices_end_when_all_have_a_finish_reason() -> None:
    def of(index: int, text: str, finish: str | None = None) -> bytes:
        delta = {"content": text} if text else {}
        choice = {"index": index, "delta": delta, "finish_reason": finish}
        return event({**chunk(None), "choices": [choice]})

    parts = [of(0, "a"), of(1, "b"), of(0, "", "stop"), of(1, "c"), of(1, "", "stop")]
    reader = make_reader(choices=2)
    reasons = []
    for part in parts:
        reader.feed(part)
        reasons.append(reader.finish_reason)
    assert reasons == [None, None, None, None, "stop"]
    whole = json.loads(forward(*parts, choices=2, stream=False))
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
        ([DONE], EndpointSilent),
    ],
)
def test_an_invalid_response_is_an_error_here_too(
    parts: list[bytes], error: type[Exception]
) -> None:
    with pytest.raises(error):
        read(parts)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("other", "text"),
    [
        (None, None), ("text", None), ({"index": 1, "delta": "text"}, "text"),
        ({"index": 1, "message": ["te", "xt"]}, "text"),
        ({"index": 1, "delta": {"content": 6}}, "6"),
        ({"index": 1, "delta": {"tool_calls": "f"}}, ""),
        ({"index": 1, "delta": {"tool_calls": [1]}}, ""),
    ],
)  # fmt: skip
def test_a_choice_of_another_shape_behind_a_valid_one_is_read(
    other: object, text: str | None, stream: bool
) -> None:
    valid = {"index": 0, "delta": {"content": "a"}, "finish_reason": None}
    out = forward(event({**chunk(None), "choices": [valid, other]}), DONE, stream=stream)
    (value,) = values(out) if stream else (json.loads(out),)
    first, *others = value["choices"]
    assert (first["delta"] if stream else first["message"])["content"] == "a"
    parts = [choice["delta"] if stream else choice["message"] for choice in others]
    assert [part.get("content") or "" for part in parts] == ([] if text is None else [text])


def test_a_whole_response_with_null_for_its_choices_is_an_empty_answer() -> None:
    with pytest.raises(EndpointSilent):
        read([b'{"choices": null}'])


def test_text_before_an_error_in_the_same_read_is_forwarded() -> None:
    reader = make_reader()
    assert raw_bytes(reader.feed(text_event("a") + event(wire.error("no")))) == text_event("a")
    assert reader.done
    with pytest.raises(EndpointMalformed):
        reader.close()


@pytest.mark.parametrize("name", ["obfuscation", "p"])
def test_padding_of_any_length_needs_no_parser(name: str) -> None:
    parts = [
        event(chunk({"content": f"{number}"}, **{name: "aB-9"[: number % 5]}))
        for number in range(9)
    ]
    items = read([*parts, DONE])
    assert raw_bytes(items) == b"".join(parts)
    assert len([item for item in items if isinstance(item, TextDelta)]) == 1
    renamed = forward(*parts, DONE, rename="mine")
    assert renamed == b"".join(parts).replace(b'"model":"m"', b'"model":"mine"')


@pytest.mark.parametrize(
    "odd",
    [
        b'"b"},"x":{"p":"', b'"b","p":"', b'"b\\",', b'"b\\"},"finish_reason":null}],"p":"',
        b'"b"},"finish_reason":"stop"}],"p":"',
    ],
)  # fmt: skip
def test_padding_hides_nothing(odd: bytes) -> None:
    first = event(chunk({"content": "a"})).replace(b"}\n\n", b',"p":"x"}\n\n')
    second = first.replace(b'"a"', odd)
    one, other = make_reader(), make_reader()
    outcomes = []
    for reader, reads in ((one, [first, second]), (other, [first + second])):
        try:
            outcomes.append(raw_bytes([item for data in reads for item in reader.feed(data)]))
        except EndpointMalformed:
            outcomes.append(first)
    assert outcomes[0] == outcomes[1]
    assert one.finish_reason == other.finish_reason


def test_an_event_of_two_values_has_no_frame() -> None:
    two = text_event("a").replace(b"\n\n", b"") + text_event("a")
    assert text_in(forward(text_event("x"), two, two, DONE)) == "xaaaa"


def test_a_long_line_in_small_reads_takes_linear_time() -> None:
    reader = make_reader()
    reader.feed(text_event("a"))
    long = text_event("x" * 400_000)
    for at in range(0, len(long), 8):
        out = reader.feed(long[at : at + 8])
    assert raw_bytes(out) == long
