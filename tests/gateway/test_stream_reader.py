from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from akash_gradio.domain.errors import (
    AkashGradioError,
    ContextExceeded,
    EndpointMalformed,
    EndpointRefused,
    EndpointSilent,
    RequestRefused,
)
from akash_gradio.domain.events import (
    Event,
    MediaDelta,
    NotReasoning,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from akash_gradio.gateway.stream_reader import ReplyReader

DONE = b"data: [DONE]\n\n"


def event(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def delta(content: object = None, finish: str | None = None, **fields: object) -> bytes:
    inner = {"content": content, **fields} if content is not None else fields
    return event({"choices": [{"index": 0, "delta": inner, "finish_reason": finish}]})


def answer(content: object, **fields: object) -> bytes:
    message = {"role": "assistant", "content": content, **fields}
    return json.dumps(
        {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    ).encode()


def read(*reads: bytes, reader: ReplyReader | None = None) -> list[Event]:
    reader = reader or ReplyReader("a", "text/event-stream")
    events = [event for data in reads for event in reader.feed(data)]
    return events + reader.close()


def outcome(reads: list[bytes], **options: bool) -> tuple[str, str, list[Event], str]:
    """Text, reasoning, the other events, and how it ended, to compare two ways of reading."""
    reader, ended = ReplyReader("a", None, **options), "complete"
    events: list[Event] = []
    try:
        for data in reads:
            events += reader.feed(data)
        events += reader.close()
    except AkashGradioError as error:
        ended = f"{error!r} {getattr(error, 'detail', '')}"
    others: list[Event] = [e for e in events if not isinstance(e, TextDelta | ReasoningDelta)]
    return text_of(events), reasoning_of(events), others, ended


def text_of(events: list[Event]) -> str:
    return "".join(e.text for e in events if isinstance(e, TextDelta))


def reasoning_of(events: list[Event]) -> str:
    return "".join(e.text for e in events if isinstance(e, ReasoningDelta))


def malformed(*reads: bytes) -> EndpointMalformed:
    with pytest.raises(EndpointMalformed) as caught:
        read(*reads)
    assert caught.value.alias == "a"
    return caught.value


# Streams


def test_reads_a_stream_of_openai() -> None:
    head = {
        "id": "chatcmpl-1",
        "model": "m",
        "system_fingerprint": "fp",
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}],
    }
    usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
    reader = ReplyReader("a", "text/event-stream")
    reads = [event(head), delta("Hel"), delta("lo", "stop"), event(usage), DONE]
    assert read(*reads, reader=reader) == [TextDelta("Hel"), TextDelta("lo"), Usage(3, 2)]
    assert (reader.upstream_id, reader.model, reader.fingerprint) == ("chatcmpl-1", "m", "fp")
    assert reader.finish_reason == "stop"


def test_returns_each_text_as_soon_as_it_came() -> None:
    reader = ReplyReader("a", None)
    assert reader.feed(delta("He")) == [TextDelta("He")]
    assert reader.feed(delta("y")) == [TextDelta("y")]


def test_is_done_at_the_end_marker_and_not_at_the_finish_reason() -> None:
    reader = ReplyReader("a", None)
    reader.feed(delta("x", "stop"))
    assert not reader.done
    assert reader.feed(DONE + delta("after the end")) == []
    assert reader.done
    assert reader.feed(delta("after the end")) == []
    assert reader.close() == []


def test_a_finish_reason_is_an_end_without_the_end_marker() -> None:
    assert read(delta("x", "stop")) == [TextDelta("x")]


def test_the_end_marker_is_an_end_without_a_finish_reason() -> None:
    assert read(delta("x") + DONE.strip()) == [TextDelta("x")]


def test_a_last_event_without_a_blank_line_counts() -> None:
    assert read(delta("x"), delta("y", "stop").rstrip()) == [TextDelta("x"), TextDelta("y")]


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"choices": None},
        {"choices": []},
        {"choices": [{}]},
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": {}, "finish_reason": None}]},
        {"choices": [{"delta": {"content": None, "tool_calls": None, "refusal": None}}]},
        {"choices": [], "prompt_filter_results": [{}]},
        {"type": "ping"},
        {"error": None, "choices": [{"delta": {}}]},
        {"choices": [{"delta": {}}], "usage": None},
        {"choices": [{"delta": {}}], "usage": {"total_tokens": 3}},
    ],
)
def test_chunks_without_output_are_ignored(value: object) -> None:
    assert read(event(value), delta("x", "stop"), event(value)) == [TextDelta("x")]


