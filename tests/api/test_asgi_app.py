"""`serve --no-ui`: the API without the page and its framework."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from akash_gradio.api.asgi_app import ApiApp
from tests.api.serving import serving_one


async def test_an_unknown_path_is_not_found() -> None:
    async with serving_one() as (served, _):
        response = await served.get("/")
    assert (response.status, response.body) == (404, b"Not Found")


class Server:
    """The server's side of the lifespan protocol.

    Attributes:
        messages: What the app sent.
    """

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self._end = asyncio.Event()
        self._received = 0

    async def receive(self) -> dict[str, Any]:
        self._received += 1
        if self._received > 1:
            await self._end.wait()
        return {"type": "lifespan.startup" if self._received == 1 else "lifespan.shutdown"}

    async def send(self, message: Any) -> None:
        self.messages.append(message)
        self._end.set()


async def run_lifespan(*, fails_at: str = "") -> tuple[Server, bool]:
    """Return the server, and whether the app raised."""
    server = Server()

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        if fails_at == "start":
            raise OSError("secret")
        yield
        if fails_at == "end":
            raise OSError("secret")

    try:
        await ApiApp({}, lifespan)({"type": "lifespan"}, server.receive, server.send)
    except OSError:
        return server, True
    return server, False


@pytest.mark.parametrize(
    ("fails_at", "stages"),
    [
        ("", ["startup.complete", "shutdown.complete"]),
        ("start", ["startup.failed"]),
        ("end", ["startup.complete", "shutdown.failed"]),
    ],
)
async def test_the_server_learns_whether_startup_and_shutdown_succeeded(
    fails_at: str, stages: list[str]
) -> None:
    server, failed = await run_lifespan(fails_at=fails_at)
    assert [message["type"].removeprefix("lifespan.") for message in server.messages] == stages
    assert failed == bool(fails_at)
    assert "secret" not in str(server.messages)
