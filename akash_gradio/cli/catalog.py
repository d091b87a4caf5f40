"""`python -m akash_gradio catalog`: check the catalog, or make one from a `models.ts`."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from akash_gradio.catalog.loader import SHIPPED, read_catalog
from akash_gradio.catalog.typescript_import import NotRead, as_toml, read_typescript
from akash_gradio.check import messages
from akash_gradio.check.catalog_check import Served, ask_endpoints, mistakes, remarks
from akash_gradio.config.paths import ASSETS
from akash_gradio.config.settings import read_settings
from akash_gradio.domain.model import Problem

PICTURES: Final = ASSETS / "thumbnails"
MISUSED: Final = 2


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """0: no mistake (remarks are allowed). 1: mistakes. 2: misuse, or a file that can't be read."""
    asked = _read(arguments)
    if asked.command == "import":
        return _import(Path(asked.file))
    return _check(asked, environment)


def _read(arguments: Sequence[str]) -> argparse.Namespace:
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


def _check(asked: argparse.Namespace, environment: Mapping[str, str]) -> int:
    settings = read_settings(environment)
    path = Path(asked.file) if asked.file else settings.catalog_file
    if path is not None and not path.exists():
        sys.stderr.write(messages.NO_SUCH_FILE.format(path=path) + "\n")
        return MISUSED
    where = path.name if path else SHIPPED
    catalog = read_catalog(path, environment)
    wrong = mistakes(where, catalog, PICTURES)
    noted: tuple[Problem, ...] = ()
    if settings.endpoints and not asked.offline:
        served: Served = asyncio.run(ask_endpoints(settings.endpoints))
        noted = remarks(where, catalog, served)
    for title, found in ((messages.CATALOG_WRONG, wrong), (messages.CATALOG_NOTED, noted)):
        if found:
            sys.stdout.write("\n".join([title, *(f"  {problem}" for problem in found)]) + "\n")
    sys.stdout.write(
        messages.CATALOG_SUMMARY.format(
            where=where, models=len(catalog.cards), wrong=len(wrong), noted=len(noted)
        )
        + "\n"
    )
    return 1 if wrong else 0


def _import(path: Path) -> int:
    """TOML on standard output; what was left out, and what is wrong with the rest, beside it."""
    try:
        entries, problems = read_typescript(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError):
        sys.stderr.write(messages.NO_SUCH_FILE.format(path=path) + "\n")
        return MISUSED
    except NotRead as error:
        place = f"{path.name}, line {error.line}" if error.line else path.name
        sys.stderr.write(f"{place}: {error.hint}\n")
        return MISUSED
    toml = as_toml(entries)
    sys.stdout.write(toml)
    wrong = (*problems, *_problems_of(toml))
    for problem in wrong:
        sys.stderr.write(f"{problem}\n")
    return 1 if wrong else 0


def _problems_of(toml: str) -> tuple[Problem, ...]:
    """What the catalog will say of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / SHIPPED
        path.write_text(toml, encoding="utf-8")
        return read_catalog(path).problems
