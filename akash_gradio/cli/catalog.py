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
from akash_gradio.check.catalog_check import catalog_errors, catalog_notes, fetch_served_models
from akash_gradio.cli.errors import EXIT_FAILED, EXIT_USAGE, CommandError, error_message
from akash_gradio.config.paths import ASSETS
from akash_gradio.config.settings import read_settings
from akash_gradio.domain.model import Problem

THUMBNAILS: Final = ASSETS / "thumbnails"
UNREADABLE: Final = "can't be read; check its path"


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Check or import a catalog.

    Args:
        arguments: The command line after `catalog`.
        environment: The environment variables.

    Returns:
        The exit status: 0 without errors (notes are allowed), EXIT_FAILED with errors, EXIT_USAGE
        if a file can't be read.
    """
    options = _parse(arguments)
    try:
        if options.command == "import":
            return _import(Path(options.file))
        return _check(options, environment)
    except CommandError as error:
        sys.stderr.write(f"{error_message(error)}\n")
        return EXIT_USAGE


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="akash-gradio catalog",
        description="Check the model catalog, or create one from a models.ts file.",
        epilog="Exit status: 0 no errors, 1 errors, 2 wrong usage or an unreadable file.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser(
        "check", help="find errors in the catalog, and differences from what endpoints serve"
    )
    check.add_argument("file", nargs="?",
        help="the catalog (default: CATALOG_FILE, else the shipped catalog)")  # fmt: skip
    check.add_argument("--offline", action="store_true",
        help="don't request model lists from the endpoints")  # fmt: skip
    importing = commands.add_parser("import", help="convert entries of a TypeScript file to TOML")
    importing.add_argument("file", help="a models.ts with export const models = [ … ]")
    return parser.parse_args(arguments)


def _check(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    settings = read_settings(environment)
    path = Path(options.file) if options.file else settings.catalog_file
    if path is not None and not path.exists():
        raise CommandError("file_not_read", path=path, reason=UNREADABLE)
    name = path.name if path else SHIPPED_CATALOG
    catalog = read_catalog(path, environment)
    errors = catalog_errors(name, catalog, THUMBNAILS)
    notes: tuple[Problem, ...] = ()
    if settings.endpoints and not options.offline:
        served = asyncio.run(fetch_served_models(settings.endpoints))
        notes = catalog_notes(name, catalog, served)
    for title, problems in (("Errors", errors), ("Notes", notes)):
        if problems:
            sys.stdout.write("\n".join([title, *(f"  {problem}" for problem in problems)]) + "\n")
    models = len(catalog.cards)
    sys.stdout.write(f"{name}: {models} models, {len(errors)} errors, {len(notes)} notes\n")
    return EXIT_FAILED if errors else 0


def _import(path: Path) -> int:
    """Write TOML to standard output, and problems to standard error."""
    try:
        entries, problems = read_typescript(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError):
        raise CommandError("file_not_read", path=path, reason=UNREADABLE) from None
    except TypeScriptError as error:
        place = f"{path.name}, line {error.line}" if error.line else path.name
        raise CommandError("file_not_read", path=place, reason=error.reason) from None
    toml = as_toml(entries)
    sys.stdout.write(toml)
    errors = (*problems, *_catalog_problems(toml))
    for problem in errors:
        sys.stderr.write(f"{problem}\n")
    return EXIT_FAILED if errors else 0


def _catalog_problems(toml: str) -> tuple[Problem, ...]:
    """Read the converted catalog and return its problems."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / SHIPPED_CATALOG
        path.write_text(toml, encoding="utf-8")
        return read_catalog(path).problems
