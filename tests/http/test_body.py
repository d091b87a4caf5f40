from __future__ import annotations

import pytest

from akash_gradio.http.asgi import Message, Receive
from akash_gradio.http.body import (
    BodyTooLarge,
    BodyTooSlow,
    BoundedReceive,
    ClientDisconnected,
    drain_body,
    read_body,
)


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


async def test_a_body_that_stops_coming_is_given_up() -> None:
    async def never() -> Message:
        raise TimeoutError

    bounded = BoundedReceive(never, 10)
    with pytest.raises(BodyTooSlow):
        await bounded()
    assert isinstance(bounded.error, BodyTooSlow)


async def test_messages_after_the_body_pass_without_a_limit() -> None:
    receive, _ = receive_from(part(b"1234567"), DISCONNECT)
    bounded = BoundedReceive(receive, 7)
    assert [(await bounded())["type"] for _ in range(2)] == ["http.request", "http.disconnect"]
    assert bounded.error is None


@pytest.mark.parametrize(
    ("messages", "left"),
    [
        ([part(b"1", more=True), part(b"2"), DISCONNECT], 1),
        ([part(b"12345678", more=True), part(b"2")], 1),
        ([part(b"1", more=True), DISCONNECT, DISCONNECT], 1),
    ],
)
async def test_draining_ends_with_the_body_at_the_limit_or_at_a_disconnect(
    messages: list[Message], left: int
) -> None:
    receive, remaining = receive_from(*messages)
    await drain_body(receive, limit_bytes=7)
    assert len(remaining) == left
