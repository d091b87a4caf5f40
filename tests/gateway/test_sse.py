from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akash_gradio.gateway.sse import ErrorData, EventTooLarge, SSEDecoder


def decode(*reads: bytes, decoder: SSEDecoder | None = None) -> list[bytes]:
    decoder = decoder or SSEDecoder()
    payloads = [payload for read in reads for payload in decoder.feed(read)]
    return payloads + decoder.close()


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_accepts_every_line_ending(end: bytes) -> None:
    assert decode(b"data: one" + end * 2 + b"data: two" + end * 2) == [b"one", b"two"]


def test_returns_an_event_as_soon_as_its_blank_line_came() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"data: one\r\n\r") == [b"one"]
    assert decoder.feed(b"\ndata: two\n") == []
    assert decoder.feed(b"\n") == [b"two"]


def test_a_crlf_split_over_reads_is_one_line_end() -> None:
    assert decode(b"data: a\r", b"\ndata: b\r", b"", b"\n\r", b"\n") == [b"a\nb"]


def test_joins_the_data_lines_of_an_event() -> None:
    assert decode(b'data: {"a":\ndata:1}\n\n') == [b'{"a":\n1}']


def test_removes_one_space_and_no_more() -> None:
    assert decode(b"data:x\n\ndata: x\n\ndata:  x\n\n") == [b"x", b"x", b" x"]


def test_a_field_without_a_colon_has_an_empty_value() -> None:
    assert decode(b"data\n\n") == [b""]


def test_ignores_comments_and_other_fields() -> None:
    body = b": keep-alive\n\nevent: message\nid: 7\nretry: 10\nnonsense\ndata: x\n\n"
    assert decode(body) == [b"x"]


def test_drops_a_byte_order_mark_only_at_the_start() -> None:
    bom = b"\xef\xbb\xbf"
    assert decode(bom + b"data: x\n\n" + bom + b"data: y\n\n") == [b"x"]


def test_a_line_separator_inside_json_does_not_end_a_line() -> None:
    text = "\u2028\u2029\x85\x0b\x0c".encode()
    assert decode(b"data: " + text + b"\n\n") == [text]


def test_the_end_of_the_body_ends_the_last_event() -> None:
    assert decode(b"data: x") == [b"x"]
    assert decode(b"data: x\n") == [b"x"]


def test_marks_the_data_of_an_error_event_only() -> None:
    first, second = decode(b"event: error\ndata: x\n\ndata: y\n\n")
    assert isinstance(first, ErrorData)
    assert not isinstance(second, ErrorData)


def test_an_error_event_without_data_is_not_lost() -> None:
    (only,) = decode(b"event: error\n\n")
    assert isinstance(only, ErrorData)


def test_a_field_called_error_is_an_error() -> None:
    (only,) = decode(b'error: {"code":500}\n\n')
    assert isinstance(only, ErrorData)
    assert only == b'{"code":500}'


def test_a_bare_line_of_json_is_data() -> None:
    assert decode(b'{"error":"out of memory"}\n\n') == [b'{"error":"out of memory"}']


def test_reports_whether_anything_was_recognized() -> None:
    decoder = SSEDecoder()
    decoder.feed(b"upstream connect error\n")
    assert not decoder.recognized
    decoder.feed(b": ping\n")
    assert decoder.recognized


@pytest.mark.parametrize("reads", [[b"data: " + b"x" * 20], [b"data: ", b"x" * 20, b"\n"]])
def test_a_line_above_the_limit_is_an_error(reads: list[bytes]) -> None:
    with pytest.raises(EventTooLarge):
        decode(*reads, decoder=SSEDecoder(max_event_bytes=16))


def test_a_line_at_the_limit_is_accepted() -> None:
    assert decode(b"data: " + b"x" * 10 + b"\n\n", decoder=SSEDecoder(max_event_bytes=16)) == [
        b"x" * 10
    ]


@pytest.mark.parametrize("line", [b"data: xxxx\n", b"data:\n", b"data\n"])
def test_an_event_of_too_many_lines_is_an_error(line: bytes) -> None:
    with pytest.raises(EventTooLarge):
        decode(line * 100, decoder=SSEDecoder(max_event_bytes=64))


def test_the_error_holds_the_events_before_it() -> None:
    with pytest.raises(EventTooLarge) as caught:
        SSEDecoder(max_event_bytes=16).feed(b"data: x\n\ndata: " + b"y" * 20)
    assert caught.value.payloads == [b"x"]


PIECES = st.sampled_from(
    [
        b"data: ",
        b"data:",
        b"data",
        b"event: error",
        b":",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"{",
        b"error: ",
        b"id: 1",
        "é\u2028😀".encode(),
        b"\xef\xbb\xbf",
        b"\xff",
        b"[DONE]",
    ]
)


@given(st.lists(PIECES).map(b"".join), st.lists(st.integers(0, 500)))
def test_the_events_do_not_depend_on_the_reads(body: bytes, places: list[int]) -> None:
    def marked(reads: list[bytes]) -> list[tuple[bytes, type]]:
        return [(bytes(payload), type(payload)) for payload in decode(*reads)]

    assert marked(cut(body, places)) == marked([body])


@given(st.binary(), st.lists(st.integers(0, 500)))
def test_any_bytes_are_decoded_without_an_error(body: bytes, places: list[int]) -> None:
    decode(*cut(body, places))


def test_the_incomplete_line_is_not_copied_for_each_read() -> None:
    decoder = SSEDecoder()
    decoder.feed(b"data: ")
    held = decoder._rest
    for _ in range(1000):
        decoder.feed(b"x")
    assert decoder._rest is held
    assert decoder.feed(b"\n\n") == [b"x" * 1000]
