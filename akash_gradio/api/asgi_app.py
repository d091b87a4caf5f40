"""The API as an ASGI app of its own, for `serve --no-ui`.

It uses no framework: Starlette's routing would cost 1 MB of memory.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final

from akash_gradio.http.asgi import ASGIApp, Receive, Scope, Send, send_response

Lifespan = Callable[[object], AbstractAsyncContextManager[None]]
PREFIX_END: Final = ":path}"
"""Ends a pattern that matches all paths with its prefix: `/v1/models/{model:path}`."""


class ApiApp:
    """Dispatches requests to the routes of the API, and runs the lifespan protocol."""

    def __init__(self, routes: Mapping[str, ASGIApp], lifespan: Lifespan) -> None:
        """Initialize the app.

        Args:
            routes: An app for each path pattern, see `routes.api_routes`.
            lifespan: The context that is open while the server runs.
        """
        self._lifespan = lifespan
        self._exact = {path: app for path, app in routes.items() if not path.endswith(PREFIX_END)}
        self._prefixes = {
            path.removesuffix(PREFIX_END): app
            for path, app in routes.items()
            if path.endswith(PREFIX_END)
        }

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Dispatch to the route of the path.

        This is not a coroutine function, so that the events of a stream pass one frame less.
        """
        app = self._exact.get(scope.get("path", ""), self._dispatch_other)
        return app(scope, receive, send)

    async def _dispatch_other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)
            return
        path = scope["path"]
        for pattern, app in self._prefixes.items():
            prefix, _, parameter = pattern.partition("{")
            if path.startswith(prefix):
                parameters = {parameter: path.removeprefix(prefix)}
                await app({**scope, "path_params": parameters}, receive, send)
                return
        await send_response(send, 404, b"Not Found", "text/plain; charset=utf-8")

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
        """Run the lifespan protocol; an exception ends the server, which reports it."""
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
