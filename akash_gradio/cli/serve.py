"""The command `serve`: serves the page and `/v1`, or `/v1` alone with `--no-ui`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from akash_gradio.app import create_app
from akash_gradio.cli.run import add_address_options, apply_address_options
from akash_gradio.config.settings import read_settings


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Serve until the process is terminated.

    Args:
        arguments: The command line after `serve`.
        environment: The environment variables.
    """
    parser = argparse.ArgumentParser(
        prog="akash-gradio serve", description="Serve the page and /v1, or /v1 alone."
    )
    parser.add_argument("--no-ui", action="store_true", help="serve /v1 alone, without the page")
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="processes that serve /v1 on the port, with --no-ui (default: 1)",
    )
    add_address_options(parser)
    options = parser.parse_args(arguments)
    if options.workers < 1:
        parser.error("--workers must be at least 1")
    if options.workers > 1 and not options.no_ui:
        parser.error("--workers needs --no-ui: the page is served by one process")
    settings = apply_address_options(read_settings(environment), options)
    app = create_app(settings, page=not options.no_ui, environment=environment)
    app.launch(workers=options.workers)