def test_blank_events_and_comments_are_ignored() -> None:
    assert read(b"\n: ping\n\ndata:\n\n", delta("x", "stop")) == [TextDelta("x")]


def test_only_the_first_choice_is_read() -> None:
    second = {"choices": [{"index": 1, "delta": {"content": "B"}, "finish_reason": "stop"}]}
    both = {"choices": [second["choices"][0], {"index": 0, "delta": {"content": "A"}}]}
    reader = ReplyReader("a", None)
    assert reader.feed(event(second) + event(both)) == [TextDelta("A")]
    assert reader.finish_reason is None


def test_content_may_be_a_list_of_parts() -> None:
    parts = [{"type": "text", "text": "He"}, {"type": "image"}, "y"]
    assert read(delta(parts, "stop")) == [TextDelta("Hey"), MediaDelta("image")]


def test_a_refusal_is_text() -> None:
    assert read(delta(refusal="I can't.", finish="stop")) == [TextDelta("I can't.")]


def test_an_older_completion_chunk_is_text() -> None:
    assert read(event({"choices": [{"text": "x", "finish_reason": "stop"}]})) == [TextDelta("x")]


def test_tool_calls_are_returned_piece_by_piece() -> None:
    first = {"index": 1, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}
    more = {"index": 1, "function": {"arguments": '{"a"'}}
    whole = {"function": {"name": "g", "arguments": {"b": 1}}}
    assert read(
        delta(tool_calls=[first]),
        delta(tool_calls=[more]),
        delta("", "tool_calls", tool_calls=[whole]),
    ) == [
        ToolCallDelta(1, "c1", "f"),
        ToolCallDelta(1, arguments='{"a"'),
        ToolCallDelta(0, name="g", arguments='{"b": 1}'),
    ]


# Usage


def test_repeated_usage_is_returned_when_it_changed() -> None:
    def chunk(tokens: object) -> bytes:
        choice = {"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}
        return event({"choices": [choice], "usage": {"completion_tokens": tokens}})

    events = read(chunk(1), chunk(1), chunk(2.0))
    assert [e for e in events if isinstance(e, Usage)] == [Usage(None, 1), Usage(None, 2)]


def test_reasoning_tokens_are_reported() -> None:
    usage = {"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 7}}
    assert read(delta("x", "stop"), event({"choices": [], "usage": usage}))[1:] == [
        Usage(None, 9, 7)
    ]


def test_usage_inside_the_choice_is_read() -> None:
    choice = {"index": 0, "delta": {}, "finish_reason": "stop", "usage": {"prompt_tokens": 4}}
    assert read(delta("x"), event({"choices": [choice]}))[1:] == [Usage(4)]


@pytest.mark.parametrize("count", ["NaN", "Infinity", "-1", "true", '"5"', "1e99", "9" * 4000])
def test_invalid_counts_are_ignored(count: str) -> None:
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":' + count.encode() + b"}}\n\n"
    assert read(delta("x", "stop"), usage) == [TextDelta("x")]


# Reasoning


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_in_its_own_field(field: str) -> None:
    events = read(delta(**{field: "Hm."}), delta("\n\nYes.", "stop"))
    assert events == [ReasoningDelta("Hm."), TextDelta("Yes.")]


def test_reasoning_under_both_names_is_returned_once() -> None:
    events = read(delta("x", "stop", reasoning="Hm.", reasoning_content="Hm."))
    assert events == [ReasoningDelta("Hm."), TextDelta("x")]


