"""Which of Gradio's own paths the server answers, against the routes of the installed Gradio."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from gradio.routes import App
from starlette.routing import Route

from akash_gradio.ui.blocks import build_ui
from akash_gradio.web.middleware import OPEN_PATHS, OPEN_PREFIXES
from tests.web.client import RecordedRequests, client

SECURITY = Path(__file__).resolve().parents[2] / "SECURITY.md"
OPEN = {
    "/", "/assets/{path:path}", "/static/{path:path}", "/theme.css", "/favicon.ico", "/robots.txt",
    "/manifest.json", "/pwa_icon", "/gradio_api/info",
}  # fmt: skip


@pytest.fixture(scope="module")
def gradio_paths() -> list[str]:
    paths = []
    for route in App.create_app(build_ui({})).routes:
        router = getattr(route, "original_router", None)  # FastAPI includes routers lazily
        routes = router.routes if router is not None else [route]
        paths += [route.path for route in routes if isinstance(route, Route)]
    return paths


def is_open(path: str) -> bool:
    """Return whether a request for a path of this pattern reaches Gradio, with any method."""
    requests = RecordedRequests()
    browser = client(requests=requests)
    target = re.sub(r"\{[^}]*\}", "x", path)
    for method in ("GET", "POST"):
        browser.request(method, target)
    return bool(requests.paths)


def test_only_the_paths_that_a_browser_requests_are_open(gradio_paths: list[str]) -> None:
    assert len(gradio_paths) > 50
    assert {path for path in gradio_paths if is_open(path)} == OPEN


def test_the_open_paths_are_listed_in_the_security_policy() -> None:
    text = SECURITY.read_text("utf-8")
    for path in (*OPEN_PATHS, *OPEN_PREFIXES):
        assert f"`{path}`" in text, path
