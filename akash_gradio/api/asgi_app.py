"""The addresses as an ASGI app of their own: no framework, which would cost 1 MB of memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

Lifespan = Callable[[object], AbstractAsyncContextManager[None]]
REST: Final = ":path}"
"""Ends an address that stands for all that begin as it does: `/v1/models/{model:path}`."""


class ApiApp:
    """addresses: of `api_routes`. lifespan: what is open while it serves."""

    def __init__(self, addresses: Mapping[str, ASGIApp], lifespan: Lifespan) -> None:
        self._lifespan = lifespan
        self._exact = {path: app for path, app in addresses.items() if not path.endswith(REST)}
        self._beginnings = {
            path.removesuffix(REST): app for path, app in addresses.items() if path.endswith(REST)
        }

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """No coroutine of its own: each wait for a token would come by it."""
        app = self._exact.get(scope.get("path", ""), self._seldom)
        return app(scope, receive, send)

    async def _seldom(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        path = scope["path"]
        for address, app in self._beginnings.items():
            beginning, _, name = address.partition("{")
            if path.startswith(beginning):
                rest = {name: path.removeprefix(beginning)}
                await app({**scope, "path_params": rest}, receive, send)
                return
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"9")]
        await send({"type": "http.response.start", "status": 404, "headers": headers})
        await send({"type": "http.response.body", "body": b"Not Found"})

    async def _live(self, receive: Receive, send: Send) -> None:
        """The lifespan protocol: what goes wrong ends the server, which tells of it."""
        stage = "startup"
        try:
            await receive()
            async with self._lifespan(self):
                await send({"type": "lifespan.startup.complete"})
                await receive()
                stage = "shutdown"
        except Exception as error:
            await send({"type": f"lifespan.{stage}.failed", "message": type(error).__name__})
            raise
        await send({"type": "lifespan.shutdown.complete"})
