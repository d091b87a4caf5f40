"""Settings → catalog → gateway → page → serve. What `make run` and a Space run."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from akash_gradio.catalog.reading import read_catalog
from akash_gradio.catalog.thumbnails import Thumbnails
from akash_gradio.domain.progress import Progress, Stage
from akash_gradio.embedded.progress import terminal_progress
from akash_gradio.embedded.supervisor import EmbeddedEndpoint
from akash_gradio.embedded.weights import served_id
from akash_gradio.endpoint_list import EMBEDDED_ALIAS
from akash_gradio.gateway import Gateway, open_gateway
from akash_gradio.logs import set_up_logs
from akash_gradio.settings import Settings, read_settings
from akash_gradio.ui.house import House


@dataclass(frozen=True, slots=True)
class Parts:
    """What the page stands on; `open` starts it with the server's event loop."""

    house: House
    gateway: Gateway
    embedded: EmbeddedEndpoint | None

    @asynccontextmanager
    async def open(self, _app: object) -> AsyncIterator[None]:
        """The gateway and, where it is wanted, the model on this machine, until the server ends."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.gateway)
            if self.embedded is not None:
                running = asyncio.create_task(self.embedded.run())
                stack.push_async_callback(_end, running)
            yield


def assemble(settings: Settings) -> Parts:
    """Everything behind the page, from the settings alone; nothing is opened yet."""
    catalog = read_catalog(settings.catalog_file, os.environ)
    thumbnails = Thumbnails(Path(__file__).parent / "assets" / "thumbnails")
    gateway = open_gateway(settings, catalog.get)
    embedded = _embedded(settings, gateway) if settings.embedded_wanted else None
    house = House(
        answerer=gateway,
        catalog=catalog,
        thumbnails=thumbnails,
        problems=(*settings.problems, *catalog.problems, *thumbnails.problems(catalog.cards)),
        progress=(lambda: embedded.progress) if embedded else (lambda: None),
        default_model=settings.default_model or "",
    )
    return Parts(house, gateway, embedded)


def _embedded(settings: Settings, gateway: Gateway) -> EmbeddedEndpoint:
    models = (served_id(settings.embedded_model),)
    tell = terminal_progress()

    def show(progress: Progress) -> None:
        if progress.stage is Stage.UNAVAILABLE:  # nobody is to wait for it
            gateway.remove_endpoint(EMBEDDED_ALIAS)
        elif progress.stage is not Stage.READY:
            gateway.expect_endpoint(EMBEDDED_ALIAS, models)
        tell(progress)

    embedded = EmbeddedEndpoint(
        settings,
        on_ready=gateway.put_endpoint,
        on_down=lambda: gateway.expect_endpoint(EMBEDDED_ALIAS, models),
        on_progress=show,
    )
    gateway.expect_endpoint(EMBEDDED_ALIAS, models)
    return embedded


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def launch_options(parts: Parts, settings: Settings) -> dict[str, Any]:
    """How Gradio is to serve the page: nothing public that a visitor doesn't need."""
    from akash_gradio.ui.blocks import page_head
    from akash_gradio.ui.routes import page_routes
    from akash_gradio.ui.theme import page_theme

    return {
        "server_name": settings.server_name,
        "server_port": settings.server_port,
        "theme": page_theme(),
        "head": page_head(),
        "footer_links": [],
        "ssr_mode": False,
        "run_history": False,
        "enable_monitoring": False,
        "show_error": False,
        "share": False,
        "quiet": True,
        "app_kwargs": {
            "routes": page_routes(parts.house),
            "lifespan": parts.open,
            "docs_url": None,
            "redoc_url": None,
            "openapi_url": None,
        },
    }


def main() -> None:
    """Serve until the process is ended."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    settings = read_settings()
    set_up_logs(settings)
    parts = assemble(settings)
    for problem in parts.house.problems:
        sys.stderr.write(f"Configuration: {problem}\n")
    from akash_gradio.ui.blocks import build_ui

    page = build_ui()
    sys.stderr.write(f"Akash Gradio: http://{_reached(settings)}\n")
    page.queue(default_concurrency_limit=None).launch(**launch_options(parts, settings))


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
