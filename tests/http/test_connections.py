from __future__ import annotations

import asyncio
import resource
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from akash_gradio.gateway.passthrough.sink import client_connection
from akash_gradio.gateway.passthrough.uvicorn_protocol import (
    MAX_HEAD_BYTES,
    HeadTimeoutProtocol,
    PassthroughProtocol,
)
from akash_gradio.http.server import raise_file_limit

MANY = 10_000
IDLERS = """
import resource, socket, struct, sys
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
port, count = map(int, sys.argv[1:])
idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
print("open", flush=True)
sys.stdin.read()
for one in idle:  # by a reset, so that no port has to wait before it is used again
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
"""
"""A process of its own, since each may have so many files open."""
QUESTION = b"GET / HTTP/1.1\r\nhost: page\r\n\r\n"


class Hasty(HeadTimeoutProtocol):
    head_timeout_s = 0.1


class App:
    """Answers when its gate is open. asked: somebody stands before it."""

    def __init__(self) -> None:
        self.gate, self.asked = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.set()
        await self.gate.wait()
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def started(app: App, protocol: type[HeadTimeoutProtocol]) -> AsyncIterator[uvicorn.Server]:
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        http=protocol,
        lifespan="off",
        log_level="error",
        timeout_graceful_shutdown=2,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        yield server
    finally:
        app.gate.set()
        await server.shutdown()


def port_of(server: uvicorn.Server) -> int:
    return int(server.servers[0].sockets[0].getsockname()[1])


@asynccontextmanager
async def serving(app: App) -> AsyncIterator[Any]:
    async with started(app, Hasty) as server:
        yield lambda: asyncio.open_connection("127.0.0.1", port_of(server))


@pytest.mark.parametrize(
    "begun", [b"", b"GET / HTTP/1.1\r\nhost:", b"GET /" + b"a" * (MAX_HEAD_BYTES + 1)]
)
async def test_a_connection_that_asks_nothing_is_closed(begun: bytes) -> None:
    async with serving(App()) as connect:
        reader, writer = await connect()
        writer.write(begun)
        assert await reader.read() == b""
        writer.close()


async def test_a_thousand_connections_that_ask_nothing_shut_nobody_out() -> None:
    app = App()
    app.gate.set()
    async with serving(app) as connect:
        idle = await asyncio.gather(*(connect() for _ in range(1000)))
        reader, writer = await connect()
        writer.write(QUESTION)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        assert [await idle_reader.read() for idle_reader, _ in idle] == [b""] * 1000
        for _, idle_writer in idle:
            idle_writer.close()


async def test_ten_thousand_open_connections_shut_nobody_out_and_leave_nothing() -> None:
    raise_file_limit()
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < MANY + 500:
        pytest.skip(f"this machine lets a process open fewer than {MANY} files")
    app, full, empty = App(), asyncio.Event(), asyncio.Event()
    app.gate.set()

    class Counted(HeadTimeoutProtocol):
        head_timeout_s = 120.0  # none is closed meanwhile, on a busy machine either

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) == MANY:
                full.set()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            if not self.connections:
                empty.set()

    async with started(app, Counted) as server, asyncio.timeout(30):
        port = port_of(server)
        command = (sys.executable, "-c", IDLERS, str(port), str(MANY))
        idlers = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
        assert idlers.stdin is not None
        assert idlers.stdout is not None
        assert await idlers.stdout.readline() == b"open\n"
        await full.wait()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(QUESTION)
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        assert len(server.server_state.connections) == MANY + 1
        writer.close()
        idlers.stdin.close()
        await idlers.wait()
        await empty.wait()


async def test_a_long_answer_is_not_taken_for_idleness() -> None:
    app = App()
    async with serving(app) as connect:
        reader, writer = await connect()
        writer.write(QUESTION)
        await app.asked.wait()
        for _ in range(2):  # each lives as long as a head may take
            idle, idle_writer = await connect()
            assert await idle.read() == b""
            idle_writer.close()
        app.gate.set()
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_a_second_head_that_comes_too_slowly_is_given_up() -> None:
    app = App()
    app.gate.set()
    async with serving(app) as connect:
        reader, writer = await connect()
        writer.write(QUESTION)
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        writer.write(b"GET / HT")
        assert await reader.read() == b""
        writer.close()


def two_at_once(second: asyncio.Event) -> type[PassthroughProtocol]:
    """Sets `second` when a question has come before the one before it was answered."""

    class Heard(PassthroughProtocol):
        def on_message_complete(self) -> None:
            super().on_message_complete()
            if self.pipeline:
                second.set()

    return Heard


class Directly(App):
    """Answers by way of the connection itself. wrote: what that said, left: whom it told."""

    def __init__(self) -> None:
        super().__init__()
        self.wrote: list[bool] = []
        self.left = asyncio.Event()
        self.done = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        connection = client_connection(scope)
        assert connection is not None
        self.wrote.append(connection.try_write(b"too early"))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        self.wrote.append(connection.try_write(b"now "))
        self.asked.set()
        await self.gate.wait()
        call = self.left.set
        connection.set_disconnect_callback(call)
        self.wrote.append(connection.try_write(b"and now"))
        await send({"type": "http.response.body", "body": b"."})
        self.wrote.append(connection.try_write(b"too late"))
        await asyncio.sleep(0)
        connection.clear_disconnect_callback(call)
        self.done.set()


CHUNKS = b"4\r\nnow \r\n7\r\nand now\r\n1\r\n.\r\n0\r\n\r\n"


