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

from akash_gradio.api.routes import api_addresses
from akash_gradio.app import Service, assemble_service
from akash_gradio.catalog.thumbnails import Thumbnails
from akash_gradio.check.service import CheckService
from akash_gradio.compare.run_store import Runs
from akash_gradio.compare.votes.store import open_votes
from akash_gradio.config.settings import Settings, read_settings
from akash_gradio.gateway.passthrough.transport import load_client
from akash_gradio.gateway.passthrough.uvicorn_protocol import ImpatientProtocol
from akash_gradio.http.locality import is_local_request
from akash_gradio.http.server import hear_sigterm, serve_until_told
from akash_gradio.logs import set_up_logs
from akash_gradio.quota.visitor_keys import takes_own_keys
from akash_gradio.web.context import AppContext
from akash_gradio.web.errors import refusal
from akash_gradio.web.page_assets import finish_page
from akash_gradio.web.security import SecurityStack, make_front
from akash_gradio.web.sign_in_page import sign_in_html


@dataclass(frozen=True, slots=True)
class Parts:
    """What the page shows, and the service that it stands on. runs: of prompt sets."""

    house: AppContext
    service: Service
    front: SecurityStack
    runs: Runs

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
    front = make_front(settings, service.signer, refusal, sign_in_html, finish=finish_page)
    thumbnails = Thumbnails(Path(__file__).parent / "assets" / "thumbnails")
    house = AppContext(
        answerer=service.source,
        catalog=catalog,
        thumbnails=thumbnails,
        problems=(*service.problems, *thumbnails.problems(catalog.cards)),
        progress=(lambda: embedded.progress) if embedded else (lambda: None),
        default_model=settings.default_model or "",
        desk=CheckService(service.gateway.endpoint, catalog),
        is_host=front.is_host
        if settings.admin_password or settings.published
        else is_local_request,
        health=service.health.of,
        votes=open_votes(settings),
        data_dir=settings.data_dir,
        secrets=settings.secret_names,
        space=bool(settings.space_id),
        alone=lambda: service.alone,
        models=frozenset(settings.allowed_models) or None,
        ranges=settings.parameter_ranges,
        own_keys=settings.own_keys.value,
        own_key_endpoints=frozenset(e.name for e in settings.endpoints if takes_own_keys(e)),
        signed_in=front.signed_in,
        user=front.user,
        closing=lambda: front.running.closing,
    )
    return Parts(house, service, front, house.open_runs())


def launch_options(parts: Parts, settings: Settings) -> dict[str, Any]:
    """How Gradio is to serve the page: nothing public that a visitor doesn't need."""
    from starlette.middleware import Middleware
    from starlette.routing import Route

    from akash_gradio.ui.theme import page_theme
    from akash_gradio.web.routes import page_routes
    from akash_gradio.web.templating import ICON

    routes_of_api = [Route(path, app) for path, app in api_addresses(parts.service.api).items()]
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
    set_up_logs(settings)
    parts = assemble(settings)
    for problem in parts.house.problems:
        sys.stderr.write(f"Configuration: {problem}\n")
    from akash_gradio.ui.blocks import build_ui

    page = build_ui(settings.parameter_ranges)
    load_client()  # Gradio gives the server 5 s to come up, also on a busy machine
    sys.stderr.write(f"Akash Gradio: http://{_reached(settings)}\n")
    told = hear_sigterm()
    page.queue(default_concurrency_limit=None).launch(**launch_options(parts, settings))
    # All that is here stays: to look through it again would halt every answer for a while.
    gc.freeze()
    serve_until_told(page.server, parts.front.running, told, ImpatientProtocol)


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
