"""The real page as an ASGI app in this process: Gradio's routes, ours, and the middleware."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from gradio.routes import App as GradioApp
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route

from akash_gradio.app import _starlette_options, create_app
from akash_gradio.config.settings import read_settings
from akash_gradio.http.asgi import ASGIApp, Receive, Scope, Send
from akash_gradio.ui.blocks import build_ui

ENDPOINT: Final = {"API_ENDPOINT": "https://one.example/v1", "API_KEY": "sk-planted"}


class Recorder:
    """Wraps the router, and records the scopes that the middleware passed on."""

    def __init__(self, app: ASGIApp, passed: list[Scope]) -> None:
        self._app, self._passed = app, passed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._passed.append(scope)
        await self._app(scope, receive, send)


class Page:
    """The page below a root path.

    Attributes:
        app: The ASGI app.
        passed: The scope of each request that the middleware passed on; the router adds the
            endpoint that it chose.
    """

    def __init__(self, root_path: str = "", **variables: str) -> None:
        settings = read_settings({**ENDPOINT, "GRADIO_ROOT_PATH": root_path, **variables}, None)
        assert settings.problems == ()
        app = create_app(settings)
        assert app.page is not None
        self.passed: list[Scope] = []
        options: dict[str, Any] = _starlette_options(app, app.page)
        options["middleware"].append(Middleware(Recorder, passed=self.passed))
        blocks = build_ui({})
        blocks.root_path, blocks.theme_css = settings.root_path, ""  # as `launch` sets them
        self.app: ASGIApp = GradioApp.create_app(blocks, app_kwargs=options)


@cache
def gradio_routes() -> tuple[Route, ...]:
    """Return the routes of the installed Gradio for a page like ours."""
    return tuple(_flatten(GradioApp.create_app(build_ui({})).routes))


def _flatten(routes: Iterable[BaseRoute]) -> Iterable[Route]:
    for route in routes:
        router = getattr(route, "original_router", None)  # FastAPI includes routers lazily
        for each in router.routes if router is not None else [route]:
            if isinstance(each, Route):
                yield each
