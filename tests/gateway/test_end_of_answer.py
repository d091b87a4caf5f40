"""How long a call waits for the end, and for a sign of life, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from akash_gradio.domain.errors import EndpointTimeout, ReplyInterrupted
from akash_gradio.domain.events import Finished, TextDelta
from akash_gradio.domain.receipt import Receipt
from akash_gradio.gateway import PassthroughRequest, open_gateway
from akash_gradio.gateway.upstream_call import EMPTY_CHUNKS_FACTOR, USAGE_TIMEOUT_S
from tests.gateway.fakes import (
    DONE,
    HANGS,
    ROLE,
    FakeReply,
    FakeTransport,
    Part,
    chat_request,
    delta,
    entry_for,
    event,
    make_settings,
    usage,
)
from tests.virtual_time import run_in_virtual_time

IDLE_S = 30
FIRST_TOKEN_S = 60


def after(seconds: float, data: bytes) -> Callable[[], Coroutine[Any, Any, bytes]]:
    """Return a part that is received so many seconds after the one before."""

    async def part() -> bytes:
        await asyncio.sleep(seconds)
        return data

    return part


class Outcome:
    """What a request resulted in.

    Attributes:
        text: The text received.
        took_s: Seconds from the request to the end.
        receipt: The receipt, None after an error.
        error: The cause of the interruption, None without one.
    """

    def __init__(self) -> None:
        self.text = ""
        self.took_s = 0.0
        self.receipt: Receipt | None = None
        self.error: Exception | None = None


def send(parts: Sequence[Part], *, page: bool) -> Outcome:
    """Send a request to an endpoint that replies with these parts, from the page or at /v1."""
    outcome = Outcome()

    async def run() -> None:
        network = FakeTransport()
        network.enqueue("a", FakeReply(parts=parts))
        settings = make_settings(
            entry_for("a"), FIRST_TOKEN_TIMEOUT=FIRST_TOKEN_S, IDLE_TIMEOUT=IDLE_S, RETRY_ATTEMPTS=0
        )
        gateway = open_gateway(settings, transport=network)
        body = {"messages": [], "stream": True}
        items: Any = (
            gateway.stream(chat_request())
            if page
            else gateway.passthrough(PassthroughRequest(model="m", body=body))
        )
        received = b""
        try:
            async with aclosing(items):
                async for item in items:
                    if isinstance(item, bytes):
                        received += item
                    elif isinstance(item, TextDelta):
                        outcome.text += item.text
                    elif isinstance(item, Finished):
                        outcome.receipt = item.receipt
        except ReplyInterrupted as error:
            outcome.error = error.cause
        if not page:
            outcome.text = "".join(text for text in "abcdefgh" if b'"%c"' % ord(text) in received)
        outcome.took_s = asyncio.get_running_loop().time()

    run_in_virtual_time(run())
    return outcome


page_and_api = pytest.mark.parametrize("page", [True, False], ids=["page", "v1"])
EMPTY = event(choices=[{"index": 0, "delta": {}, "finish_reason": None}])
STOP = delta(finish="stop")


@page_and_api
@pytest.mark.parametrize("gap_s", [0.5, 3, IDLE_S - 1])
def test_a_finish_reason_beside_each_text_cuts_nothing(page: bool, gap_s: float) -> None:
    texts: list[Part] = [after(gap_s, delta(text, finish="stop")) for text in "abcd"]
    outcome = send([ROLE, *texts, DONE], page=page)
    assert outcome.text == "abcd"
    assert outcome.receipt is not None
    assert outcome.receipt.finish == "stop"


@page_and_api
def test_a_finish_reason_before_the_first_text_cuts_nothing(page: bool) -> None:
    first = delta(role="assistant", content="", finish="stop")
    outcome = send([first, after(20, delta("a")), after(20, delta("b")), STOP, DONE], page=page)
    assert (outcome.text, outcome.error) == ("ab", None)


@page_and_api
def test_usage_beside_a_finish_reason_and_text_cuts_nothing(page: bool) -> None:
    def chunk(text: str, count: int) -> bytes:
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": "stop"}
        return event(choices=[choice], usage={"prompt_tokens": 1, "completion_tokens": count})

    texts: list[Part] = [after(3, chunk(text, number)) for number, text in enumerate("abc", 1)]
    assert send([ROLE, *texts, DONE], page=page).text == "abc"


@page_and_api
def test_text_after_a_finish_reason_is_received(page: bool) -> None:
    parts: list[Part] = [
        ROLE,
        delta("a"),
        STOP,
        after(1, delta("b")),
        after(20, delta("c")),
        STOP,
        DONE,
    ]
    assert send(parts, page=page).text == "abc"


@page_and_api
def test_text_after_a_finish_reason_that_breaks_off_is_an_interruption(page: bool) -> None:
    outcome = send([ROLE, delta("a"), STOP, delta("b"), HANGS], page=page)
    assert outcome.text == "ab"
    assert isinstance(outcome.error, EndpointTimeout)


@page_and_api
def test_the_end_is_awaited_for_a_short_time_after_a_final_finish_reason(page: bool) -> None:
    outcome = send([ROLE, delta("a"), STOP, HANGS], page=page)
    assert outcome.receipt is not None
    assert USAGE_TIMEOUT_S <= outcome.took_s < USAGE_TIMEOUT_S + 1
    outcome = send([ROLE, delta("a"), STOP, usage(1, 1), HANGS], page=page)
    assert outcome.receipt is not None
    assert outcome.took_s < 1


@page_and_api
def test_an_empty_answer_without_an_end_waits_as_for_the_first_token(page: bool) -> None:
    outcome = send([ROLE, STOP, HANGS], page=page)
    assert outcome.receipt is not None
    assert outcome.receipt.finish == "stop"
    assert outcome.took_s >= FIRST_TOKEN_S


@page_and_api
def test_chunks_without_output_are_a_sign_of_life(page: bool) -> None:
    pause = [after(IDLE_S - 1, EMPTY)] * (EMPTY_CHUNKS_FACTOR - 1)
    outcome = send([ROLE, delta("a"), *pause, after(1, delta("b")), STOP, DONE], page=page)
    assert (outcome.text, outcome.error) == ("ab", None)


@page_and_api
def test_chunks_without_output_do_not_extend_an_answer_for_ever(page: bool) -> None:
    for texts in ([delta("a")], [delta(text) for text in "abcd"]):
        outcome = send([ROLE, *texts, *[after(10, EMPTY)] * 1000], page=page)
        assert isinstance(outcome.error, EndpointTimeout)
        assert outcome.took_s <= (EMPTY_CHUNKS_FACTOR + 1) * IDLE_S + 10


@page_and_api
def test_comments_are_no_sign_of_life(page: bool) -> None:
    outcome = send([ROLE, delta("a"), *[after(10, b": ping\n\n")] * 100], page=page)
    assert isinstance(outcome.error, EndpointTimeout)
    assert outcome.took_s <= IDLE_S + 10
