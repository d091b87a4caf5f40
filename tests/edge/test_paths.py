"""The guard and the router read the same path: every spelling, root path and route of Gradio."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from types import CodeType
from typing import Final
from urllib.parse import unquote

import pytest

from akash_gradio.http.asgi import Message, Scope, below_root, route_path
from akash_gradio.web.route_table import GRADIO_PATHS, STARTUP_PATH
from tests.browser.servers import ROOT
from tests.edge.pages import Page, gradio_routes

ROOTS: Final = (
    "",
    "/chat",
    "chat/",
    "/page",
    "/static",
    "/v1",
    "/gradio_api",
    "https://h.example/a",
)
OPEN: Final = frozenset({*GRADIO_PATHS, "/assets/{path:path}"})
"""Gradio's routes that may be served. The last one is replaced by a route of our own."""
PREFIXES: Final = (
    "", "/", "//", "/.", "/..", "/page", "/page/", "/page/assets", "/page/assets/..",
    "/static/..", "/assets/..", "/v1/..", "/v1/models/..", "/healthz", "/%2f", "/%2e%2e",
    "/page/%2e%2e", "\\", "/%5c", "/chat", "/chat/page/assets/..", "//h.example",
)  # fmt: skip
SUFFIXES: Final = ("", "/", "//", "/.", "/..", ";x", "%00", "%2f", "%20", "?x=/page/boot", ".js")


def spellings(path: str, root: str) -> Iterator[str]:
    """Yield request targets that a part of the server may read as this path."""
    for prefix in (*PREFIXES, root, root * 2, f"{root}/", f"/{root}"):
        yield prefix + path
    for suffix in SUFFIXES:
        yield root + path + suffix
    yield path.upper()
    yield path.replace("/", "//")
    yield path.replace("/", "%2f")
    yield "/" + path[1:].replace("/", "%2F")
    yield "".join(f"%{ord(character):02x}" for character in path)
    yield path.replace("_", "%5f")


def closed_routes() -> dict[CodeType, tuple[str, str]]:
    """Map each endpoint of Gradio that must not be served to a method and a path."""
    is_open = {r.endpoint.__code__ for r in gradio_routes() if r.path in OPEN}
    return {
        route.endpoint.__code__: (min(route.methods or ()), re.sub(r"\{[^}]*\}", "x", route.path))
        for route in gradio_routes()
        if route.endpoint.__code__ not in is_open
    }


async def send_to(page: Page, method: str, target: str, **headers: str) -> int:
    """Send a request as a server does for this target, and return the status."""
    statuses: list[int] = []
    path, _, query = target.partition("?")
    lines = {"host": "localhost", **headers}
    scope: Scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1", "method": method,
        "scheme": "http", "path": unquote(path), "raw_path": path.encode(), "root_path": "",
        "query_string": query.encode(), "client": ("203.0.113.5", 1), "server": ("10.0.0.1", 7860),
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in lines.items()],
    }  # fmt: skip

    messages: list[Message] = [{"type": "http.request", "body": b""}]

    async def receive() -> Message:
        if not messages:  # the client stays connected
            await asyncio.Event().wait()
        return messages.pop()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await page.app(scope, receive, send)
    return statuses[0]


@pytest.mark.parametrize("root", ROOTS)
async def test_no_spelling_reaches_a_route_of_gradio_that_is_closed(root: str) -> None:
    page, closed = Page(root), closed_routes()
    for method, path in closed.values():
        for target in dict.fromkeys(spellings(path, root.rstrip("/"))):
            status = await send_to(page, method, target)
            for scope in page.passed:
                code = getattr(scope.get("endpoint"), "__code__", None)
                assert code not in closed, (method, target)
            assert page.passed or status in (404, 421), (method, target, status)
            page.passed.clear()


def test_the_table_covers_the_installed_gradio() -> None:
    paths = {route.path for route in gradio_routes()}
    assert len(closed_routes()) > 40
    assert paths >= {*OPEN, STARTUP_PATH, "/gradio_api/upload", "/gradio_api/queue/join"}


@pytest.mark.parametrize(
    ("root", "path", "expected"),
    [
        ("", "/page/boot", "/page/boot"),
        ("/chat", "/page/boot", "/page/boot"),
        ("/chat", "/chat/page/boot", "/page/boot"),
        ("/chat", "/chat/chat/page/boot", "/chat/page/boot"),
        ("/chat", "/chatpage/boot", "/chatpage/boot"),
        ("/chat/", "/chat/page/boot", "/page/boot"),
        ("chat", "/chat/page/boot", "/page/boot"),
        ("https://host.example/chat", "/chat/page/boot", "/page/boot"),
        ("https://host.example", "/page/boot", "/page/boot"),
        ("/", "/page/boot", "/page/boot"),
        ("/a/b", "/a/b/page/boot", "/page/boot"),
        ("/a/b", "/a/page/boot", "/a/page/boot"),
    ],
)
def test_a_path_is_read_below_its_root_path(root: str, path: str, expected: str) -> None:
    scope = below_root({"path": path, "root_path": root})
    assert route_path(scope) == expected
    assert below_root(scope) == scope


@pytest.mark.parametrize("root", ["", "/chat", "chat/", "https://h.example/chat", "/page"])
async def test_the_pages_own_paths_are_served_below_a_root_path(root: str) -> None:
    page, mount = Page(root), "/page" if root == "/page" else "/chat"
    for path in ("/page/boot", "/page/assets/js/app.js", "/theme.css", "/page/sign-in", "/healthz"):
        removed = [] if root == "/page" else [path]  # as after a proxy that removes the root path
        for target in [*removed, mount + path] if root else [path]:
            assert await send_to(page, "GET", target) in (200, 503), target


def test_the_open_paths_are_listed_in_the_security_policy() -> None:
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    for path in GRADIO_PATHS:
        assert f"`{path.partition('{')[0]}`" in text, path
