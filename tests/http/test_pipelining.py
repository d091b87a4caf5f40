"""However the bytes of a connection are cut, each request is read and answered in its turn."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from uvicorn.server import ServerState

from akash_gradio.gateway.passthrough.sink import client_connection
from akash_gradio.http.body import read_body
from akash_gradio.http.server_protocol import (
    MAX_HEAD_BYTES,
    MAX_PIPELINED,
    DirectProtocol,
    ServerProtocol,
)

FIRST = b"POST /one?a=1 HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\nx-first: 1\r\n\r\nfirst"
CHUNKED = (
    b"POST /two HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\nx-second: 2\r\n\r\n"
    b"3\r\nsec\r\n3\r\nond\r\n0\r\nx-forwarded-for: 6.6.6.6\r\nauthorization: trailer\r\n\r\n"
)
BARE = b"GET /two HTTP/1.1\r\nhost: h\r\nx-second: 2\r\n\r\n"


class FakeTransport(asyncio.Transport):
    """Records what the server writes.

    Attributes:
        written: All of it.
        closed: Whether the server closed the connection.
    """

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.7", 5000), "sockname": ("192.0.2.1", 80)})
        self.written = b""
        self.closed = False
        self.paused = False

    def write(self, data: Any) -> None:
        assert not self.closed
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        assert not self.paused
        self.paused = True

    def resume_reading(self) -> None:
        assert self.paused
        self.paused = False


Respond = Callable[[Any, Any, bytes], Awaitable[None]]


async def respond_directly(scope: Any, send: Any, body: bytes) -> None:
    connection = client_connection(scope)
    assert connection is not None
    assert connection.try_respond([(b"content-type", b"text/plain")], body)


async def respond_by_messages(_scope: Any, send: Any, body: bytes) -> None:
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def respond_with_a_stream(scope: Any, send: Any, body: bytes) -> None:
    connection = client_connection(scope)
    assert connection is not None
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for position in range(0, len(body), 10):
        await asyncio.sleep(0)
        assert connection.try_write(body[position : position + 10])
    await send({"type": "http.response.body", "body": b""})


RESPONSES = (respond_directly, respond_by_messages, respond_with_a_stream)


class EchoApp:
    """Responds with what it received of a request: method, path, query, headers and body.

    Attributes:
        gate: Responses wait for it.
        received: The requests.
    """

    def __init__(self, respond: Respond) -> None:
        self.gate = asyncio.Event()
        self.received: list[bytes] = []
        self._respond = respond

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = await read_body(receive, limit_bytes=1 << 20)
        await self.gate.wait()
        fields = b" ".join(b"%b=%b" % pair for pair in scope["headers"] if pair[0] != b"host")
        head = f"{scope['method']} {scope['path']} {scope['query_string'].decode()} ".encode()
        self.received.append(head + fields + b" " + body)
        await self._respond(scope, send, self.received[-1])


def connect(
    app: Any, protocol: type[ServerProtocol] = DirectProtocol
) -> tuple[ServerProtocol, FakeTransport]:
    config = uvicorn.Config(app, lifespan="off", log_level="critical", date_header=False)
    config.load()
    transport = FakeTransport()
    connection = protocol(config, ServerState(), {})
    connection.connection_made(transport)
    return connection, transport


async def settle() -> None:
    for _ in range(16):
        await asyncio.sleep(0)


async def finish() -> None:
    """Wait for the requests in progress."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    while tasks:
        await asyncio.wait(tasks)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}


async def exchange(
    pieces: Sequence[bytes], respond: Respond, gate_after: int
) -> tuple[list[bytes], bytes]:
    """Send the pieces one by one, and return what the app received and what was written.

    Args:
        gate_after: The responses are held back until that many pieces were sent.
    """
    app = EchoApp(respond)
    connection, transport = connect(app)
    for number, piece in enumerate(pieces):
        if number == gate_after:
            app.gate.set()
            await settle()
        connection.data_received(piece)
        await settle()
    app.gate.set()
    await finish()
    assert not transport.closed
    connection.connection_lost(None)
    return app.received, transport.written


def cut(data: bytes, positions: Sequence[int]) -> list[bytes]:
    ends = [0, *sorted(set(positions)), len(data)]
    return [data[start:end] for start, end in pairwise(ends) if end > start]


EXPECTED = {
    BARE: b"GET /two  x-second=2 ",
    CHUNKED: b"POST /two  transfer-encoding=chunked x-second=2 second",
}


