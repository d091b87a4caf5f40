"""The command `run`: serves the page and `/v1`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from akash_gradio.app import create_app
from akash_gradio.config.settings import Settings, read_settings


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Serve the page and `/v1` until the process is terminated.

    Args:
        arguments: The command line after `run`.
        environment: The environment variables.
    """
    parser = argparse.ArgumentParser(prog="akash-gradio run", description="Serve the page and /v1.")
    add_address_options(parser)
    settings = apply_address_options(read_settings(environment), parser.parse_args(arguments))
    create_app(settings, environment=environment).launch()


def add_address_options(parser: argparse.ArgumentParser) -> None:
    """Add `--host` and `--port`."""
    parser.add_argument("--host", help="address to listen on (default: GRADIO_SERVER_NAME)")
    parser.add_argument("--port", type=int, help="port to listen on (default: GRADIO_SERVER_PORT)")


def apply_address_options(settings: Settings, options: argparse.Namespace) -> Settings:
    """Return the settings with the host and port of the command line, if given."""
    given = {"server_name": options.host, "server_port": options.port}
    return settings.model_copy(update={k: v for k, v in given.items() if v is not None})