def test_reasoning_as_a_part_of_the_content() -> None:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
    events = read(delta([thought, {"type": "text", "text": "Yes."}], "stop"))
    assert events == [ReasoningDelta("Hm."), TextDelta("Yes.")]


def test_reasoning_between_tags_split_over_chunks() -> None:
    events = read(*(delta(c) for c in "<think>\nHm.\n</think>\n\nYes. </think>"), DONE)
    assert (reasoning_of(events), text_of(events)) == ("Hm.\n", "Yes. </think>")


def test_an_end_tag_alone_is_dropped_in_a_stream() -> None:
    events = read(delta("Hm.</thi"), delta("nk>\n\nYes."), DONE)
    assert (reasoning_of(events), text_of(events)) == ("", "Hm.\n\nYes.")


def test_an_endpoint_known_to_start_in_reasoning() -> None:
    reader = ReplyReader("a", None, starts_in_reasoning=True)
    events = read(delta("Hm.</thi"), delta("nk>\n\nYes."), DONE, reader=reader)
    assert (reasoning_of(events), text_of(events)) == ("Hm.", "Yes.")


def test_text_without_the_expected_end_tag_was_the_answer() -> None:
    reader = ReplyReader("a", None, starts_in_reasoning=True)
    events = read(delta("Yes. <"), delta("", "stop"), DONE, reader=reader)
    assert (reasoning_of(events), events[-1]) == ("Yes. <", NotReasoning())


def test_reasoning_that_ends_at_the_token_limit_stays_reasoning() -> None:
    reader = ReplyReader("a", None, starts_in_reasoning=True)
    events = read(delta("Hm, so"), delta("", "length"), DONE, reader=reader)
    assert events == [ReasoningDelta("Hm, so")]


def test_an_end_tag_alone_in_a_complete_answer_ends_the_reasoning() -> None:
    assert read(answer("Hm.</think>\n\nYes.")) == [ReasoningDelta("Hm."), TextDelta("Yes.")]


def test_an_incomplete_tag_is_returned_at_the_end() -> None:
    assert text_of(read(delta("1 <"), DONE)) == "1 <"
    assert text_of(read(delta("<th"), DONE)) == "<th"


# Characters


def test_halves_of_a_character_are_joined() -> None:
    chunk = b'data: {"choices":[{"delta":{"content":"%s"}}]}\n\n'
    events = read(chunk % b"a\\ud83d", chunk % b"\\ude00b", DONE)
    assert text_of(events) == "a😀b"


@pytest.mark.parametrize("escape", [b"\\ud83d", b"\\ude00", b"\\ud83d\\ud83d\\ude00"])
def test_a_lone_half_is_replaced(escape: bytes) -> None:
    chunk = b'data: {"choices":[{"delta":{"content":"a%s"}}]}\n\n' % escape
    text = text_of(read(chunk, DONE))
    assert text.startswith("a\ufffd")
    text.encode()


def test_halves_of_different_channels_are_not_joined() -> None:
    chunk = b'data: {"choices":[{"delta":{"%s":"%s"}}]}\n\n'
    events = read(chunk % (b"reasoning", b"\\ud83d"), chunk % (b"content", b"\\ude00"), DONE)
    assert (reasoning_of(events), text_of(events)) == ("\ufffd", "\ufffd")


def test_a_tool_calls_half_character_is_replaced() -> None:
    call = b'{"function":{"name":"f","arguments":"\\ud83d"}}'
    events = read(b'data: {"choices":[{"delta":{"tool_calls":[%s]}}]}\n\n' % call, DONE)
    assert events == [ToolCallDelta(0, name="f"), ToolCallDelta(0, arguments="\ufffd")]


def test_names_are_repaired_and_truncated() -> None:
    reader = ReplyReader("a", None)
    reader.feed(b'data: {"id":"\\ud83d","model":"%s","choices":[]}\n\n' % (b"m" * 5000))
    assert reader.upstream_id == "\ufffd"
    assert len(reader.model) == 200