@pytest.mark.parametrize("respond", RESPONSES)
@pytest.mark.parametrize("second", [BARE, CHUNKED], ids=["bare", "chunked"])
async def test_two_pipelined_requests_cut_at_every_place(second: bytes, respond: Respond) -> None:
    data = FIRST + second
    expected = [b"POST /one a=1 content-length=5 x-first=1 first", EXPECTED[second]]
    whole = await exchange([data], respond, gate_after=0)
    assert whole[0] == expected
    assert whole[1].count(b"HTTP/1.1 200 OK\r\n") == 2
    for position in range(1, len(data)):
        for gate_after in (0, 1, 2):
            assert await exchange(cut(data, [position]), respond, gate_after) == whole, position


@settings(max_examples=150, deadline=None)
@given(
    order=st.lists(st.sampled_from([FIRST, BARE, CHUNKED]), min_size=1, max_size=5),
    positions=st.lists(st.integers(min_value=1, max_value=700), max_size=12),
    gate_after=st.integers(min_value=0, max_value=12),
    respond=st.sampled_from(RESPONSES),
)
def test_any_number_of_requests_cut_anywhere(
    order: list[bytes], positions: list[int], gate_after: int, respond: Respond
) -> None:
    data = b"".join(order)
    pieces = cut(data, [position for position in positions if position < len(data)])
    whole = asyncio.run(exchange([data], respond, gate_after=0))
    assert len(whole[0]) == len(order)
    assert asyncio.run(exchange(pieces, respond, gate_after)) == whole


async def test_bytes_one_by_one() -> None:
    data = FIRST + CHUNKED + BARE
    pieces = [bytes([byte]) for byte in data]
    whole = await exchange([data], respond_directly, 0)
    assert await exchange(pieces, respond_directly, len(FIRST) + 20) == whole


INVALID = b"NONSENSE\r\n\r\n"


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("position", range(len(FIRST) - 3, len(FIRST + INVALID)))
async def test_an_invalid_request_is_rejected_after_the_answer_before_it(
    position: int, held: bool
) -> None:
    app = EchoApp(respond_directly)
    connection, transport = connect(app)
    if not held:
        app.gate.set()
    for piece in cut(FIRST + INVALID, [position]):
        connection.data_received(piece)
        await settle()
    app.gate.set()
    await settle()
    assert len(app.received) == 1
    assert transport.written.startswith(b"HTTP/1.1 200 OK\r\n")
    assert transport.written.count(b"HTTP/1.1 400 Bad Request\r\n") == 1
    assert transport.closed


async def test_an_invalid_body_ends_its_request_and_no_other() -> None:
    app = EchoApp(respond_directly)
    app.gate.set()
    connection, transport = connect(app)
    connection.data_received(BARE + CHUNKED.replace(b"3\r\nond", b"zz\r\nond"))
    await settle()
    assert app.received == [EXPECTED[BARE]]
    assert transport.written.count(b"200 OK") == 1
    assert transport.written.count(b"400 Bad Request") == 1
    assert transport.closed


async def test_what_follows_connection_close_is_not_read() -> None:
    last = BARE.replace(b"x-second: 2", b"connection: close")
    for position in range(len(last) - 2, len(last) + 5):
        app = EchoApp(respond_directly_or_by_messages)
        connection, transport = connect(app)
        for piece in cut(last + FIRST, [position]):
            connection.data_received(piece)
            await settle()
        app.gate.set()
        await settle()
        assert len(app.received) == 1
        assert transport.written.count(b"HTTP/1.1 ") == 1
        assert transport.closed


async def respond_directly_or_by_messages(scope: Any, send: Any, body: bytes) -> None:
    connection = client_connection(scope)
    assert connection is not None
    assert not connection.try_respond([], body)
    await respond_by_messages(scope, send, body)


async def test_too_many_requests_ahead_end_the_connection_after_the_answers() -> None:
    app = EchoApp(respond_by_messages)
    connection, transport = connect(app)
    connection.data_received(BARE * (MAX_PIPELINED * 4))
    app.gate.set()
    await finish()
    assert len(app.received) == MAX_PIPELINED + 1
    assert transport.written.count(b"connection: close\r\n") == 1
    assert transport.closed


