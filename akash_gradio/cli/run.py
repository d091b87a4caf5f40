"""The command `run`: serves the page and `/v1`, also for the models of a Python file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from akash_gradio.config.settings import Settings, read_settings
from akash_gradio.python_api import App, ConfigurationError


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Serve the page and `/v1` until the process is terminated.

    Args:
        arguments: The command line after `run`.
        environment: The environment variables.
    """
    parser = argparse.ArgumentParser(prog="akash-gradio run", description="Serve the page and /v1.")
    parser.add_argument(
        "models_file",
        nargs="?",
        type=Path,
        metavar="MODELS.py",
        help="Python file with functions that answer (docs/python.md; default: MODELS_FILE)",
    )
    add_address_options(parser)
    options = parser.parse_args(arguments)
    settings = apply_address_options(read_settings(environment), options)
    if options.models_file is not None:
        settings = settings.model_copy(update={"models_file": options.models_file})
    try:
        app = App.from_settings(settings)
    except ConfigurationError as error:
        sys.exit(f"akash-gradio: {error}")
    app.launch(block=True)


def add_address_options(parser: argparse.ArgumentParser) -> None:
    """Add `--host` and `--port`."""
    parser.add_argument("--host", help="address to listen on (default: GRADIO_SERVER_NAME)")
    parser.add_argument("--port", type=int, help="port to listen on (default: GRADIO_SERVER_PORT)")


def apply_address_options(settings: Settings, options: argparse.Namespace) -> Settings:
    """Return the settings with the host and port of the command line, if given."""
    given = {"server_name": options.host, "server_port": options.port}
    return settings.model_copy(update={k: v for k, v in given.items() if v is not None})
