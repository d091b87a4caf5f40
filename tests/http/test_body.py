from __future__ import annotations

import asyncio
import gc
import tracemalloc
from contextlib import suppress

import pytest

from akash_gradio.domain.size_limits import BODY_PACE_S
from akash_gradio.http.asgi import Message, Receive
from akash_gradio.http.body import (
    DRAINED_BYTES,
    BodiesFull,
    BodyBudget,
    BodyTooLarge,
    BodyTooSlow,
    ClientDisconnected,
    drain_body,
    read_body,
)
from tests.virtual_time import run_in_virtual_time


def receive_from(*messages: Message) -> tuple[Receive, list[Message]]:
    """Return a `receive` for these messages, and the ones that are left."""
    remaining = list(messages)

    async def receive() -> Message:
        return remaining.pop(0)

    return receive, remaining


def part(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


DISCONNECT: Message = {"type": "http.disconnect"}


async def test_a_body_is_joined_from_its_parts() -> None:
    receive, remaining = receive_from(part(b"one ", more=True), part(b"two"), DISCONNECT)
    assert await read_body(receive, limit_bytes=7) == b"one two"
    assert remaining == [DISCONNECT]


async def test_a_body_past_the_limit_is_refused_before_the_rest_is_read() -> None:
    receive, remaining = receive_from(part(b"12345", more=True), part(b"678"), part(b""))
    with pytest.raises(BodyTooLarge) as raised:
        await read_body(receive, limit_bytes=7)
    assert raised.value.limit == 7
    assert len(remaining) == 1


async def test_an_announced_length_past_the_limit_is_refused_before_reading() -> None:
    receive, remaining = receive_from(part(b"1"))
    with pytest.raises(BodyTooLarge):
        await read_body(receive, limit_bytes=7, content_length="8")
    assert len(remaining) == 1
    assert await read_body(receive, limit_bytes=7, content_length="no number") == b"1"


async def test_an_announced_length_that_only_looks_like_a_number_is_ignored() -> None:
    receive, _ = receive_from(part(b"1"))
    assert await read_body(receive, limit_bytes=7, content_length="\xb2") == b"1"


async def test_a_disconnect_before_the_end_is_reported() -> None:
    receive, _ = receive_from(part(b"1", more=True), DISCONNECT)
    with pytest.raises(ClientDisconnected):
        await read_body(receive, limit_bytes=7)


async def read(
    budget: BodyBudget, receive: Receive, owner: str = "a", limit_bytes: int = 10**9
) -> int:
    """Read a body, and return its size; its bytes are counted meanwhile."""
    with budget.lease(owner) as lease:
        return len(await lease.read(receive, limit_bytes))


async def never() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


def trickle(size: int, every_s: float, count: int = 10**9) -> Receive:
    """Return a `receive` for a body whose parts come slowly."""
    left = count

    async def receive() -> Message:
        nonlocal left
        await asyncio.sleep(every_s)
        left -= 1
        return part(bytes(size), more=left > 0)

    return receive


@pytest.mark.parametrize("receive", [never, trickle(1, 19.0), trickle(900, 1.0)])
def test_a_body_that_comes_too_slowly_is_given_up(receive: Receive) -> None:
    async def run() -> float:
        with pytest.raises(BodyTooSlow) as raised:
            await read(BodyBudget(), receive)
        assert (raised.value.status, raised.value.code) == (408, "body_too_slow")
        return asyncio.get_running_loop().time()

    assert run_in_virtual_time(run()) == pytest.approx(BODY_PACE_S, abs=0.1)


def test_a_long_body_over_a_slow_connection_arrives() -> None:
    receive = trickle(20_000, 10.0, count=100)
    assert run_in_virtual_time(read(BodyBudget(), receive)) == 2_000_000


def test_a_body_may_begin_fast_and_must_not_stop_later() -> None:
    begun = False

    async def receive() -> Message:
        nonlocal begun
        if begun:
            await asyncio.sleep(19.0)
        begun = True
        return part(bytes(1_000_000 if not begun else 1), more=True)

    with pytest.raises(BodyTooSlow):
        run_in_virtual_time(read(BodyBudget(), receive))


def first_then(size: int, later: Receive = never) -> Receive:
    """Return a `receive` for a first part, which another one continues."""
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            return await later()
        sent = True
        return part(bytes(size), more=True)

    return receive


async def outcomes(tasks: list[asyncio.Task[int]]) -> list[str]:
    """Return the state of each task once none of them does anything."""
    for _ in range(20):
        await asyncio.sleep(0)
    names = []
    for task in tasks:
        error = task.exception() if task.done() else None
        names.append(type(error).__name__ if error else "done" if task.done() else "waits")
        task.cancel()
    return names


async def test_unfinished_bodies_take_no_place_from_another_sender() -> None:
    budget = BodyBudget(1000)
    held = [asyncio.create_task(read(budget, first_then(100), "a")) for _ in range(10)]
    await asyncio.sleep(0)
    assert budget.held_bytes == 1000
    other = asyncio.create_task(read(budget, first_then(300), "b"))
    states = await outcomes([*held, other])
    assert states[-1] == "waits"
    assert states.count("BodiesFull") == 4
    await asyncio.sleep(0)
    assert budget.held_bytes == 0


async def test_the_sender_with_the_most_bytes_is_refused_itself() -> None:
    budget = BodyBudget(1000)
    small = [asyncio.create_task(read(budget, first_then(100), f"v{n}")) for n in range(5)]
    await asyncio.sleep(0)
    big = asyncio.create_task(read(budget, first_then(900), "a"))
    assert await outcomes([*small, big]) == ["waits"] * 5 + ["BodiesFull"]


async def test_complete_bodies_are_counted_until_they_are_released() -> None:
    budget = BodyBudget(200_000)
    receive, _ = receive_from(part(bytes(150_000)))
    with budget.lease("a") as lease:
        await lease.read(receive, 10**9)
        assert budget.held_bytes == 150_000
        with pytest.raises(BodiesFull) as raised:
            await read(budget, receive_from(part(bytes(150_000)))[0], "b")
        assert raised.value.status == 503
        assert budget.held_bytes == 150_000
        assert await read(budget, receive_from(part(bytes(10_000)))[0], "b") == 10_000
        lease.release()
        assert await read(budget, receive_from(part(bytes(150_000)))[0], "b") == 150_000
    assert budget.held_bytes == 0


async def test_whatever_happens_the_bytes_are_given_back() -> None:
    budget = BodyBudget(10_000)
    for receive in (
        receive_from(part(bytes(500), more=True), DISCONNECT)[0],
        receive_from(part(bytes(500), more=True), part(bytes(600)))[0],
        receive_from(part(bytes(500), more=True), part(bytes(100)))[0],
    ):
        with suppress(BodyTooLarge, ClientDisconnected):
            await read(budget, receive, limit_bytes=1000)
        assert budget.held_bytes == 0


@pytest.mark.parametrize("end", [DISCONNECT, part(bytes(2_000_001))], ids=["left", "too large"])
async def test_a_body_that_was_given_up_is_freed_without_the_garbage_collector(
    end: Message,
) -> None:
    async def give_up() -> None:
        receive, _ = receive_from(part(bytes(2_000_000), more=True), end)
        with suppress(BodyTooLarge, ClientDisconnected):
            await read_body(receive, limit_bytes=4_000_000)

    await give_up()
    tracemalloc.start()
    gc.disable()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(20):
            await give_up()
        assert tracemalloc.get_traced_memory()[0] - before < 1_000_000
    finally:
        gc.enable()
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("messages", "left"),
    [
        ([part(b"1", more=True), part(b"2"), DISCONNECT], 1),
        ([part(bytes(DRAINED_BYTES), more=True), part(b"2")], 1),
        ([part(b"1", more=True), DISCONNECT, DISCONNECT], 1),
    ],
)
async def test_draining_ends_with_the_body_at_the_limit_or_at_a_disconnect(
    messages: list[Message], left: int
) -> None:
    receive, remaining = receive_from(*messages)
    await drain_body(receive)
    assert len(remaining) == left
