from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from akash_gradio.edge.connections import HEAD_BYTES, ImpatientProtocol

QUESTION = b"GET / HTTP/1.1\r\nhost: page\r\n\r\n"


class Hasty(ImpatientProtocol):
    head_s = 0.1


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
async def serving(app: App) -> AsyncIterator[Any]:
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, http=Hasty, lifespan="off", log_level="error"
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield lambda: asyncio.open_connection("127.0.0.1", port)
    finally:
        app.gate.set()
        await server.shutdown()


@pytest.mark.parametrize(
    "begun", [b"", b"GET / HTTP/1.1\r\nhost:", b"GET /" + b"a" * (HEAD_BYTES + 1)]
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