async def test_a_head_beyond_the_limit_is_rejected_wherever_it_is_cut() -> None:
    for head in (b"GET /" + b"a" * 2 * MAX_HEAD_BYTES, BARE[:-2] + b"x: y\r\n" * MAX_HEAD_BYTES):
        app = EchoApp(respond_directly)
        connection, transport = connect(app)
        for start in range(0, len(head), 1000):
            connection.data_received(head[start : start + 1000])
        assert transport.written.startswith(b"HTTP/1.1 431 ")
        assert transport.closed


async def test_a_long_body_behind_a_head_is_not_taken_for_a_head() -> None:
    app = EchoApp(respond_directly)
    app.gate.set()
    connection, transport = connect(app)
    head = b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % (4 * MAX_HEAD_BYTES)
    connection.data_received(head)
    for part in (*[b"x" * MAX_HEAD_BYTES] * 3, b"x" * MAX_HEAD_BYTES + BARE[:9], BARE[9:]):
        connection.data_received(part)
        await settle()
    assert len(app.received) == 2
    assert not transport.closed


async def test_reading_pauses_while_a_body_is_not_taken() -> None:
    taken = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await taken.wait()
        await respond_by_messages(scope, send, await read_body(receive, limit_bytes=1 << 20))

    connection, transport = connect(app)
    connection.data_received(b"POST / HTTP/1.1\r\ncontent-length: 200000\r\n\r\n")
    connection.data_received(b"x" * 100_000)
    assert transport.paused
    taken.set()
    await settle()
    assert not transport.paused
    connection.data_received(b"y" * 100_000)
    await settle()
    assert transport.written.endswith(b"x" * 100_000 + b"y" * 100_000)


def heads_of(written: bytes) -> Iterator[bytes]:
    for response in written.split(b"HTTP/1.1 ")[1:]:
        yield response.partition(b"\r\n\r\n")[0].lower()


async def test_continue_is_sent_only_to_a_client_that_waits_for_it() -> None:
    head = b"POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n"
    for pieces in ([head, b"body"], [head + b"body"]):
        app = EchoApp(respond_directly)
        app.gate.set()
        connection, transport = connect(app)
        for piece in pieces:
            connection.data_received(piece)
            await settle()
        assert transport.written.count(b"100 Continue") == len(pieces) - 1
        assert app.received[0].endswith(b" body")


async def test_a_response_before_the_body_was_requested_closes_the_connection() -> None:
    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        await respond_by_messages(scope, send, b"no")

    connection, transport = connect(refuse)
    connection.data_received(
        b"POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n"
    )
    await settle()
    (response,) = heads_of(transport.written)
    assert b"connection: close" in response
    assert not transport.closed  # otherwise the client might not see the response
    connection.data_received(b"body" + BARE)
    await settle()
    assert transport.closed
    assert len(list(heads_of(transport.written))) == 1


async def test_an_early_response_discards_the_rest_of_the_body_and_keeps_the_connection() -> None:
    async def respond_early(scope: Any, receive: Any, send: Any) -> None:
        await respond_by_messages(scope, send, scope["path"].encode())

    connection, transport = connect(respond_early)
    connection.data_received(FIRST[:-3])
    await settle()
    connection.data_received(FIRST[-3:] + BARE)
    await settle()
    assert transport.written.endswith(b"\r\n\r\n/two")
    assert not transport.closed


