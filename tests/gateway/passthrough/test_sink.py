"""Plain events of a passthrough stream are written to the sink, the others are yielded."""

from __future__ import annotations

from contextlib import aclosing

import pytest

from akash_gradio.domain.errors import EndpointTimeout, ReplyInterrupted
from akash_gradio.domain.events import Finished, Started
from akash_gradio.domain.receipt import Count, Receipt
from akash_gradio.gateway import PassthroughRequest, open_gateway
from tests.gateway.fakes import (
    DONE,
    HANGS,
    ROLE,
    Clock,
    FakeReply,
    FakeTransport,
    Part,
    delta,
    entry_for,
    make_settings,
    usage,
)

TEXTS = [delta(text) for text in ("It ", "is ", "forty", "-two.")]
END = delta(finish="stop")


class Client:
    """A sink that refuses some writes, numbered from 1.

    Attributes:
        received: The bytes in order, each with the way that they took.
    """

    def __init__(self, clock: Clock, refused: frozenset[int]) -> None:
        self.received: list[tuple[str, bytes]] = []
        self._clock, self._refused, self._writes = clock, refused, 0

    def try_write(self, data: bytes) -> bool:
        self._writes += 1
        if self._writes in self._refused:
            return False
        self._clock.now += 1
        self.received.append(("written", data))
        return True

    @property
    def data(self) -> bytes:
        return b"".join(data for _, data in self.received)

    @property
    def ways(self) -> list[str]:
        return [way for way, _ in self.received]


async def run(
    *parts: Part, refused: frozenset[int] = frozenset(), **variables: object
) -> tuple[Client, Receipt]:
    """Send a request to an endpoint that replies with these parts."""
    clock, network = Clock(), FakeTransport()
    network.enqueue("a", FakeReply(parts=parts))
    client = Client(clock, refused)
    body = {"messages": [{"role": "user", "content": "What?"}], "stream": True}
    request = PassthroughRequest(model="m", body=body, sink=client)
    settings = make_settings(entry_for("a"), **variables)
    gateway = open_gateway(settings, transport=network, clock=clock)
    async with aclosing(gateway.passthrough(request)) as items:
        async for item in items:
            if isinstance(item, bytes):
                client.received.append(("yielded", item))
            elif isinstance(item, Finished):
                return client, item.receipt
            else:
                assert isinstance(item, Started)
    raise AssertionError("the stream has no end")


async def test_plain_events_are_written_once_the_stream_has_begun() -> None:
    client, receipt = await run(ROLE, *TEXTS, END, usage(9, 4), DONE)
    assert client.data == b"".join([ROLE, *TEXTS, END])  # the client didn't request usage
    assert client.ways == ["yielded", *["written"] * 3, "yielded"]
    assert receipt.tokens_in == Count(tokens=9, reported=True)
    assert receipt.tokens_out == Count(tokens=4, reported=True)


async def test_events_that_the_sink_refuses_are_yielded_in_order() -> None:
    client, _ = await run(ROLE, *TEXTS, END, DONE, refused=frozenset({2}))
    assert client.data == b"".join([ROLE, *TEXTS, END])
    assert client.ways == ["yielded", "written", "yielded", "written", "yielded"]


async def test_written_events_count_in_the_receipt() -> None:
    _, receipt = await run(ROLE, *TEXTS, END, DONE)
    assert receipt.tokens_out == Count(tokens=4, reported=False)
    assert receipt.tokens_per_s == pytest.approx(3 / 3, rel=0.1)  # a second for each write


async def test_an_event_with_more_than_text_is_parsed() -> None:
    beside = delta("beside", finish="length")
    client, receipt = await run(ROLE, TEXTS[0], TEXTS[1], beside, DONE)
    assert client.ways == ["yielded", "written", "yielded"]
    assert (client.data, receipt.finish) == (ROLE + TEXTS[0] + TEXTS[1] + beside, "length")


async def test_text_after_the_finish_reason_must_be_finished_again() -> None:
    client, receipt = await run(ROLE, *TEXTS, END, TEXTS[0], END, HANGS, IDLE_TIMEOUT=0.05)
    assert client.data == b"".join([ROLE, *TEXTS, END, TEXTS[0], END])
    assert receipt.finish == "stop"
    with pytest.raises(ReplyInterrupted):
        await run(ROLE, *TEXTS, END, TEXTS[0], HANGS, IDLE_TIMEOUT=0.05)


async def test_a_silence_while_events_are_written_is_an_interruption() -> None:
    with pytest.raises(ReplyInterrupted) as caught:
        await run(ROLE, *TEXTS, HANGS, IDLE_TIMEOUT=0.05)
    assert isinstance(caught.value.cause, EndpointTimeout)
    assert caught.value.cause.stage == "idle"