def test_invalid_utf_8_is_replaced() -> None:
    body = b'data: {"choices":[{"delta":{"content":"a\xff"}}]}\n\n'
    assert read(body, DONE) == [TextDelta("a\ufffd")]


# The body decides, not the headers


@pytest.mark.parametrize("content_type", [None, "text/event-stream", "text/html", "text/plain"])
def test_a_complete_answer_is_read_with_any_content_type(content_type: str | None) -> None:
    body = json.dumps(json.loads(answer("Hey")), indent=2).encode()
    reader = ReplyReader("a", content_type)
    assert read(body[:9], body[9:], reader=reader) == [TextDelta("Hey")]
    assert reader.finish_reason == "stop"


def test_a_stream_is_read_with_the_wrong_content_type() -> None:
    reader = ReplyReader("a", "application/json")
    assert read(delta("x"), DONE, reader=reader) == [TextDelta("x")]


def test_keep_alive_lines_may_precede_the_body() -> None:
    assert read(b"\n\n", b"\xef\xbb", b"\xbf\n ", answer("x")) == [TextDelta("x")]


def test_a_complete_answer_inside_an_event_is_read() -> None:
    assert read(b"data: " + answer("x") + b"\n\n") == [TextDelta("x")]


def test_a_complete_answer_with_reasoning_and_tools() -> None:
    call = {"id": "c", "function": {"name": "f", "arguments": "{}"}}
    events = read(answer(None, reasoning_content="Hm.", tool_calls=[call]))
    assert events == [ReasoningDelta("Hm."), ToolCallDelta(0, "c", "f", "{}")]


@pytest.mark.parametrize("body", [b"<!doctype html>", b"  <html>", b"<?xml?>"])
def test_a_web_page_is_malformed(body: bytes) -> None:
    assert malformed(body).reason == "html"


@pytest.mark.parametrize("body", [b"\x1f\x8b\x08\x00", b"\xff\xfe{\x00", b"\x00"])
def test_binary_data_is_malformed(body: bytes) -> None:
    assert malformed(body).reason == "encoding"


def test_plain_text_is_malformed() -> None:
    assert malformed(b"upstream connect error\n").reason == "shape"


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b'{"hello": 1}',
        b"data: 5\n\n",
        b"data: []\n\n",
        b"data: null\n\n",
        b"data: ping\n\n",
        b"data: [PING]\n\n",
    ],
)
def test_json_of_another_shape_is_malformed(body: bytes) -> None:
    assert malformed(body).reason == "shape"


@pytest.mark.parametrize(
    "payload",
    [b"{oops}", b"{" * 200_000, b"[" * 200_000, b'{"a":' * 100_000, b'{"a":' + b"9" * 5000 + b"}"],
)
def test_invalid_json_is_malformed(payload: bytes) -> None:
    assert malformed(b"data: " + payload + b"\n\n").reason == "json"
    assert malformed(payload + b"}").reason == "json"


def test_an_endless_line_is_an_error() -> None:
    assert malformed(b"data: ", *[b"x" * 65536] * 257, b"\n").reason == "too_long"


def test_an_endless_body_is_an_error() -> None:
    assert malformed(*[b'{"x":"' + b"x" * 65536] * 257).reason == "too_long"


# Errors with status 200, and in the stream


@pytest.mark.parametrize(
    "error",
    [
        {"error": {"message": "no", "code": None}},
        {"error": "no"},
        {"message": "no", "object": "error"},
        {"detail": "no"},
        {"error": {"message": "no"}, "choices": [{"delta": {"content": ""}}]},
    ],
)
def test_an_error_object_is_an_error(error: object) -> None:
    for body in (json.dumps(error).encode(), event(error), json.dumps(error).encode() + b"\n\n"):
        error_raised = malformed(body)
        assert (error_raised.reason, error_raised.detail) == ("error_body", "no")


