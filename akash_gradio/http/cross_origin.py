"""Lets the pages of other sites send requests and read the responses (CORS)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from akash_gradio.http.asgi import CONNECTION_EXTENSION, ASGIApp, Receive, Scope, Send, header

MAX_AGE_S: Final = 600
"""How long browsers remember that a request is allowed."""
EXPOSED_HEADERS: Final = (
    "x-request-id",
    "x-endpoint",
    "x-attempts",
    "x-fallback-model",
    "retry-after",
    "x-should-retry",
)
"""Response headers of `/v1` that scripts may read."""


def allow_cross_origin(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """Answer preflight requests, and mark responses as readable, for these origins.

    It has to be the outermost layer: Gradio's own replies to preflight requests of every site.

    Args:
        app: The app.
        origins: Origins in lower case (`https://host`), as ALLOWED_ORIGINS lists them.

    Returns:
        The app itself if there are no origins.
    """
    if not origins:
        return app
    from starlette.middleware.cors import CORSMiddleware

    marked = CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=("GET", "POST"),
        allow_headers=("*",),
        allow_credentials=True,
        expose_headers=EXPOSED_HEADERS,
        max_age=MAX_AGE_S,
    )

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not header(scope, "origin"):
            await app(scope, receive, send)
            return
        # The app must not write to the connection directly, past this layer.
        extensions = dict(scope.get("extensions") or {})
        extensions.pop(CONNECTION_EXTENSION, None)
        await marked({**scope, "extensions": extensions}, receive, send)

    return respond
