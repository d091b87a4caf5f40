"""The server's HTTP protocol over loopback sockets: limits, and direct writes to the client."""

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
from akash_gradio.http.server import raise_file_limit
from akash_gradio.http.server_protocol import MAX_HEAD_BYTES, DirectProtocol, ServerProtocol

MANY = 10_000
IDLERS = """
import resource, socket, struct, sys
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
port, count = map(int, sys.argv[1:])
idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
print("open", flush=True)
sys.stdin.read()
for connection in idle:  # reset, so that no port stays in TIME_WAIT
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
"""
"""Opens idle connections in a process of its own, with a limit of open files of its own."""
REQUEST = b"GET / HTTP/1.1\r\nhost: page\r\n\r\n"


class ShortTimeoutProtocol(ServerProtocol):
    head_timeout_s = 0.1


class App:
    """Responds when its gate is open.

    Attributes:
        called: Set at each request.
    """

    def __init__(self) -> None:
        self.gate, self.called = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.called.set()
        await self.gate.wait()
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def started(app: App, protocol: type[ServerProtocol]) -> AsyncIterator[uvicorn.Server]:
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
async def connecting(app: App) -> AsyncIterator[Any]:
    async with started(app, ShortTimeoutProtocol) as server:
        yield lambda: asyncio.open_connection("127.0.0.1", port_of(server))


@pytest.mark.parametrize(
    "head", [b"", b"GET / HTTP/1.1\r\nhost:", b"GET /" + b"a" * (MAX_HEAD_BYTES + 1)]
)
async def test_a_connection_without_a_complete_head_is_closed(head: bytes) -> None:
    async with connecting(App()) as connect:
        reader, writer = await connect()
        writer.write(head)
        assert await reader.read() == b""
        writer.close()


async def test_a_thousand_idle_connections_do_not_block_others() -> None:
    app = App()
    app.gate.set()
    async with connecting(app) as connect:
        idle = await asyncio.gather(*(connect() for _ in range(1000)))
        reader, writer = await connect()
        writer.write(REQUEST)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        assert [await idle_reader.read() for idle_reader, _ in idle] == [b""] * 1000
        for _, idle_writer in idle:
            idle_writer.close()


async def test_ten_thousand_open_connections_do_not_block_others_and_are_all_released() -> None:
    raise_file_limit()
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < MANY + 500:
        pytest.skip(f"this machine lets a process open fewer than {MANY} files")
    app, full, empty = App(), asyncio.Event(), asyncio.Event()
    app.gate.set()

    class CountingProtocol(ServerProtocol):
        head_timeout_s = 600.0  # none is closed meanwhile, even on a busy machine

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self._server_state.connections) == MANY:
                full.set()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            if not self._server_state.connections:
                empty.set()

    async with started(app, CountingProtocol) as server, asyncio.timeout(120):
        port = port_of(server)
        command = (sys.executable, "-c", IDLERS, str(port), str(MANY))
        idlers = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
        assert idlers.stdin is not None
        assert idlers.stdout is not None
        assert await idlers.stdout.readline() == b"open\n"
        await full.wait()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        assert len(server.server_state.connections) == MANY + 1
        writer.close()
        idlers.stdin.close()
        await idlers.wait()
        await empty.wait()


async def test_a_slow_response_does_not_count_as_a_slow_head() -> None:
    app = App()
    async with connecting(app) as connect:
        reader, writer = await connect()
        writer.write(REQUEST)
        await app.called.wait()
        for _ in range(2):  # each is open as long as a head may take
            idle, idle_writer = await connect()
            assert await idle.read() == b""
            idle_writer.close()
        app.gate.set()
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_a_slow_second_head_is_closed() -> None:
    app = App()
    app.gate.set()
    async with connecting(app) as connect:
        reader, writer = await connect()
        writer.write(REQUEST)
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        writer.write(b"GET / HT")
        assert await reader.read() == b""
        writer.close()


class WritingApp(App):
    """Writes its response to the connection itself.

    Attributes:
        written: What each write returned.
        disconnected: Set by the disconnect callback.
        done: Set at the end of a request.
    """

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bool] = []
        self.disconnected = asyncio.Event()
        self.done = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        connection = client_connection(scope)
        assert connection is not None
        self.written.append(connection.try_write(b"too early"))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        self.written.append(connection.try_write(b"now "))
        self.called.set()
        await self.gate.wait()
        callback = self.disconnected.set
        connection.set_disconnect_callback(callback)
        self.written.append(connection.try_write(b"and now"))
        await send({"type": "http.response.body", "body": b"."})
        self.written.append(connection.try_write(b"too late"))
        await asyncio.sleep(0)
        connection.clear_disconnect_callback(callback)
        self.done.set()