@pytest.mark.parametrize("body", [b"event: error\ndata: no\n\n", b"error: no\n\n"])
def test_an_error_event_is_an_error(body: bytes) -> None:
    error = malformed(body)
    assert (error.reason, error.detail) == ("error_body", "no")


def test_a_finish_reason_of_error_is_an_error() -> None:
    assert malformed(delta("", "error")).reason == "error_body"


@pytest.mark.parametrize("status", [401, 402, 429, 500, "503"])
def test_an_error_object_with_a_status_is_handled_as_that_status(status: object) -> None:
    for body in (
        event({"error": {"message": "no", "code": status}}),
        json.dumps({"object": "error", "message": "no", "code": status}).encode(),
        event({"error": "no", "status": status}),
    ):
        with pytest.raises(EndpointRefused) as caught:
            read(body)
        assert (caught.value.upstream_status, caught.value.detail) == (int(str(status)), "no")


@pytest.mark.parametrize("status", [400, 413, 422])
def test_an_error_object_may_refuse_the_request(status: int) -> None:
    with pytest.raises(RequestRefused) as caught:
        read(event({"error": {"message": "no", "code": status}}))
    assert caught.value.upstream_status == status


@pytest.mark.parametrize("code", [None, 400, "context_length_exceeded"])
def test_an_error_object_may_mean_that_the_request_is_too_long(code: object) -> None:
    words = "This model's maximum context length is 10 tokens. You requested 20 tokens."
    with pytest.raises(ContextExceeded) as caught:
        read(event({"error": {"message": words, "code": code}}))
    assert (caught.value.limit_tokens, caught.value.requested_tokens) == (10, 20)


def test_the_text_before_an_error_in_the_same_read_is_not_lost() -> None:
    reader = ReplyReader("a", None)
    assert reader.feed(delta("x") + event({"error": "no"})) == [TextDelta("x")]
    assert reader.done
    with pytest.raises(EndpointMalformed, match="error_body"):
        reader.close()


def test_keys_in_an_error_message_are_removed() -> None:
    assert "sk-" not in malformed(event({"error": "bad key sk-abcdef123456"})).detail


# The end


@pytest.mark.parametrize(
    "reads",
    [
        [delta("x")],
        [delta("x"), delta("y")[:20]],
        [delta("x")[:30]],
        [delta(reasoning="x")],
        [answer("x")[:-10]],
        [b'{"choices": [{"message": {"content": "abc'],
    ],
)
def test_a_body_that_ends_in_the_middle_is_cut(reads: list[bytes]) -> None:
    assert malformed(*reads).reason == "cut"


def test_an_incomplete_event_after_the_finish_reason_is_ignored() -> None:
    assert read(delta("x", "stop"), b'data: {"choices": [], "usa') == [TextDelta("x")]


@pytest.mark.parametrize(
    "reads",
    [
        [],
        [b"\n\n"],
        [b": ping\n\n"],
        [DONE],
        [delta(role="assistant")],
        [delta("")],
        [delta("\n\n"), DONE],
        [event({"choices": [], "usage": {"prompt_tokens": 3}})],
        [event({"choices": None}), DONE],
        [event({"choices": [5]}), DONE],
        [event({"choices": {"a": 1}}), DONE],
        [event({"choices": [{"delta": {"tool_calls": 5}}]}), DONE],
        [b'{"choices": []}'],
        [b'{"choices": null}'],
    ],
)
def test_an_answer_without_output_and_finish_reason_is_an_error(reads: list[bytes]) -> None:
    with pytest.raises(EndpointSilent):
        read(*reads)


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter", "tool_calls", "weird"])
def test_an_empty_answer_with_a_finish_reason_is_an_answer(reason: str) -> None:
    reader = ReplyReader("a", None)
    assert read(delta("", reason), DONE, reader=reader) == []
    assert reader.finish_reason == reason


