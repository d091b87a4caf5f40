"""`python -m akash_gradio check`: one endpoint, or all of them, from a terminal or in CI."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from pydantic import SecretStr

from akash_gradio.catalog.loader import Catalog, read_catalog
from akash_gradio.check import messages, report
from akash_gradio.check.probe import Level
from akash_gradio.check.runner import Check, Finding
from akash_gradio.check.target import Target
from akash_gradio.check.target_lookup import by_url, configured
from akash_gradio.config.settings import Settings, read_settings

MISUSED: Final = 2


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Check, and print each finding as it comes. 0: nothing fails. 1: something does. 2: misuse."""
    asked = _read(arguments)
    settings = read_settings(environment)
    for problem in settings.problems:
        sys.stderr.write(f"Configuration: {problem}\n")
    catalog = read_catalog(settings.catalog_file, environment)
    try:
        targets = _targets(asked, settings, catalog, environment)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return MISUSED
    level = Level.QUICK if asked.quick else Level.FULL if asked.full else Level.STANDARD
    done = [asyncio.run(_check(target, level, quiet=asked.json)) for target in targets]
    if asked.json:
        sys.stdout.write(json.dumps({"endpoints": done}, ensure_ascii=False, indent=2) + "\n")
    return 0 if all(one["ok"] for one in done) else 1


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m akash_gradio check", description=messages.USAGE
    )
    parser.add_argument("endpoint", nargs="?", default="all", help=messages.USAGE_ENDPOINT)
    parser.add_argument("--model", help=messages.USAGE_MODEL)
    parser.add_argument("--key-env", metavar="NAME", help=messages.USAGE_KEY)
    depth = parser.add_mutually_exclusive_group()
    depth.add_argument("--quick", action="store_true", help=messages.USAGE_QUICK)
    depth.add_argument("--full", action="store_true", help=messages.USAGE_FULL)
    parser.add_argument("--json", action="store_true", help=messages.USAGE_JSON)
    return parser.parse_args(arguments)


def _targets(
    asked: argparse.Namespace,
    settings: Settings,
    catalog: Catalog,
    environment: Mapping[str, str],
) -> list[Target]:
    """What is to be checked. Raises ValueError with a sentence."""
    if "://" in asked.endpoint or re.match(r"[\w.-]+:\d+", asked.endpoint):
        key = _key(asked.key_env, environment)
        return [by_url(asked.endpoint, key, asked.model, catalog, asked.key_env or "KEY")]
    if asked.key_env:
        raise ValueError(messages.KEY_WITH_URL)
    entries = [e for e in settings.endpoints if asked.endpoint in ("all", e.name)]
    if not settings.endpoints:
        raise ValueError(messages.NONE_CONFIGURED)
    if not entries:
        names = ", ".join(entry.name for entry in settings.endpoints)
        raise ValueError(messages.NO_SUCH_ENDPOINT.format(name=asked.endpoint, names=names))
    return [configured(entry, asked.model, catalog) for entry in entries]


def _key(name: str | None, environment: Mapping[str, str]) -> SecretStr | None:
    if name is None:
        return None
    if not environment.get(name):
        raise ValueError(messages.KEY_UNSET)
    return SecretStr(environment[name].strip())


async def _check(target: Target, level: Level, *, quiet: bool) -> dict[str, Any]:
    name = target.entry.name
    tell = sys.stderr if quiet else sys.stdout
    tell.write(report.beforehand(name, level) + "\n")
    tell.flush()
    check = Check(target, level=level)
    found: list[Finding] = []
    async with aclosing(check.findings()) as findings:
        async for finding in findings:
            found.append(finding)
            if not quiet:
                sys.stdout.write(report.line(finding) + "\n")
                sys.stdout.flush()
    if not quiet:
        sys.stdout.write(report.summary(name, found) + "\n")
    return report.as_json(name, target.clean(check.seen.model), found, check.capabilities)
