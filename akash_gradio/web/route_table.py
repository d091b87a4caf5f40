"""The allow list of routes: what the page's server answers, and who may request it.

It is built from the page's own routes, so that a path is served only if it is matched by one of
them, or is one of the few of Gradio's that a browser requests. Everything else doesn't exist here:
Gradio's uploads, files, proxies, queues, its configuration and its sign-in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from starlette.routing import BaseRoute, Route, compile_path

PUBLIC_PREFIX: Final = "/page/assets/"
"""Files that the sign-in page needs."""
REPORT_PREFIXES: Final = ("/page/sets/", "/page/compare/")
STARTUP_PATH: Final = "/gradio_api/startup-events"
"""Requested by Gradio itself, to check that its server has started."""
GRADIO_PATHS: Final = (
    "/",
    "/static/{path:path}",
    "/theme.css",
    "/favicon.ico",
    "/robots.txt",
    "/manifest.json",
    "/pwa_icon",
    "/gradio_api/info",
)
"""Gradio's routes that a browser requests. The last one is requested by a Space's page on
huggingface.co; it lists no endpoint that could be called."""
SIGN_IN_PATHS: Final = ("/page/sign-in", "/page/sign-in/{rest:path}", "/page/sign-out")
API_PATHS: Final = ("/v1/{rest:path}", "/healthz", "/metrics")


class Access(Enum):
    """Who may request a route."""

    API = "api"
    """API clients: the route has its own keys and limits, and its responses are not changed."""
    PUBLIC = "public"
    SIGN_IN = "sign_in"
    """Everyone; the route is one of `SignIn`."""
    SESSION = "session"
    """Visitors with a session, where one is required."""
    STARTUP = "startup"
    """Gradio itself, once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRoute:
    """An entry of the table.

    Attributes:
        pattern: The route's path in Starlette's notation.
        access: Who may request it.
    """

    pattern: str
    access: Access

    @property
    def is_report(self) -> bool:
        """Whether its HTML is a report, which is streamed and runs no script."""
        return self.pattern.startswith(REPORT_PREFIXES)

    @property
    def is_private(self) -> bool:
        """Whether no cache may store its responses."""
        return self.pattern.startswith("/page/") and self.access is not Access.PUBLIC


class RouteTable:
    """Finds the route of a path; the first match wins, as in Starlette's router."""

    def __init__(self, page_routes: Iterable[BaseRoute]) -> None:
        """Build the table.

        Args:
            page_routes: The page's own routes, and those of `/v1`.
        """
        self._exact: dict[str, OpenRoute] = {}
        self._patterns: list[tuple[re.Pattern[str], OpenRoute]] = []
        for path in SIGN_IN_PATHS:
            self._add(path, Access.SIGN_IN)
        for path in API_PATHS:
            self._add(path, Access.API)
        for route in page_routes:
            if isinstance(route, Route):
                is_public = route.path.startswith(PUBLIC_PREFIX)
                self._add(route.path, Access.PUBLIC if is_public else Access.SESSION)
        for path in GRADIO_PATHS:
            self._add(path, Access.SESSION)
        self._add(STARTUP_PATH, Access.STARTUP)

    def find(self, path: str) -> OpenRoute | None:
        """Return the route of a path below the root path, None if there is none."""
        exact = self._exact.get(path)
        if exact is not None:
            return exact
        matches = (route for pattern, route in self._patterns if pattern.match(path))
        return next(matches, None)

    def _add(self, path: str, access: Access) -> None:
        route = OpenRoute(pattern=path, access=access)
        if "{" in path:
            self._patterns.append((compile_path(path)[0], route))
        else:
            self._exact.setdefault(path, route)
