"""A small app behind the edge, and who asks it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from akash_gradio.edge.closing import Running
from akash_gradio.edge.middleware import Edge, Rules
from akash_gradio.ui.refusals import refusal

PAGE = (
    "<!doctype html><script>window.config = {};</script>"
    '<script src="own.js"></script><script type="module">\nlet a;\n</script>'
)


class Asked:
    """Live: the requests that came through, and how many bytes each brought."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.bodies: list[int] = []


def small_app(asked: Asked) -> Starlette:
    """A page, a stream, and an address that reads whatever comes."""

    async def page(request: Request) -> Response:
        asked.paths.append(request.url.path)
        return HTMLResponse(PAGE)

    async def stream(_request: Request) -> Response:
        async def events() -> Any:
            for number in range(3):
                yield f"data: {number}\n\n"
                await asyncio.sleep(0)

        return StreamingResponse(events(), media_type="text/event-stream")

    async def read(request: Request) -> Response:
        asked.paths.append(request.url.path)
        asked.bodies.append(len(await request.body()))
        return PlainTextResponse("read")

    async def drawing(_request: Request) -> Response:
        return Response("<svg/>", media_type="image/svg+xml")

    return Starlette(
        routes=[
            Route("/", page),
            Route("/stream", stream),
            Route("/drawing", drawing),
            Route("/{rest:path}", read, methods=["GET", "POST", "PUT"]),
        ]
    )


def client(
    asked: Asked | None = None,
    *,
    running: Running | None = None,
    headers: Mapping[str, str] | None = None,
    **rules: Any,
) -> TestClient:
    """Someone at `http://page.example`."""
    app = Edge(small_app(asked or Asked()), Rules(**rules), refusal, running or Running())
    return TestClient(app, "http://page.example", headers=headers, follow_redirects=False)