@pytest.mark.parametrize(
    "reads",
    [
        [delta("\n\n"), delta("", "stop"), DONE],
        [delta("<think>\n\n</think>\n\n", "stop")],
        [answer("")],
        [answer(None)],
    ],
)
def test_an_answer_of_blanks_with_a_finish_reason_is_an_answer(reads: list[bytes]) -> None:
    assert read(*reads) == []


def test_reasoning_alone_is_an_answer() -> None:
    assert read(delta(reasoning="Hm."), delta("", "stop")) == [ReasoningDelta("Hm.")]


# Properties

# A busy machine is no failure.
patient = settings(suppress_health_check=[HealthCheck.too_slow])

CHUNKS = st.sampled_from(
    [
        delta("Hello 😀\u2028"),
        delta("<think>"),
        delta("</think>"),
        delta("<thi"),
        delta("\n"),
        delta("x", "stop"),
        delta(reasoning="é"),
        delta(tool_calls=[{"index": 0, "function": {"arguments": "{"}}]),
        event({"choices": [], "usage": {"prompt_tokens": 3}}),
        event({"error": {"message": "no", "code": 429}}),
        event("x"),
        b": ping\r\n\r\n",
        b"event: error\r\ndata: no\r\r",
        b'data: {"choices":[{"delta":\rdata:{"content":"\\ud83d"}}]}\r\r',
        b'data: {"choices":[{"delta":{"content":"\\ude00\xe2"}}]}\n\n',
        b"\xef\xbb\xbf",
        b"data: {",
        DONE,
        answer("Hm.</think>Yes."),
        b"<html>",
        b"oops",
    ]
)


@patient
@given(st.lists(CHUNKS), st.lists(st.integers(0, 2000), max_size=8), st.booleans())
def test_the_outcome_does_not_depend_on_the_reads(
    chunks: list[bytes], places: list[int], inside: bool
) -> None:
    body = b"".join(chunks)
    edges = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    pieces = [body[a:b] for a, b in itertools.pairwise(edges)]
    whole = outcome([body], starts_in_reasoning=inside)
    assert outcome(pieces, starts_in_reasoning=inside) == whole
    assert outcome([bytes([b]) for b in body], starts_in_reasoning=inside) == whole


@patient
@given(st.lists(CHUNKS | st.binary(max_size=40)))
def test_any_bytes_raise_only_errors_of_the_tree(reads: list[bytes]) -> None:
    text, reasoning, _, _ = outcome(reads)
    (text + reasoning).encode()


FIELDS = ["choices", "delta", "message", "content", "index", "usage", "error", "code", "tool_calls"]
FIELDS += ["function", "arguments", "reasoning", "id", "model", "prompt_tokens", "finish_reason"]
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(FIELDS), inner),
    max_leaves=6,
)
CHOICES = st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4).map(
    lambda choice: {"choices": [choice]}
)


@patient
@given(st.lists(JSON | CHOICES, max_size=4), st.booleans())
def test_any_json_raises_only_errors_of_the_tree(values: list[Any], sse: bool) -> None:
    if sse:
        outcome([event(value) for value in values])
    for value in values:
        outcome([json.dumps(value).encode()])


# Cost


def seconds(body: Callable[[int], list[bytes]], size: int) -> float:
    """CPU seconds to read a body of that size, the best of three."""
    reads, timings = body(size), []
    for _ in range(3):
        start = time.process_time()
        outcome(reads)
        timings.append(time.process_time() - start)
    return min(timings)


