"""Words of a relayed stream that go on without a detour by who asked."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import pytest

from akash_gradio.domain.errors import EndpointTimeout, ReplyInterrupted
from akash_gradio.domain.events import Finished, Started
from akash_gradio.domain.receipt import Receipt
from akash_gradio.gateway import PassthroughRequest, open_gateway
from tests.gateway.fakes import (
    DONE,
    HANGS,
    ROLE,
    Clock,
    FakeReply,
    FakeTransport,
    delta,
    named,
    settings_of,
    usage,
)

WORDS = [delta(word) for word in ("It ", "is ", "forty", "-two.")]
END = delta(finish="stop")


class Caller:
    """Takes what goes straight, unless it is told to refuse. said: all in order, with the way."""

    def __init__(self, clock: Clock, refuses: frozenset[int] = frozenset()) -> None:
        self.said: list[tuple[str, bytes]] = []
        self._clock, self._refuses, self._asked = clock, refuses, 0

    def try_write(self, data: bytes) -> bool:
        self._asked += 1
        if self._asked in self._refuses:
            return False
        self._clock.now += 1
        self.said.append(("straight", data))
        return True

    @property
    def heard(self) -> bytes:
        return b"".join(part for _, part in self.said)

    @property
    def ways(self) -> list[str]:
        return [way for way, _ in self.said]


async def ask(
    *parts: Any, refuses: frozenset[int] = frozenset(), **variables: object
) -> tuple[Caller, Receipt]:
    clock, network = Clock(), FakeTransport()
    network.enqueue("a", FakeReply(parts=parts))
    caller = Caller(clock, refuses)
    body = {"messages": [{"role": "user", "content": "What?"}], "stream": True}
    request = PassthroughRequest(model="m", body=body, sink=caller)
    gateway = open_gateway(settings_of(named("a"), **variables), transport=network, clock=clock)
    async with aclosing(gateway.passthrough(request)) as items:
        async for item in items:
            if isinstance(item, bytes):
                caller.said.append(("yielded", item))
            elif isinstance(item, Finished):
                return caller, item.receipt
            else:
                assert isinstance(item, Started)
    raise AssertionError("it has no end")


async def test_words_go_straight_once_the_answer_has_begun_and_the_rest_as_ever() -> None:
    caller, receipt = await ask(ROLE, *WORDS, END, usage(9, 4), DONE)
    assert caller.heard == b"".join([ROLE, *WORDS, END])  # nobody asked for the usage
    assert caller.ways == ["yielded", *["straight"] * 3, "yielded"]
    assert (receipt.tokens_in.tokens, receipt.tokens_out.tokens) == (9, 4)  # type: ignore[union-attr]


async def test_words_that_are_refused_come_in_their_place() -> None:
    caller, _ = await ask(ROLE, *WORDS, END, DONE, refuses=frozenset({2}))
    assert caller.heard == b"".join([ROLE, *WORDS, END])
    assert caller.ways == ["yielded", "straight", "yielded", "straight", "yielded"]


async def test_words_that_went_straight_count_in_the_receipt() -> None:
    _, receipt = await ask(ROLE, *WORDS, END, DONE)
    assert receipt.tokens_out is not None
    assert (receipt.tokens_out.tokens, receipt.tokens_out.reported) == (4, False)
    assert receipt.tokens_per_s == pytest.approx(3 / 3, rel=0.1)  # the clock went on by three


async def test_words_with_more_in_them_come_to_be_looked_into() -> None:
    beside = delta("beside", finish="length")
    caller, receipt = await ask(ROLE, WORDS[0], WORDS[1], beside, DONE)
    assert caller.ways == ["yielded", "straight", "yielded"]
    assert (caller.heard, receipt.finish) == (ROLE + WORDS[0] + WORDS[1] + beside, "length")


async def test_a_silence_among_words_that_go_straight_is_an_interruption() -> None:
    with pytest.raises(ReplyInterrupted) as caught:
        await ask(ROLE, *WORDS, HANGS, IDLE_TIMEOUT=0.05)
    assert isinstance(caught.value.cause, EndpointTimeout)
    assert caught.value.cause.stage == "idle"
