"""`python -m akash_gradio COMMAND`: what each command does is said by `--help`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence

Command = Callable[[Sequence[str], Mapping[str, str]], int | None]


def _serve() -> Command:
    from akash_gradio.cli.serve import main

    return main


def _check() -> Command:
    from akash_gradio.cli.check import main

    return main


def _catalog() -> Command:
    from akash_gradio.cli.catalog import main

    return main


def _compare() -> Command:
    from akash_gradio.cli.compare import main

    return main


COMMANDS: Mapping[str, tuple[str, Callable[[], Command]]] = {
    "serve": ("serve the page and /v1, or /v1 alone", _serve),
    "check": ("find out whether an endpoint will serve, and what to change if not", _check),
    "compare": ("ask several models the prompts of a set, and write a report", _compare),
    "catalog": ("check the catalog of models, or make one from a models.ts", _catalog),
}
"""Name → what it does, and how to get it: no command pays for another one's imports."""


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run the command that is named first; returns the exit status."""
    name = arguments[0] if arguments else ""
    if name in COMMANDS:
        return COMMANDS[name][1]()(arguments[1:], environment) or 0
    asked_for_help = name in ("-h", "--help")
    lines = ["usage: python -m akash_gradio COMMAND …", ""]
    lines += [f"  {command:<10}{what}" for command, (what, _) in COMMANDS.items()]
    if name and not asked_for_help:
        lines.insert(0, f"There is no command {name!r}.")
    (sys.stdout if asked_for_help else sys.stderr).write("\n".join(lines) + "\n")
    return 0 if asked_for_help else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
