"""An answer has a longest size, and costs time and memory in proportion to its bytes."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from akash_gradio.domain.errors import EndpointMalformed
from akash_gradio.domain.size_limits import ANSWER_BYTES, ANSWER_CHARACTERS, EVENT_BYTES
from akash_gradio.gateway.openai_chunks import SIZE_LIMIT
from akash_gradio.gateway.passthrough.reader import PassthroughReader
from akash_gradio.gateway.stream_reader import ReplyReader
from tests.gateway.test_one_grammar import MODES, cut, read, reading_of, streamed
from tests.stubs.wire import DONE, chunk, event, finish_event, role_event, text_event

PIECE = 50_000
FIELDS = ["content", "reasoning_content"]


def endless(field: str) -> Iterator[bytes]:
    yield role_event()
    while True:
        yield event(chunk({field: "x" * PIECE}))


def make_reader(mode: str) -> Any:
    if mode == "page":
        return ReplyReader("a", None)
    return PassthroughReader("a", None, stream=mode == "stream", include_usage=False)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("mode", MODES)
def test_an_answer_without_end_is_ended_at_the_longest_size(mode: str, field: str) -> None:
    outcome = read(mode, endless(field))
    reading = reading_of(mode, outcome)
    length = len(reading.text + reading.reasoning)
    assert ANSWER_CHARACTERS <= length <= ANSWER_CHARACTERS + PIECE
    assert (outcome.finish, outcome.error) == (SIZE_LIMIT, "")


@pytest.mark.parametrize("mode", ["stream", "whole"])
def test_a_client_of_v1_receives_the_finish_reason_length(mode: str) -> None:
    sent = read(mode, endless("content")).sent
    if mode == "whole":
        assert json.loads(sent)["choices"][0]["finish_reason"] == "length"
        return
    assert streamed(sent)[-1] == {}
    last = json.loads(sent.rsplit(b"data: ", 1)[1])
    assert last["choices"] == [{"index": 0, "delta": {}, "finish_reason": "length"}]
    assert last["id"] == "chatcmpl-stub"


@pytest.mark.parametrize("mode", MODES)
def test_where_an_answer_is_ended_does_not_depend_on_the_reads(mode: str) -> None:
    body = b"".join(part for part, _ in zip(endless("content"), range(60), strict=False))
    whole = read(mode, [body])
    assert whole.finish == SIZE_LIMIT
    assert read(mode, cut(body, range(0, len(body), 77_777))) == whole
    assert read(mode, body.replace(b"\n\n", b"\n\n\0").split(b"\0")) == whole


@pytest.mark.parametrize("mode", MODES)
def test_endless_tool_arguments_are_ended_too(mode: str) -> None:
    def parts() -> Iterator[bytes]:
        while True:
            call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "x" * 500_000}}
            yield event(chunk({"tool_calls": [call]}))

    outcome = read(mode, parts())
    ((_, arguments),) = reading_of(mode, outcome).calls
    assert ANSWER_BYTES - 500_000 <= len(arguments) <= ANSWER_BYTES + 500_000
    assert outcome.finish == SIZE_LIMIT


def test_the_page_receives_only_the_longest_answer_of_a_single_event() -> None:
    for parts in ([text_event("x" * (EVENT_BYTES - 1000)), DONE], [whole_answer(5_000_000)]):
        outcome = read("page", parts)
        assert len(reading_of("page", outcome).text) == ANSWER_CHARACTERS
        assert outcome.finish == SIZE_LIMIT


def whole_answer(length: int) -> bytes:
    message = {"role": "assistant", "content": "x" * length}
    return json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode()


@pytest.mark.parametrize("mode", MODES)
def test_an_event_of_nearly_sixteen_megabytes_passes(mode: str) -> None:
    url = "data:image/png;base64," + "A" * (EVENT_BYTES - 1000)
    images = [{"type": "image_url", "image_url": {"url": url}}]
    body = event(chunk({"images": images})) + finish_event() + DONE
    outcome = read(mode, cut(body, range(0, len(body), 65_536)))
    assert (outcome.error, outcome.finish) == ("", "stop")
    if mode != "page":
        assert url.encode() in outcome.sent


@pytest.mark.parametrize("mode", MODES)
def test_a_larger_event_is_an_error_and_not_memory(mode: str) -> None:
    reader = make_reader(mode)
    reader.feed(text_event("a"))
    reader.feed(b'data: {"choices":[{"delta":{"content":"')
    tracemalloc.start()
    try:
        with pytest.raises(EndpointMalformed, match="too_long"):
            feed_repeatedly(reader, b"x" * 65_536, 2 * EVENT_BYTES)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * EVENT_BYTES


def feed_repeatedly(reader: Any, piece: bytes, total_bytes: int) -> None:
    for _ in range(total_bytes // len(piece)):
        reader.feed(piece)


def cpu_seconds(mode: str, tokens: int) -> float:
    """Return the CPU time to read an answer of that many tokens, the best of three."""
    parts = [role_event(), *[event(chunk({"content": f"word {n} \n"})) for n in range(tokens)]]
    calls = [
        event(chunk({"tool_calls": [{"index": n % 9, "function": {"arguments": f'"{n}",'}}]}))
        for n in range(tokens)
    ]
    timings = []
    for _ in range(3):
        start = time.process_time()
        read(mode, [*parts, *calls, finish_event("tool_calls"), DONE])
        timings.append(time.process_time() - start)
    return min(timings)


@pytest.mark.parametrize("mode", MODES)
def test_the_time_grows_linearly_with_the_tokens(mode: str) -> None:
    assert cpu_seconds(mode, 8_000) < 24 * cpu_seconds(mode, 1_000) + 0.05
