"""The addresses without a page, and without the framework that the page stands on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from akash_gradio.api.asgi_app import ApiApp
from tests.api.serving import serving_one


async def test_an_address_that_is_none_is_not_found() -> None:
    async with serving_one() as (served, _):
        said = await served.get("/")
    assert (said.status, said.body) == (404, b"Not Found")


class Server:
    """The far end of the lifespan protocol. said: what the app told it."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []
        self.ends = asyncio.Event()
        self._asked = 0

    async def receive(self) -> dict[str, Any]:
        self._asked += 1
        if self._asked > 1:
            await self.ends.wait()
        return {"type": "lifespan.startup" if self._asked == 1 else "lifespan.shutdown"}

    async def send(self, message: Any) -> None:
        self.said.append(message)
        self.ends.set()


async def live(*, fails_to: str = "") -> tuple[Server, bool]:
    """What the server heard, and whether the app failed besides."""
    server = Server()

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        if fails_to == "start":
            raise OSError("secret")
        yield
        if fails_to == "end":
            raise OSError("secret")

    try:
        await ApiApp({}, lifespan)({"type": "lifespan"}, server.receive, server.send)
    except OSError:
        return server, True
    return server, False


@pytest.mark.parametrize(
    ("fails_to", "stages"),
    [
        ("", ["startup.complete", "shutdown.complete"]),
        ("start", ["startup.failed"]),
        ("end", ["startup.complete", "shutdown.failed"]),
    ],
)
async def test_the_server_hears_how_it_began_and_ended(fails_to: str, stages: list[str]) -> None:
    server, failed = await live(fails_to=fails_to)
    assert [message["type"].removeprefix("lifespan.") for message in server.said] == stages
    assert failed == bool(fails_to)
    assert "secret" not in str(server.said)
