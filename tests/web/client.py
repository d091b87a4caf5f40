"""A small app behind the security middleware, and a browser that sends requests to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from akash_gradio.auth.http_client import Fetch, fetch
from akash_gradio.auth.signing import Signer
from akash_gradio.config.settings import read_settings
from akash_gradio.http.asgi import ASGIApp
from akash_gradio.quota.counters import Counters, LocalCounters
from akash_gradio.quota.limiter import RateLimiter
from akash_gradio.web.errors import error_body
from akash_gradio.web.route_table import RouteTable
from akash_gradio.web.routes import page_routes
from akash_gradio.web.security import SecurityStack, build_security_stack
from akash_gradio.web.sign_in_page import sign_in_html
from tests.web.fakes import FakeChatGateway, make_deps

BrowserResponse: TypeAlias = Any
"""A response of `TestClient`: of httpx2 where it is installed, otherwise of httpx."""
NO_VARIABLES: Mapping[str, str] = {}
PAGE = (
    "<!doctype html><script>window.config = {};</script>"
    '<script src="own.js"></script><script type="module">\nlet a;\n</script>'
)


class RecordedRequests:
    """The requests that reached the app.

    Attributes:
        paths: Their paths.
        bodies: The sizes of their bodies in bytes.
    """

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.bodies: list[int] = []


def small_app(requests: RecordedRequests) -> Starlette:
    """Return an app with a page, a stream, reports, a drawing, and a route that reads any body."""

    async def page(request: Request) -> Response:
        requests.paths.append(request.url.path)
        return HTMLResponse(PAGE)

    async def stream(_request: Request) -> Response:
        async def events() -> AsyncIterator[str]:
            for number in range(3):
                yield f"data: {number}\n\n"
                await asyncio.sleep(0)

        return StreamingResponse(events(), media_type="text/event-stream")

    async def read(request: Request) -> Response:
        requests.paths.append(request.url.path)
        requests.bodies.append(len(await request.body()))
        return PlainTextResponse("read")

    async def report(_request: Request) -> Response:
        async def pieces() -> AsyncIterator[str]:
            for number in range(3):
                yield f"<p>{number}</p>"
                await asyncio.sleep(0)

        return StreamingResponse(pieces(), media_type="text/html")

    async def drawing(_request: Request) -> Response:
        return Response("<svg/>", media_type="image/svg+xml")

    return Starlette(
        routes=[
            Route("/", page),
            Route("/page/stream", stream),
            Route("/page/drawing", drawing),
            Route("/page/body", read, methods=["POST"]),
            Route("/page/sets/report", report, methods=["POST"]),
            Route("/page/compare/report", report, methods=["POST"]),
            Route("/{rest:path}", read, methods=["GET", "POST", "PUT"]),
        ]
    )


@cache
def page_table() -> RouteTable:
    """Return the table of the page's real routes, and of the small app's own."""
    deps = make_deps(FakeChatGateway(), Path("no-pictures"))
    own = [route for route in small_app(RecordedRequests()).routes if isinstance(route, Route)]
    extra = [route for route in own if "{" not in route.path]
    return RouteTable([*page_routes(deps), *extra])


def wrap(stack: SecurityStack, requests: RecordedRequests | None = None) -> ASGIApp:
    """Return the small app behind a security stack."""
    return stack.wrap(small_app(requests or RecordedRequests()), page_table())


def security_stack(
    variables: Mapping[str, str] = NO_VARIABLES,
    *,
    fetch: Fetch = fetch,
    counters: Counters | None = None,
    signer: Signer | None = None,
    problems: int = 0,
) -> SecurityStack:
    """Return a security stack for hosts like `page.example`.

    Args:
        variables: The environment.
        fetch: Sends requests to the provider of sign-in.
        counters: Where sign-in attempts are counted.
        signer: Signs the cookies.
        problems: Number of mistakes in the variables.
    """
    settings = read_settings({"ALLOWED_HOSTS": "*.example", **variables}, None)
    assert len(settings.problems) == problems
    limiter = RateLimiter(counters or LocalCounters())
    return build_security_stack(
        settings, signer or Signer(), limiter, error_body, sign_in_html, fetch
    )


def client(
    variables: Mapping[str, str] = NO_VARIABLES,
    *,
    requests: RecordedRequests | None = None,
    stack: SecurityStack | None = None,
    address: str = "203.0.113.5",
    tls: bool = False,
) -> TestClient:
    """Return a browser at `http://page.example`.

    Args:
        variables: The environment, for a security stack of its own.
        requests: Records what reaches the app.
        stack: A security stack to share with other browsers.
        address: The browser's address.
        tls: Whether the page is served over HTTPS.
    """
    app = wrap(stack or security_stack(variables), requests)
    scheme = "https" if tls else "http"
    return TestClient(
        app, f"{scheme}://page.example", follow_redirects=False, client=(address, 50_000)
    )
