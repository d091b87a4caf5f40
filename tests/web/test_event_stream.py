from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest

from akash_gradio.web.event_stream import EventStream
from tests.web.fakes import ClientRequest, Gate, tasks_left


class Producer:
    """Yields a list of events, in which a gate blocks; `closed` is set when the generator ends."""

    def __init__(self, *steps: Any) -> None:
        self._steps = steps
        self.closed = False

    async def events(self) -> AsyncGenerator[Mapping[str, Any], None]:
        try:
            for step in self._steps:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, Gate):
                    await step()
                else:
                    yield step
        finally:
            self.closed = True


def stream_request(producer: Producer) -> ClientRequest:
    return ClientRequest(EventStream(producer.events()))


async def test_each_event_is_sent_at_once_in_its_own_message() -> None:
    gate = Gate()
    stream = stream_request(Producer({"n": 1}, gate, {"n": 2}))
    running = asyncio.ensure_future(stream.run())
    start, first = await stream.next_message(), await stream.next_message()
    assert start["status"] == 200
    assert dict(start["headers"])[b"content-type"] == b"text/event-stream; charset=utf-8"
    assert dict(start["headers"])[b"x-accel-buffering"] == b"no"
    assert first == {"type": "http.response.body", "body": b'data: {"n":1}\n\n', "more_body": True}
    await gate.reached.wait()
    assert len(stream.messages) == 2
    gate.open()
    await running
    assert stream.events == [{"n": 1}, {"n": 2}]
    assert stream.messages[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def test_comments_keep_a_silent_connection_open() -> None:
    gate = Gate()
    stream = ClientRequest(EventStream(Producer(gate, {"n": 1}).events(), heartbeat_s=0.001))
    running = asyncio.ensure_future(stream.run())
    _start, *comments = [await stream.next_message() for _ in range(3)]
    assert [comment["body"] for comment in comments] == [b": waiting\n\n"] * 2
    gate.open()
    await running
    assert not tasks_left()


@pytest.mark.parametrize("silent_from", [0, 1])
async def test_a_disconnect_closes_a_silent_stream_at_once(silent_from: int) -> None:
    gate = Gate()
    producer = Producer(*[{"n": 1}] * silent_from, gate)
    stream = stream_request(producer)
    running = asyncio.ensure_future(stream.run())
    await gate.reached.wait()
    stream.disconnect()
    await running
    assert producer.closed
    assert not tasks_left()


async def test_a_disconnect_before_the_first_event_starts_nothing() -> None:
    producer = Producer(Gate())
    stream = stream_request(producer)
    stream.disconnect()
    await stream.run()
    assert not stream.events
    assert not tasks_left()


async def test_a_failed_send_ends_the_stream_without_an_error() -> None:
    producer = Producer({"n": 1}, {"n": 2}, {"n": 3})
    stream = stream_request(producer)
    stream.refuses_after = 2
    await stream.run()
    assert producer.closed
    assert len(stream.messages) == 2
    assert not tasks_left()


async def test_cancelling_the_response_closes_the_events() -> None:
    gate = Gate()
    producer = Producer({"n": 1}, gate)
    running = asyncio.ensure_future(stream_request(producer).run())
    await gate.reached.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert producer.closed
    assert not tasks_left()


async def test_an_unexpected_error_reaches_the_server() -> None:
    producer = Producer({"n": 1}, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await stream_request(producer).run()
    assert producer.closed
    assert not tasks_left()


async def test_no_task_remains_at_the_end() -> None:
    producer = Producer({"n": 1})
    await stream_request(producer).run()
    assert producer.closed
    assert not tasks_left()


@pytest.mark.parametrize("text", ["\udabc", "a\u2028b\u2029c", "é👋", "\n\n\r\0", "\x1b"])
async def test_any_text_is_sent_as_ascii_on_one_line(text: str) -> None:
    stream = stream_request(Producer({"text": text}))
    await stream.run()
    (body, _end) = stream.bodies
    assert body.isascii()
    assert stream.events == [{"text": text}]
