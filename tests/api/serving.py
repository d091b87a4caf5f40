"""`/v1` on a loopback socket in this event loop, and a client that reads every byte."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Self

import uvicorn
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from akash_gradio.api.metrics import Metrics
from akash_gradio.api.routes import ApiDeps
from akash_gradio.app import App, api_server_config
from akash_gradio.auth.api_keys import ApiKeyAuth
from akash_gradio.catalog.loader import Catalog
from akash_gradio.config.settings import Settings
from akash_gradio.domain.model import ModelCard
from akash_gradio.domain.receipt import Receipt
from akash_gradio.gateway import Gateway, open_gateway
from akash_gradio.gateway.passthrough.transport import HttpTransport
from akash_gradio.quota.counters import Counters, LocalCounters
from akash_gradio.quota.limiter import RateLimiter
from tests.stubs import StubEndpoint, entry, settings_for

LONG_TIMEOUTS = {"FIRST_TOKEN_TIMEOUT": 20, "IDLE_TIMEOUT": 20}
"""For tests that are not about time, so that a busy machine changes nothing."""
CHAT = "/v1/chat/completions"


@cache
def network() -> HttpTransport:
    """Return one transport for all tests: reading the certificates takes a while."""
    return HttpTransport()


@dataclass
class Served:
    """A running `/v1`.

    Attributes:
        port: Where it listens.
        gateway: Its gateway.
        metrics: Its metrics.
        receipts: The receipt of each answer.
    """

    port: int
    gateway: Gateway
    metrics: Metrics
    receipts: asyncio.Queue[Receipt]

    @property
    def url(self) -> str:
        """The `base_url` of an OpenAI client."""
        return f"http://127.0.0.1:{self.port}/v1"

    @asynccontextmanager
    async def client(self, key: str = "any", **options: Any) -> AsyncIterator[AsyncOpenAI]:
        """Return OpenAI's client, which doesn't retry."""
        http = DefaultAsyncHttpxClient(verify=False, trust_env=False)  # no certificates to load
        arguments = {"max_retries": 0, "timeout": 20, **options}
        async with AsyncOpenAI(
            base_url=self.url, api_key=key, http_client=http, **arguments
        ) as client:
            yield client

    async def connect(self) -> Connection:
        return await Connection.to(self.port)

    async def ask(self, body: object, **headers: str) -> ReceivedResponse:
        """Send one request on a connection of its own, and return the whole response."""
        async with await self.connect() as connection:
            await connection.send("POST", CHAT, body, headers)
            return await connection.read_response()

    async def get(self, path: str, **headers: str) -> ReceivedResponse:
        async with await self.connect() as connection:
            await connection.send("GET", path, None, headers)
            return await connection.read_response()


@dataclass
class ReceivedResponse:
    """A response.

    Attributes:
        status: HTTP status.
        headers: Headers with names in lower case.
        chunks: The chunks of the body, as the server sent them.
    """

    status: int
    headers: dict[str, str]
    chunks: list[bytes] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        error = self.json["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"]
        return dict(error)


class Connection:
    """A client's connection, with HTTP/1.1 written by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def to(cls, port: int) -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 24))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def send(
        self, method: str, path: str, body: object, headers: Mapping[str, str] | None = None
    ) -> None:
        data = body if isinstance(body, bytes) else b"" if body is None else _json(body)
        all_headers = {"host": "127.0.0.1", "content-length": str(len(data)), **(headers or {})}
        lines = [f"{method} {path} HTTP/1.1"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in all_headers.items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + data)
        await self._writer.drain()

    async def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def send_chunked(self, path: str, chunks: list[bytes]) -> None:
        """Send a body without an announced length, as far as the server reads it."""
        head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n"
        self._writer.write(head.encode())
        for chunk in chunks:
            self._writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            await self._writer.drain()

    async def read_response(self) -> ReceivedResponse:
        """Read a whole response."""
        response = await self.read_head()
        if response.headers.get("transfer-encoding") == "chunked":
            while piece := await self.read_chunk():
                response.chunks.append(piece)
        else:
            length = int(response.headers.get("content-length", "0"))
            response.chunks.append(await self._reader.readexactly(length))
        return response

    async def read_head(self) -> ReceivedResponse:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = [line.split(": ", 1) for line in head[1:] if line]
        return ReceivedResponse(
            int(head[0].split()[1]), {name.lower(): value for name, value in pairs}
        )

    async def read_chunk(self) -> bytes:
        """Read the next chunk, b"" at the end."""
        size = int(await self._reader.readuntil(b"\r\n"), 16)
        data = await self._reader.readexactly(size + 2)
        return data[:-2]

    def disconnect(self) -> None:
        """Reset the connection."""
        client_socket = self._writer.get_extra_info("socket")
        client_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


@asynccontextmanager
async def serving(
    settings: Settings, *cards: ModelCard, counters: Counters | None = None
) -> AsyncIterator[Served]:
    """Run a server with these settings, on a port of its own.

    Args:
        settings: The settings.
        cards: The catalog.
        counters: Where the requests of API keys are counted.
    """
    catalog = Catalog(cards=cards)
    metrics = Metrics(lambda model: model in {"m", "other-model", "spare"})
    receipts: asyncio.Queue[Receipt] = asyncio.Queue()

    def observe(receipt: Receipt) -> None:
        metrics.observe(receipt)
        receipts.put_nowait(receipt)

    gateway = open_gateway(settings, catalog.get, transport=network(), on_receipt=observe)
    metrics.watch(gateway.endpoints)
    auth = ApiKeyAuth(settings.gateway_keys, keys_configured=settings.gateway_keys_configured)
    limiter = RateLimiter(counters or LocalCounters())
    api = ApiDeps(gateway=gateway, catalog=catalog, auth=auth, limiter=limiter, metrics=metrics)
    app = App(
        settings=settings,
        catalog=catalog,
        gateway=gateway,
        backend=gateway,
        api=api,
        limiter=limiter,
    )
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    config = api_server_config(app)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    try:
        yield Served(listener.getsockname()[1], gateway, metrics, receipts)
    finally:
        await server.shutdown(sockets=[listener])


@asynccontextmanager
async def serving_pair(
    bad: object, **variables: object
) -> AsyncIterator[tuple[Served, StubEndpoint, StubEndpoint]]:
    """Serve one endpoint that misbehaves and is called first, and a perfect one."""
    async with StubEndpoint(bad) as first, StubEndpoint("perfect") as second:
        entries = entry(first, name="bad", weight=1000), entry(second, name="good")
        async with serving(settings_for(*entries, **(LONG_TIMEOUTS | variables))) as served:
            yield served, first, second


@asynccontextmanager
async def serving_one(
    behavior: object = "perfect", fields: Mapping[str, Any] | None = None, **variables: object
) -> AsyncIterator[tuple[Served, StubEndpoint]]:
    """Serve one endpoint without retries. `fields` are added to its entry."""
    async with StubEndpoint(behavior) as stub:
        only = entry(stub, name="only", **(fields or {}))
        options = LONG_TIMEOUTS | {"RETRY_ATTEMPTS": 0} | variables
        async with serving(settings_for(only, **options)) as served:
            yield served, stub


def chat_body(text: str = "Grüße", **fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **fields}


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