@pytest.mark.parametrize(
    "body",
    [
        lambda n: [b"data: ", *[b"x"] * n],
        lambda n: [b"{", *[b"x"] * n],
        lambda n: [b" "] * n,
        lambda n: [b"data:\n" * n],
        lambda n: [b"\r"] * n,
        lambda n: [b"data: x\n" * n + b"\n"],
        lambda n: [delta("<" * n), delta("x", "stop")],
        lambda n: [delta(" " * n), *[delta(" ")] * (n // 50)],
        lambda n: [delta("<think>" + "</thin" * n)],
        lambda n: [delta("`" * n), *[delta("`")] * (n // 50)],
        lambda n: [event({"error": "Bearer " * n})],
        lambda n: [event({"error": "a://" * n})],
        lambda n: [event({"error": "://" + "x" * n})],
        lambda n: [event({"error": "api_key" * n})],
        lambda n: [event({"error": "api key" + " " * n})],
        lambda n: [event({"error": "aaaaaaaaaaaaaaa-" * n})],
        lambda n: [event({"error": "maximum context length " + "1," * n})],
        lambda n: [event({"error": "too large: 1." * n + "maximum context length is 5"})],
        lambda n: [b'data: {"choices":[{"delta":{"content":"' + b"\\ud83d" * n + b'"}}]}\n\n'],
    ],
)
def test_the_time_grows_linearly_with_the_bytes(
    body: Callable[[int], list[bytes]],
) -> None:
    size = 10_000
    assert seconds(body, 8 * size) < 24 * seconds(body, size) + 0.05


FRAMES = [
    '{"choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":null}]}',
    '{"id":"x","choices":[{"delta":{"role":"assistant","content": "%s"}}],"usage":null}',
    '{"choices":[{"delta":{"content":"","reasoning_content":"%s"}}]}',
    '{"choices":[{"delta":{"content":null,"reasoning":"%s","reasoning_content":"%s"}}]}',
    '{"choices":[{"delta":{"reasoning":"%s","content":"%s"}}]}',
    '{"choices":[{"delta":{"content":"%s","refusal":"%s"}}]}',
    '{"choices":[{"delta":{"content":"%s"},"logprobs":{"content":[{"token":"%s"}]}}]}',
    '{"choices":[{"index":1,"delta":{"content":"%s"}}]}',
    '{"choices":[{"delta":{"content":"same","content":"%s"}}]}',
    '{"choices":[{"delta":{"content":"%s"},"usage":{"completion_tokens":2}}]}',
    '{"choices":[{"delta":{"content":"%s"}}],"error":"%s"}',
    '{"choices":[{"delta":{"content":[{"type":"text","text":"%s","content":"%s"}]}}]}',
]
"""Events with text in one field, or in several."""
INSIDES = [
    "word", " ", "", "a\\nb", 'q\\"q', "\\u2028", "\\ud83d", "\\ude00", "tab\t", "<think>", "</th",
    "ink>", "é👩‍🚀", "\x85\u2028", "same", "data: {", '"}}', "\ufffd", "`<think>`",
]  # fmt: skip


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.sampled_from(FRAMES), st.sampled_from(INSIDES)), max_size=14),
    st.booleans(),
)
def test_framed_events_are_read_as_by_the_parser(
    events: list[tuple[str, str]], in_reasoning: bool
) -> None:
    parts = [f"data: {frame.replace('%s', inside)}\n\n".encode() for frame, inside in events]
    parts += [part.replace(b"\xc3", b"\xff") for part in parts[:3]]  # invalid UTF-8
    parts += [delta(finish="stop"), DONE]
    one_by_one = outcome(parts, starts_in_reasoning=in_reasoning)
    assert one_by_one == outcome([b"".join(parts)], starts_in_reasoning=in_reasoning)


def test_an_event_with_the_same_frame_needs_no_parser() -> None:
    reader, parsed = ReplyReader("a", None), []
    handle_chunk = reader._handle_chunk

    def record(text: str, value: object, events: list[Event]) -> None:
        parsed.append(text)
        handle_chunk(text, value, events)

    reader._handle_chunk = record  # type: ignore[method-assign]
    chunks = [delta("one"), delta("two"), delta('"'), delta("😀"), delta("four")]
    events = [event for chunk in chunks for event in reader.feed(chunk)]
    assert events == [TextDelta(word) for word in ("one", "two", '"', "😀", "four")]
    assert len(parsed) == 2  # the first, and halves of a character
