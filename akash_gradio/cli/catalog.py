"""The command `catalog`: checks the catalog, or creates one from a `models.ts`."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from akash_gradio.catalog.loader import SHIPPED_CATALOG, read_catalog
from akash_gradio.catalog.typescript_import import TypeScriptError, as_toml, read_typescript
from akash_gradio.check import messages
from akash_gradio.check.catalog_check import catalog_errors, catalog_notes, fetch_served_models
from akash_gradio.config.paths import ASSETS
from akash_gradio.config.settings import read_settings
from akash_gradio.domain.errors import UserError
from akash_gradio.domain.model import Problem

THUMBNAILS: Final = ASSETS / "thumbnails"
EXIT_ERRORS: Final = 1
EXIT_MISUSED: Final = 2


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Check or import a catalog.

    Returns:
        The exit status: 0 without errors (notes are allowed), 1 with errors, 2 if the command
        can't be run or a file can't be read.
    """
    options = _parse(arguments)
    try:
        if options.command == "import":
            return _import(Path(options.file))
        return _check(options, environment)
    except UserError as error:
        sys.stderr.write(f"{messages.error_text(error)}\n")
        return EXIT_MISUSED


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m akash_gradio catalog", description=messages.CATALOG_USAGE
    )
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help=messages.CATALOG_USAGE_CHECK)
    check.add_argument("file", nargs="?", help=messages.CATALOG_USAGE_FILE)
    check.add_argument("--offline", action="store_true", help=messages.CATALOG_USAGE_OFFLINE)
    importing = commands.add_parser("import", help=messages.CATALOG_USAGE_IMPORT)
    importing.add_argument("file", help=messages.CATALOG_USAGE_TS)
    return parser.parse_args(arguments)


def _check(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    settings = read_settings(environment)
    path = Path(options.file) if options.file else settings.catalog_file
    if path is not None and not path.exists():
        raise UserError("file_unreadable", {"path": path})
    name = path.name if path else SHIPPED_CATALOG
    catalog = read_catalog(path, environment)
    errors = catalog_errors(name, catalog, THUMBNAILS)
    notes: tuple[Problem, ...] = ()
    if settings.endpoints and not options.offline:
        served = asyncio.run(fetch_served_models(settings.endpoints))
        notes = catalog_notes(name, catalog, served)
    for title, problems in ((messages.CATALOG_ERRORS, errors), (messages.CATALOG_NOTES, notes)):
        if problems:
            sys.stdout.write("\n".join([title, *(f"  {problem}" for problem in problems)]) + "\n")
    summary = messages.CATALOG_SUMMARY.format(
        file=name, models=len(catalog.cards), errors=len(errors), notes=len(notes)
    )
    sys.stdout.write(f"{summary}\n")
    return EXIT_ERRORS if errors else 0


def _import(path: Path) -> int:
    """Write TOML to standard output, and what was left out or is wrong to standard error."""
    try:
        entries, problems = read_typescript(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError):
        raise UserError("file_unreadable", {"path": path}) from None
    except TypeScriptError as error:
        place = f"{path.name}, line {error.line}" if error.line else path.name
        raise UserError("import_failed", {"place": place, "reason": error.reason}) from None
    toml = as_toml(entries)
    sys.stdout.write(toml)
    errors = (*problems, *_problems_of(toml))
    for problem in errors:
        sys.stderr.write(f"{problem}\n")
    return EXIT_ERRORS if errors else 0


def _problems_of(toml: str) -> tuple[Problem, ...]:
    """Return the problems of the new catalog."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / SHIPPED_CATALOG
        path.write_text(toml, encoding="utf-8")
        return read_catalog(path).problems
