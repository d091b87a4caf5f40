"""The `akash-gradio` command and its subcommands."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Final

from akash_gradio import __version__

COMMANDS: Final[Mapping[str, str]] = {
    "run": "serve the page and /v1 (the default)",
    "serve": "serve the page and /v1, or /v1 alone with --no-ui",
    "check": "check whether an endpoint works, and what to change if it doesn't",
    "doctor": "show what visitors could do with the current settings, and how to prevent it",
    "compare": "run a prompt set against several models and write a report",
    "catalog": "check the catalog of models, or create one from a models.ts file",
}
"""Subcommand → help. Each is a module of this package with a function `main`, imported on use."""


def main(
    arguments: Sequence[str] | None = None, environment: Mapping[str, str] | None = None
) -> int:
    """Run a subcommand.

    Args:
        arguments: The command line without the program's name; None reads `sys.argv`.
        environment: The environment variables; None reads `os.environ`.

    Returns:
        The exit status.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    environment = os.environ if environment is None else environment
    parser = _parser()
    if arguments and (not arguments[0].startswith("-") or arguments[0] in _OWN_OPTIONS):
        command = parser.parse_args(arguments[:1]).command
        arguments = arguments[1:]
    else:
        command = "run"
    module = import_module(f"akash_gradio.cli.{command}")
    status: int | None = module.main(arguments, environment)
    return status or 0


_OWN_OPTIONS: Final = frozenset({"-h", "--help", "--version"})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="akash-gradio",
        description="A chat UI, model comparison and LLM gateway for OpenAI-compatible endpoints.",
        epilog="akash-gradio COMMAND --help describes the options of a command.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", title="commands", metavar="COMMAND")
    for name, description in COMMANDS.items():
        commands.add_parser(name, help=description, add_help=False)
    return parser