async def test_a_begun_answer_can_be_written_to_the_connection_itself() -> None:
    app = Directly()
    app.gate.set()
    async with started(app, PassthroughProtocol) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        for _ in range(2):
            writer.write(QUESTION)
            assert (await reader.readuntil(b"0\r\n\r\n")).endswith(b"\r\n\r\n" + CHUNKS)
        writer.close()
    assert app.wrote == [False, True, True, False] * 2
    assert not app.left.is_set()


async def test_with_a_second_question_behind_it_an_answer_goes_the_usual_way() -> None:
    app, second = Directly(), asyncio.Event()

    async with started(app, two_at_once(second)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        writer.write(QUESTION)
        await app.asked.wait()
        writer.write(QUESTION)
        await second.wait()
        app.gate.set()
        first = await reader.readuntil(b"0\r\n\r\n")
        assert first.endswith(b"4\r\nnow \r\n1\r\n.\r\n0\r\n\r\n")
        assert (await reader.readuntil(b"0\r\n\r\n")).endswith(CHUNKS)
        writer.close()
    assert app.wrote == [False, True, False, False, False, True, True, False]


async def test_who_has_left_before_anybody_asked_is_told_of_as_well() -> None:
    app, lost = Directly(), asyncio.Event()

    class Lost(PassthroughProtocol):
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            lost.set()

    async with started(app, Lost) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        writer.write(QUESTION)
        await app.asked.wait()
        writer.transport.abort()
        await lost.wait()
        app.gate.set()
        await app.done.wait()
    assert app.wrote == [False, True, False, False]
    assert app.left.is_set()


async def test_what_the_caller_does_not_read_holds_back_what_comes_after_it() -> None:
    class Pours(Directly):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            connection = client_connection(scope)
            assert connection is not None
            await send({"type": "http.response.start", "status": 200, "headers": []})
            self.wrote += [connection.try_write(b"x" * (1 << 24)), connection.try_write(b"y")]
            await send({"type": "http.response.body", "body": b"z"})

    app = Pours()
    async with started(app, PassthroughProtocol) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        writer.write(QUESTION)
        await reader.readuntil(b"\r\n\r\n1000000\r\n")
        await reader.readexactly(1 << 24)
        assert await reader.readuntil(b"0\r\n\r\n") == b"\r\n1\r\nz\r\n0\r\n\r\n"
        writer.close()
    assert app.wrote == [True, False]


async def ask_and_leave(app: Directly) -> None:
    """Ends when the app has been told of it."""
    async with started(app, PassthroughProtocol) as server, asyncio.timeout(20):
        _, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        writer.write(QUESTION)
        await app.asked.wait()
        writer.close()
        await app.left.wait()


async def test_who_leaves_is_told_of_once() -> None:
    class Waits(Directly):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            connection = client_connection(scope)
            assert connection is not None
            connection.set_disconnect_callback(self.left.set)
            self.asked.set()
            await self.left.wait()

    await ask_and_leave(Waits())


async def test_who_is_done_takes_nothing_from_the_request_after_it() -> None:
    class Overlaps(Directly):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            connection = client_connection(scope)
            assert connection is not None
            done, call = self.done.set, self.left.set
            connection.set_disconnect_callback(done)
            connection.set_disconnect_callback(call)
            connection.clear_disconnect_callback(done)
            self.asked.set()
            await self.left.wait()

    await ask_and_leave(Overlaps())


async def test_a_server_that_offers_no_connection_is_no_mistake() -> None:
    assert client_connection({"type": "http"}) is None


class Replies(Directly):
    """Gives a whole answer, by way of the connection if that takes it. wrote: whether it did."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        connection = client_connection(scope)
        assert connection is not None
        self.asked.set()
        await self.gate.wait()
        self.wrote.append(connection.try_respond([(b"x-one", b"1")], b"whole"))
        if not self.wrote[-1]:
            headers = [(b"content-length", b"5")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"whole"})


async def replies(*questions: bytes) -> tuple[list[bytes], list[bool]]:
    """The answers over one connection, each question asked when the one before is answered.

    The server has counted each of them as done.
    """
    app = Replies()
    app.gate.set()
    answers = []
    async with started(app, PassthroughProtocol) as server, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        for question in questions:
            writer.write(question)
            answers.append(await reader.readuntil(b"\r\n\r\n"))
            if not question.startswith(b"HEAD"):
                answers[-1] += await reader.readexactly(5)
        writer.close()
        assert server.server_state.total_requests == len(questions)
    return answers, app.wrote


async def test_a_whole_answer_can_be_given_by_the_connection_itself_again_and_again() -> None:
    answers, wrote = await replies(QUESTION, QUESTION)
    assert wrote == [True, True]
    for answer in answers:
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b"x-one: 1\r\ncontent-length: 5\r\n\r\nwhole")


async def test_a_head_and_a_last_answer_go_the_usual_way() -> None:
    head = QUESTION.replace(b"GET", b"HEAD")
    last = QUESTION.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
    answers, wrote = await replies(head, last)
    assert wrote == [False, False]
    assert b"connection: close\r\n" in answers[1]


async def test_an_answer_with_a_question_behind_it_goes_the_usual_way() -> None:
    app, second = Replies(), asyncio.Event()

    async with started(app, two_at_once(second)) as server, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        writer.write(QUESTION)
        await app.asked.wait()
        writer.write(QUESTION)
        await second.wait()
        app.gate.set()
        for _ in range(2):
            assert (await reader.readuntil(b"whole")).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()
    assert app.wrote == [False, True]
