"""A small app behind the edge, and who asks it."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from akash_gradio.auth.http_client import Fetch, fetch
from akash_gradio.auth.signing import Signer
from akash_gradio.config.settings import read_settings
from akash_gradio.web.errors import error_body
from akash_gradio.web.security import SecurityStack, build_security_stack
from akash_gradio.web.sign_in_page import sign_in_html

PAGE = (
    "<!doctype html><script>window.config = {};</script>"
    '<script src="own.js"></script><script type="module">\nlet a;\n</script>'
)


class RecordedRequests:
    """Live: the requests that came through, and how many bytes each brought."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.bodies: list[int] = []


def small_app(asked: RecordedRequests) -> Starlette:
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

    async def report(_request: Request) -> Response:
        async def pieces() -> Any:
            for number in range(3):
                yield f"<p>{number}</p>"
                await asyncio.sleep(0)

        return StreamingResponse(pieces(), media_type="text/html")

    async def drawing(_request: Request) -> Response:
        return Response("<svg/>", media_type="image/svg+xml")

    return Starlette(
        routes=[
            Route("/", page),
            Route("/stream", stream),
            Route("/drawing", drawing),
            Route("/page/sets/report", report, methods=["POST"]),
            Route("/page/compare/report", report, methods=["POST"]),
            Route("/{rest:path}", read, methods=["GET", "POST", "PUT"]),
        ]
    )


def security_stack(*, ask: Fetch = fetch, problems: int = 0, **variables: str) -> SecurityStack:
    """The edge with these variables set. ask: how the provider of sign-in is asked."""
    settings = read_settings(variables, None)
    assert len(settings.problems) == problems
    return build_security_stack(settings, Signer(), error_body, sign_in_html, ask)


def client(
    asked: RecordedRequests | None = None,
    *,
    behind: SecurityStack | None = None,
    address: str = "203.0.113.5",
    tls: bool = False,
    **variables: str,
) -> TestClient:
    """A browser at `http://page.example`, of this address. behind: an edge that is there."""
    app = (behind or security_stack(**variables)).before(small_app(asked or RecordedRequests()))
    scheme = "https" if tls else "http"
    return TestClient(
        app, f"{scheme}://page.example", follow_redirects=False, client=(address, 50_000)
    )
