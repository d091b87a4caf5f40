"""Every route of the page's own API, beside Gradio's.

All are below `page/`, relative to the path where the app is mounted. Except for `page/sets` the
server keeps nothing of a visitor between requests, so any replica can answer them.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from akash_gradio import __version__
from akash_gradio.config.paths import ASSETS
from akash_gradio.markdown.diagrams import mermaid_script
from akash_gradio.web import texts
from akash_gradio.web.chat_routes import ChatRoutes
from akash_gradio.web.check_routes import CheckRoutes
from akash_gradio.web.compare_routes import CompareRoutes
from akash_gradio.web.deps import WebDeps
from akash_gradio.web.file_routes import FileRoutes
from akash_gradio.web.model_routes import ModelRoutes
from akash_gradio.web.page_assets import bundle_routes
from akash_gradio.web.page_route import get
from akash_gradio.web.responses import compressed
from akash_gradio.web.run_routes import RunRoutes
from akash_gradio.web.vote_routes import VoteRoutes


def page_routes(deps: WebDeps) -> list[BaseRoute]:
    """Return every route of the page; they must precede Gradio's."""

    async def boot(request: Request) -> ASGIApp:
        return await compressed(request, JSONResponse(boot_view(deps, request.scope)))

    return [
        get("/page/boot", boot),
        *ModelRoutes(deps.page).routes(),
        *ChatRoutes(deps.chat).routes(),
        *CheckRoutes(deps.operator).routes(),
        *CompareRoutes(deps.compare).routes(),
        *VoteRoutes(deps.compare).routes(),
        *FileRoutes(deps.files).routes(),
        *RunRoutes(deps.runs).routes(),
        *bundle_routes(),
        _asset_route(),
    ]


def _asset_route() -> Route:
    files = StaticFiles(directory=ASSETS)

    async def asset(request: Request) -> Response:
        # Not a `Mount`: it finds nothing below a path that a proxy removes.
        return await files.get_response(request.path_params["path"], request.scope)

    return Route("/page/assets/{path:path}", asset)


def boot_view(deps: WebDeps, scope: Scope) -> dict[str, Any]:
    """Return what the scripts need once: texts, defaults, and what this visitor may do."""
    page = deps.page
    aliases = (status.alias for status in page.models.endpoints())
    return {
        "strings": dict(texts.PAGE),
        "sets": dict(texts.SETS),
        "runs_kept": page.runs_kept,
        "zero_gpu": page.zero_gpu,
        "default_model": page.default_model,
        "version": __version__,
        "diagrams": mermaid_script(),
        "ranges": dict(page.ranges),
        "is_operator": deps.operator.may_check(scope),
        "signed_in": page.signed_in(scope),
        "user": page.user(scope),
        "own_keys": {
            "mode": page.own_keys,
            "endpoints": [alias for alias in aliases if alias in page.own_key_endpoints],
        },
    }
