"""The command `check`: checks one endpoint, or all configured ones, in a terminal or in CI."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any

from pydantic import SecretStr

from akash_gradio.catalog.loader import Catalog, read_catalog
from akash_gradio.check import report
from akash_gradio.check.probe import Level
from akash_gradio.check.runner import Check, Finding
from akash_gradio.check.target import Target
from akash_gradio.check.target_lookup import target_of_address, target_of_endpoint
from akash_gradio.cli.errors import EXIT_FAILED, EXIT_USAGE, CommandError, error_message
from akash_gradio.config.settings import Settings, read_settings
from akash_gradio.domain.errors import UserError


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Check the endpoints and print each finding as soon as it is known.

    Args:
        arguments: The command line after `check`.
        environment: The environment variables.

    Returns:
        The exit status: 0 if no probe failed, EXIT_FAILED or EXIT_USAGE.
    """
    options = _parse(arguments)
    settings = read_settings(environment)
    for problem in settings.problems:
        sys.stderr.write(f"Configuration: {problem}\n")
    catalog = read_catalog(settings.catalog_file, environment)
    try:
        targets = _targets(options, settings, catalog, environment)
    except UserError as error:
        sys.stderr.write(f"{error_message(error)}\n")
        return EXIT_USAGE
    level = Level.QUICK if options.quick else Level.FULL if options.full else Level.STANDARD
    reports = [asyncio.run(_check(target, level, quiet=options.json)) for target in targets]
    if options.json:
        document = json.dumps({"endpoints": reports}, ensure_ascii=False, indent=2)
        sys.stdout.write(document + "\n")
    return 0 if all(endpoint_report["ok"] for endpoint_report in reports) else EXIT_FAILED


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="akash-gradio check",
        description="Check whether an endpoint works with this app, and what to change if not.",
        epilog="Exit status: 0 no probe failed, 1 a probe failed, 2 wrong usage.",
    )
    add = parser.add_argument
    add("endpoint", nargs="?", default="all",
        help="an address, the name of an endpoint in ENDPOINTS, or all (default: all)")  # fmt: skip
    add("--model", help="the model to use (default: the first configured or listed)")
    add("--key-env", metavar="NAME", help="environment variable with the API key for an address")
    level = parser.add_mutually_exclusive_group()
    level.add_argument("--quick", action="store_true",
        help="check only the address, the key and two answers")  # fmt: skip
    level.add_argument("--full", action="store_true",
        help="also check long messages: 25,000 tokens, and beyond the context")  # fmt: skip
    add("--json", action="store_true", help="print one JSON document")
    return parser.parse_args(arguments)


def _targets(
    options: argparse.Namespace,
    settings: Settings,
    catalog: Catalog,
    environment: Mapping[str, str],
) -> list[Target]:
    if "://" in options.endpoint or re.match(r"[\w.-]+:\d+", options.endpoint):
        key = _key(options.key_env, environment)
        key_name = options.key_env or "KEY"
        return [target_of_address(options.endpoint, key, options.model, catalog, key_name)]
    if options.key_env:
        raise CommandError("key_without_address")
    if not settings.endpoints:
        raise CommandError("no_endpoints")
    entries = [e for e in settings.endpoints if options.endpoint in ("all", e.name)]
    if not entries:
        names = ", ".join(entry.name for entry in settings.endpoints)
        raise CommandError("endpoint_not_found", endpoint=options.endpoint, available=names)
    return [target_of_endpoint(entry, options.model, catalog) for entry in entries]


def _key(variable: str | None, environment: Mapping[str, str]) -> SecretStr | None:
    if variable is None:
        return None
    if not environment.get(variable):
        raise CommandError("key_variable_unset", name=variable)
    return SecretStr(environment[variable].strip())


async def _check(target: Target, level: Level, *, quiet: bool) -> dict[str, Any]:
    name = target.entry.name
    output = sys.stderr if quiet else sys.stdout
    output.write(report.announcement(name, level) + "\n")
    output.flush()
    check = Check(target, level=level)
    reported: list[Finding] = []
    async with aclosing(check.findings()) as findings:
        async for finding in findings:
            reported.append(finding)
            if not quiet:
                sys.stdout.write(report.format_finding(finding) + "\n")
                sys.stdout.flush()
    if not quiet:
        sys.stdout.write(report.summary(name, reported) + "\n")
    return report.as_json(name, target.clean(check.evidence.model), reported, check.capabilities)
