"""`/v1` alone, without the page: `python -m akash_gradio serve --no-ui`."""

from __future__ import annotations

import argparse
import gc
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import uvicorn

from akash_gradio.api.asgi_app import ApiApp
from akash_gradio.api.routes import api_routes
from akash_gradio.app import Service, assemble_service
from akash_gradio.config.settings import read_settings
from akash_gradio.gateway.passthrough.transport import load_http_client
from akash_gradio.gateway.passthrough.uvicorn_protocol import PassthroughProtocol
from akash_gradio.http.server import allow_many_files
from akash_gradio.http.shutdown import SHUTDOWN_GRACE_S
from akash_gradio.logs import configure_logging, omit_what_no_line_says

YOUNG_OBJECTS: Final = 5000
"""How many more there may be before the collector looks for cycles among them."""


def server_config(service: Service, host: str, port: int) -> uvicorn.Config:
    """How uvicorn is to serve it: uvloop where it is installed."""
    return uvicorn.Config(
        ApiApp(api_routes(service.api), service.open),
        interface="asgi3",
        host=host,
        port=port,
        http=PassthroughProtocol,
        access_log=False,
        log_level="warning",
        lifespan="on",
        ws="none",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,  # longer than clients and proxies keep an idle connection
        timeout_graceful_shutdown=round(SHUTDOWN_GRACE_S),
    )


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Serve until the process is ended. arguments: what follows `serve`."""
    asked = _read(arguments)
    settings = read_settings(environment)
    if not asked.no_ui:
        _serve_page(asked)
        return
    configure_logging(settings)
    omit_what_no_line_says()
    service = assemble_service(settings, environment)
    for problem in service.problems:
        sys.stderr.write(f"Configuration: {problem}\n")
    host = asked.host or settings.server_name
    port = settings.server_port if asked.port is None else asked.port
    sys.stderr.write(f"Akash Gradio: http://{_reached(host)}:{port}/v1\n")
    allow_many_files()
    config = server_config(service, host, port)
    config.load()
    load_http_client(skip_certificates=True)
    # All that is here stays: the collector needn't look through it again and again. Nor need it
    # look for cycles at each answer: nearly all that answers leave goes without it.
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
    uvicorn.Server(config).run()


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m akash_gradio serve", description="Serve the page and /v1, or /v1 alone."
    )
    parser.add_argument("--no-ui", action="store_true", help="serve /v1 alone, without the page")
    parser.add_argument("--host", help="address to listen on (GRADIO_SERVER_NAME)")
    parser.add_argument("--port", type=int, help="port to listen on (GRADIO_SERVER_PORT)")
    return parser.parse_args(arguments)


def _serve_page(asked: argparse.Namespace) -> None:
    """What `python app.py` does; the file lies beside the package, where a Space wants it."""
    page = runpy.run_path(str(Path(__file__).resolve().parents[2] / "app.py"), run_name="app")
    page["main"](host=asked.host, port=asked.port)


def _reached(host: str) -> str:
    if host in ("0.0.0.0", "::"):
        return "localhost"
    return f"[{host}]" if ":" in host else host
