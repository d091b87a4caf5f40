"""The command `doctor`: what visitors and others could do now, and how to prevent it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from akash_gradio.catalog.loader import read_catalog
from akash_gradio.cli.audit import Audit, Finding, Level, find_weaknesses
from akash_gradio.cli.errors import EXIT_FAILED
from akash_gradio.cli.run import add_address_options, apply_address_options
from akash_gradio.config.settings import Settings, read_settings

ENV_FILE = Path(".env")


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Print the weaknesses of the settings.

    Args:
        arguments: The command line after `doctor`.
        environment: The environment variables.

    Returns:
        The exit status: 0 without a serious finding, otherwise EXIT_FAILED.
    """
    options = _parse(arguments)
    settings = apply_address_options(read_settings(environment, ENV_FILE), options)
    audit = Audit(
        settings=settings,
        cards=read_catalog(settings.catalog_file, environment).cards,
        secret_files=_secret_files(settings),
        replicas=options.replicas,
    )
    findings = find_weaknesses(audit)
    text = _json(findings) if options.json else _text(audit, findings)
    sys.stdout.write(f"{text}\n")
    return EXIT_FAILED if any(f.level is Level.SERIOUS for f in findings) else 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="akash-gradio doctor",
        description="Show what visitors could do with the current settings, and how to prevent it. "
        "Nothing is started and no request is sent.",
        epilog="Exit status: 0 nothing serious was found, 1 something serious was found.",
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument(
        "--replicas", type=int, default=1, help="number of processes that serve the page"
    )
    add_address_options(parser)
    return parser.parse_args(arguments)


def _secret_files(settings: Settings) -> list[Path]:
    """Return the files with secrets that exist: `.env`, and one that ENDPOINTS names."""
    files = [ENV_FILE]
    text = settings.endpoints_text.get_secret_value() if settings.endpoints_text else ""
    if text.endswith(".json"):
        files.append(Path(text).expanduser())
    return [file for file in files if file.is_file()]


def _text(audit: Audit, findings: Sequence[Finding]) -> str:
    lines = [_summary(audit)]
    for finding in findings:
        lines += ["", f"{finding.level.upper()}: {finding.title}", f"  Fix: {finding.fix}"]
    serious = sum(finding.level is Level.SERIOUS for finding in findings)
    lines += ["", f"{serious} serious, {len(findings) - serious} warnings"]
    return "\n".join(lines)


def _summary(audit: Audit) -> str:
    settings = audit.settings
    reach = "other machines" if audit.is_reachable else "this machine alone"
    access = "everyone" if audit.is_open or not audit.is_reachable else "visitors who sign in"
    api = "clients with a key" if settings.gateway_keys_configured else "no one"
    if not settings.published:
        api = "programs on this machine"
    return f"The page can be reached from {reach}, and used by {access}; /v1 by {api}."


def _json(findings: Sequence[Finding]) -> str:
    items = [
        {
            "code": finding.code,
            "level": finding.level.value,
            "title": finding.title,
            "fix": finding.fix,
        }
        for finding in findings
    ]
    return json.dumps({"findings": items}, ensure_ascii=False, indent=2)