async def test_an_old_client_gets_a_body_that_ends_with_the_connection() -> None:
    async def stream(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one ", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})

    connection, transport = connect(stream)
    connection.data_received(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
    await settle()
    assert b"chunked" not in transport.written
    assert transport.written.endswith(b"\r\n\r\none two")
    assert transport.closed


async def test_a_disconnect_notifies_the_request_in_progress_and_starts_no_other() -> None:
    disconnected, calls = asyncio.Event(), 0

    async def wait(scope: Any, receive: Any, send: Any) -> None:
        nonlocal calls
        calls += 1
        await read_body(receive, limit_bytes=1 << 20)
        assert (await receive())["type"] == "http.disconnect"
        disconnected.set()

    connection, _ = connect(wait)
    connection.data_received(FIRST + BARE)
    await settle()
    connection.connection_lost(ConnectionResetError())
    await settle()
    assert disconnected.is_set()
    assert calls == 1


async def test_shutdown_lets_the_answer_and_the_body_in_progress_end() -> None:
    app = EchoApp(respond_by_messages)
    app.gate.set()
    connection, transport = connect(app)
    connection.data_received(FIRST[:-2])
    await settle()
    connection.shutdown()
    connection.data_received(FIRST[-2:])
    await settle()
    (head,) = heads_of(transport.written)
    assert b"connection: close" in head
    assert transport.closed
    assert len(app.received) == 1


async def test_an_upgrade_is_answered_without_one() -> None:
    app = EchoApp(respond_by_messages)
    app.gate.set()
    connection, transport = connect(app)
    connection.data_received(
        b"GET /two HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n" + FIRST
    )
    await settle()
    assert len(app.received) == 1
    assert transport.closed


async def test_an_app_that_fails_gives_a_500_and_closes() -> None:
    async def fail(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    connection, transport = connect(fail)
    connection.data_received(BARE)
    await settle()
    assert transport.written.startswith(b"HTTP/1.1 500 ")
    assert transport.closed


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/a%20b?x=%20", "/a b", b"x=%20"),
        (b"http://else.example/a?b", "/a", b"b"),
        (b"/a?b#c", "/a", b"b"),
    ],
)
async def test_targets(target: bytes, path: str, query: bytes) -> None:
    scopes: list[Any] = []

    async def keep(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await respond_by_messages(scope, send, b"")

    connection, _ = connect(keep)
    connection.data_received(b"GET %b HTTP/1.1\r\nhost: h\r\n\r\n" % target)
    await settle()
    (scope,) = scopes
    assert (scope["path"], scope["query_string"]) == (path, query)
    assert scope["client"] == ("192.0.2.7", 5000)


@pytest.mark.parametrize(
    "rest",
    [b"0\r\nx-trailer: " + b"a" * 3 * MAX_HEAD_BYTES, b"1;" + b"e" * 3 * MAX_HEAD_BYTES],
    ids=["trailer", "chunk extension"],
)
async def test_what_surrounds_a_body_is_limited(rest: bytes) -> None:
    app = EchoApp(respond_directly)
    connection, transport = connect(app)
    connection.data_received(CHUNKED[: CHUNKED.index(b"3\r\n")])
    for start in range(0, len(rest), 1000):
        connection.data_received(rest[start : start + 1000])
    await finish()
    assert transport.written.startswith(b"HTTP/1.1 431 ")
    assert transport.closed
    assert app.received == []


async def test_many_small_chunks_are_one_body() -> None:
    app = EchoApp(respond_directly)
    app.gate.set()
    connection, transport = connect(app)
    connection.data_received(CHUNKED[: CHUNKED.index(b"3\r\n")])
    for _ in range(2 * MAX_HEAD_BYTES // 10):
        connection.data_received(b"1\r\nx\r\n" * 10)
        await asyncio.sleep(0)
    connection.data_received(b"0\r\n\r\n")
    await finish()
    assert app.received[0].endswith(b"x" * (2 * MAX_HEAD_BYTES // 10 * 10))
    assert not transport.closed


async def test_a_closed_connection_leaves_nothing_for_the_garbage_collector() -> None:
    held: list[weakref.ref[Any]] = []

    async def wait(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await respond_by_messages(scope, send, b"")

    gc.collect()
    gc.disable()
    try:
        for lost_early in (True, False):
            connection, transport = connect(wait)
            connection.data_received(FIRST[:-2])
            request = connection.requests[0]
            marker = request.scope["marker"] = EchoApp(respond_by_messages)
            held.append(weakref.ref(marker))
            del marker, request
            if not lost_early:
                connection.data_received(FIRST[-2:])
                await settle()
            connection.connection_lost(None)
            del connection, transport
            await finish()
        assert [reference() for reference in held] == [None, None]
    finally:
        gc.enable()


async def test_only_a_small_body_that_was_received_is_taken_directly() -> None:
    taken: list[bytes | None] = []

    async def take(scope: Any, receive: Any, send: Any) -> None:
        connection = client_connection(scope)
        assert connection is not None
        taken.append(connection.take_body())
        body = b"" if taken[-1] is not None else await read_body(receive, limit_bytes=1 << 20)
        assert connection.take_body() is None
        await respond_by_messages(scope, send, body)

    large = b"POST / HTTP/1.1\r\ncontent-length: 70000\r\n\r\n" + b"x" * 70_000
    for pieces in ([FIRST], [FIRST[:-2], FIRST[-2:]], [large]):
        connection, transport = connect(take)
        for piece in pieces:
            connection.data_received(piece)
            await settle()
        assert b" 200 OK" in transport.written
    assert taken == [b"first", None, None]