CHUNKS = b"4\r\nnow \r\n7\r\nand now\r\n1\r\n.\r\n0\r\n\r\n"


async def test_a_response_that_has_begun_can_be_written_to_the_connection() -> None:
    app = WritingApp()
    app.gate.set()
    async with started(app, DirectProtocol) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        for _ in range(2):
            writer.write(REQUEST)
            assert (await reader.readuntil(b"0\r\n\r\n")).endswith(b"\r\n\r\n" + CHUNKS)
        writer.close()
    assert app.written == [False, True, True, False] * 2
    assert not app.disconnected.is_set()


async def test_a_disconnect_before_the_callback_was_set_is_reported_too() -> None:
    app, lost = WritingApp(), asyncio.Event()

    class LosingProtocol(DirectProtocol):
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            lost.set()

    async with started(app, LosingProtocol) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        writer.write(REQUEST)
        await app.called.wait()
        writer.transport.abort()
        await lost.wait()
        app.gate.set()
        await app.done.wait()
    assert app.written == [False, True, False, False]
    assert app.disconnected.is_set()


async def test_a_write_is_refused_while_the_client_does_not_read() -> None:
    class LargeResponse(WritingApp):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            connection = client_connection(scope)
            assert connection is not None
            await send({"type": "http.response.start", "status": 200, "headers": []})
            self.written += [connection.try_write(b"x" * (1 << 24)), connection.try_write(b"y")]
            await send({"type": "http.response.body", "body": b"z"})

    app = LargeResponse()
    async with started(app, DirectProtocol) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        writer.write(REQUEST)
        await reader.readuntil(b"\r\n\r\n1000000\r\n")
        await reader.readexactly(1 << 24)
        assert await reader.readuntil(b"0\r\n\r\n") == b"\r\n1\r\nz\r\n0\r\n\r\n"
        writer.close()
    assert app.written == [True, False]


async def request_and_disconnect(app: WritingApp) -> None:
    """Return when the app was notified of the disconnect."""
    async with started(app, DirectProtocol) as server, asyncio.timeout(20):
        _, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        writer.write(REQUEST)
        await app.called.wait()
        writer.close()
        await app.disconnected.wait()


async def test_the_disconnect_callback_is_called() -> None:
    class WaitingApp(WritingApp):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            connection = client_connection(scope)
            assert connection is not None
            connection.set_disconnect_callback(self.disconnected.set)
            self.called.set()
            await self.disconnected.wait()

    await request_and_disconnect(WaitingApp())


async def test_clearing_a_callback_keeps_that_of_the_next_request() -> None:
    class OverlappingApp(WritingApp):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            connection = client_connection(scope)
            assert connection is not None
            first, second = self.done.set, self.disconnected.set
            connection.set_disconnect_callback(first)
            connection.set_disconnect_callback(second)
            connection.clear_disconnect_callback(first)
            self.called.set()
            await self.disconnected.wait()

    await request_and_disconnect(OverlappingApp())


async def test_a_server_may_offer_no_connection() -> None:
    assert client_connection({"type": "http"}) is None


class RespondingApp(WritingApp):
    """Responds through the connection if that accepts it, otherwise through `send`."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        connection = client_connection(scope)
        assert connection is not None
        self.called.set()
        await self.gate.wait()
        self.written.append(connection.try_respond([(b"x-one", b"1")], b"whole"))
        if not self.written[-1]:
            headers = [(b"content-length", b"5")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"whole"})


async def responses_to(*requests: bytes) -> tuple[list[bytes], list[bool]]:
    """Send requests in turn over one connection.

    Returns:
        The responses, and for each whether the connection accepted it directly.
    """
    app = RespondingApp()
    app.gate.set()
    responses = []
    async with started(app, DirectProtocol) as server, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        for request in requests:
            writer.write(request)
            responses.append(await reader.readuntil(b"\r\n\r\n"))
            if not request.startswith(b"HEAD"):
                responses[-1] += await reader.readexactly(5)
        writer.close()
        assert server.server_state.total_requests == len(requests)
    return responses, app.written


async def test_whole_responses_can_be_sent_by_the_connection_in_turn() -> None:
    responses, written = await responses_to(REQUEST, REQUEST)
    assert written == [True, True]
    for response in responses:
        assert response.startswith(b"HTTP/1.1 200 OK\r\n")
        assert response.endswith(b"x-one: 1\r\ncontent-length: 5\r\n\r\nwhole")


async def test_responses_to_head_and_to_connection_close_go_through_send() -> None:
    head = REQUEST.replace(b"GET", b"HEAD")
    last = REQUEST.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
    responses, written = await responses_to(head, last)
    assert written == [False, False]
    assert b"connection: close\r\n" in responses[1]
