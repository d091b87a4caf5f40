"""`akash-gradio run`: the page and `/v1`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from akash_gradio.app import create_app
from akash_gradio.config.settings import Settings, read_settings


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Serve the page until the process is ended.

    Args:
        arguments: What follows `run` on the command line.
        environment: Where the settings come from.
    """
    parser = argparse.ArgumentParser(prog="akash-gradio run", description="Serve the page and /v1.")
    add_address(parser)
    settings = with_address(read_settings(environment), parser.parse_args(arguments))
    create_app(settings, environment=environment).launch()


def add_address(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where to listen."""
    parser.add_argument("--host", help="address to listen on (default: GRADIO_SERVER_NAME)")
    parser.add_argument("--port", type=int, help="port to listen on (default: GRADIO_SERVER_PORT)")


def with_address(settings: Settings, options: argparse.Namespace) -> Settings:
    """Return the settings with the address of the command line, where one was given."""
    given = {"server_name": options.host, "server_port": options.port}
    return settings.model_copy(update={k: v for k, v in given.items() if v is not None})
