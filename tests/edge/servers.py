"""Both servers on a loopback socket in this event loop, and a client that sends raw bytes."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import uvicorn

from akash_gradio.app import api_server_config, create_app
from akash_gradio.config.settings import read_settings
from akash_gradio.http.server_protocol import ServerProtocol
from tests.stubs import StubEndpoint, entry

Kind: TypeAlias = Literal["page", "api"]
KINDS: Final[tuple[Kind, ...]] = ("page", "api")


@dataclass(frozen=True, slots=True)
class Response:
    """A response, as a client parses it."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> Any:
        """The code of an error."""
        return json.loads(self.body)["error"]["code"]


@dataclass(frozen=True, slots=True)
class Server:
    """A running server.

    Attributes:
        kind: The page's server, or that of `serve --no-ui`.
        port: Where it listens.
        stub: Its endpoint.
    """

    kind: Kind
    port: int
    stub: StubEndpoint

    async def send(
        self, pieces: bytes | Iterable[bytes], *, pause_s: float = 0.0, count: int = 100
    ) -> list[Response]:
        """Send bytes on one connection, and return its responses.

        Args:
            pieces: What to send; pieces arrive separately.
            pause_s: Seconds between two pieces.
            count: How many responses to wait for, unless the server closes the connection.
        """
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with suppress(ConnectionError):
                for piece in [pieces] if isinstance(pieces, bytes) else pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(pause_s)
            return [response async for response in _responses(reader, count)]
        finally:
            writer.transport.abort()


async def _responses(reader: asyncio.StreamReader, count: int) -> AsyncIterator[Response]:
    """Yield so many responses, fewer if the connection is closed."""
    for _ in range(count):
        try:
            async with asyncio.timeout(60.0):
                head = await reader.readuntil(b"\r\n\r\n")
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            return
        status_line, *lines = head.decode("latin-1").rstrip().split("\r\n")
        pairs = (line.split(": ", 1) for line in lines)
        headers = {name.lower(): value for name, value in pairs}
        body = b""
        if headers.get("transfer-encoding") == "chunked":
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readexactly(2)
        else:
            body = await reader.readexactly(int(headers.get("content-length", "0")))
        yield Response(int(status_line.split()[1]), headers, body)


@asynccontextmanager
async def running(
    kind: Kind, *, protocol: type[ServerProtocol] | None = None, **variables: str
) -> AsyncIterator[Server]:
    """Run a server with one endpoint.

    Args:
        kind: Which server.
        protocol: Another protocol for the page's server.
        variables: The environment.
    """
    async with StubEndpoint("perfect") as stub:
        endpoints = json.dumps([entry(stub, name="only")])
        settings = read_settings({"ENDPOINTS": endpoints, **variables}, None)
        assert settings.problems == ()
        app = create_app(settings, page=kind == "page")
        config = api_server_config(app)
        if kind == "page":
            config.http = protocol or ServerProtocol
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[listener])
        try:
            yield Server(kind, listener.getsockname()[1], stub)
        finally:
            server.config.timeout_graceful_shutdown = 1
            await server.shutdown(sockets=[listener])


def request(
    method: str, target: str, *headers: tuple[str, str], body: bytes = b"", host: str = "127.0.0.1"
) -> bytes:
    """Return the bytes of a request."""
    lines = [("Host", host), *headers]
    if body:
        lines.append(("Content-Length", str(len(body))))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


def chat_request(text: str = "hi") -> bytes:
    """Return the bytes of a chat completion request."""
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()
    return request("POST", "/v1/chat/completions", ("Content-Type", "application/json"), body=body)
