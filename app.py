"""Settings → catalog → gateway → page → serve. What `make run` and a Space run."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from akash_gradio.api.routes import api_routes
from akash_gradio.app import Service, assemble_service
from akash_gradio.catalog.thumbnails import Thumbnails
from akash_gradio.check.service import CheckService
from akash_gradio.compare.run_store import RunStore
from akash_gradio.compare.votes.store import open_vote_store
from akash_gradio.config.settings import Settings, read_settings
from akash_gradio.gateway.passthrough.transport import load_http_client
from akash_gradio.gateway.passthrough.uvicorn_protocol import HeadTimeoutProtocol
from akash_gradio.http.locality import is_local_request
from akash_gradio.http.server import serve_until_signaled, watch_sigterm
from akash_gradio.logs import configure_logging
from akash_gradio.quota.visitor_keys import accepts_visitor_keys
from akash_gradio.web.context import AppContext
from akash_gradio.web.errors import error_body
from akash_gradio.web.page_assets import inject_page_assets
from akash_gradio.web.security import SecurityStack, build_security_stack
from akash_gradio.web.sign_in_page import sign_in_html


@dataclass(frozen=True, slots=True)
class Parts:
    """What the page shows, and the service that it stands on. runs: of prompt sets."""

    house: AppContext
    service: Service
    front: SecurityStack
    runs: RunStore

    @asynccontextmanager
    async def open(self, app: object) -> AsyncIterator[None]:
        """The service until the server ends; runs under way end before it."""
        async with self.service.open(app):
            try:
                yield
            finally:
                await self.runs.close()


def assemble(settings: Settings) -> Parts:
    """Everything behind the page, from the settings alone; nothing is opened yet."""
    service = assemble_service(settings, os.environ)
    embedded, catalog = service.embedded, service.catalog
    front = build_security_stack(
        settings, service.signer, error_body, sign_in_html, finish=inject_page_assets
    )
    thumbnails = Thumbnails(Path(__file__).parent / "assets" / "thumbnails")
    house = AppContext(
        answerer=service.source,
        catalog=catalog,
        thumbnails=thumbnails,
        problems=(*service.problems, *thumbnails.problems(catalog.cards)),
        progress=(lambda: embedded.progress) if embedded else (lambda: None),
        default_model=settings.default_model or "",
        desk=CheckService(service.gateway.endpoint, catalog),
        is_operator=front.is_operator
        if settings.admin_password or settings.behind_proxy
        else is_local_request,
        health=service.health.of,
        votes=open_vote_store(settings),
        data_dir=settings.data_dir,
        secrets=settings.secret_names,
        space=bool(settings.space_id),
        alone=lambda: service.alone,
        models=frozenset(settings.allowed_models) or None,
        ranges=settings.parameter_ranges,
        own_keys=settings.own_keys.value,
        own_key_endpoints=frozenset(e.name for e in settings.endpoints if accepts_visitor_keys(e)),
        signed_in=front.signed_in,
        user=front.user,
        closing=lambda: front.running.closing,
    )
    return Parts(house, service, front, house.open_run_store())


def launch_options(parts: Parts, settings: Settings) -> dict[str, Any]:
    """How Gradio is to serve the page: nothing public that a visitor doesn't need."""
    from starlette.middleware import Middleware
    from starlette.routing import Route

    from akash_gradio.ui.theme import page_theme
    from akash_gradio.web.routes import page_routes
    from akash_gradio.web.templating import ICON

    routes_of_api = [Route(path, app) for path, app in api_routes(parts.service.api).items()]
    return {
        "server_name": settings.server_name,
        "server_port": settings.server_port,
        "theme": page_theme(),
        "favicon_path": ICON,
        "footer_links": [],
        "ssr_mode": False,
        "run_history": False,
        "enable_monitoring": False,
        "show_error": False,
        "max_file_size": "1kb",  # the page uploads nothing to Gradio
        "prevent_thread_lock": True,
        "share": False,
        "quiet": True,
        "app_kwargs": {
            "routes": [*page_routes(parts.house, parts.runs), *routes_of_api],
            "middleware": [Middleware(parts.front.before)],
            "lifespan": parts.open,
            "docs_url": None,
            "redoc_url": None,
            "openapi_url": None,
        },
    }


def main(host: str | None = None, port: int | None = None) -> None:
    """Serve until the process is ended. host, port: in the place of the settings'."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    settings = _at(read_settings(), host, port)
    configure_logging(settings)
    parts = assemble(settings)
    for problem in parts.house.problems:
        sys.stderr.write(f"Configuration: {problem}\n")
    from akash_gradio.ui.blocks import build_ui

    page = build_ui(settings.parameter_ranges)
    load_http_client()  # Gradio gives the server 5 s to come up, also on a busy machine
    sys.stderr.write(f"Akash Gradio: http://{_reached(settings)}\n")
    told = watch_sigterm()
    page.queue(default_concurrency_limit=None).launch(**launch_options(parts, settings))
    # All that is here stays: to look through it again would halt every answer for a while.
    gc.freeze()
    serve_until_signaled(page.server, parts.front.running, told, HeadTimeoutProtocol)


def _at(settings: Settings, host: str | None, port: int | None) -> Settings:
    asked = {"server_name": host, "server_port": port}
    return settings.model_copy(update={k: v for k, v in asked.items() if v is not None})


def _reached(settings: Settings) -> str:
    host = "localhost" if settings.server_name in ("0.0.0.0", "::") else settings.server_name
    return f"{host}:{settings.server_port}"


# A ZeroGPU Space is ended unless it finds a GPU function at its start; this one is never called.
try:
    import spaces
except ImportError:
    pass
else:

    @spaces.GPU  # type: ignore[untyped-decorator, unused-ignore] # the Space brings it, untyped
    def _unused() -> None:
        """Nothing here runs on a GPU."""


if __name__ == "__main__":
    main()
