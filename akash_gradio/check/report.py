"""Reports of a check: lines for a terminal, and JSON for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final

from akash_gradio.check import messages
from akash_gradio.check.probe import Level
from akash_gradio.check.probe_result import Verdict
from akash_gradio.check.probes.registry import cost_of, probes_of
from akash_gradio.check.runner import Finding
from akash_gradio.domain.capabilities import Capabilities
from akash_gradio.formatting import format_duration

DURATIONS_S: Final = {Level.QUICK: 5, Level.STANDARD: 15, Level.FULL: 30}
"""Approximate duration of a check of a healthy endpoint, in seconds."""


def cost_facts(level: Level) -> dict[str, str]:
    """Return the upper bounds of a check's cost, formatted for `messages.COST`."""
    cost = cost_of(probes_of(level))
    return {
        "calls": f"{cost.calls}",
        "tokens_in": f"{cost.tokens_in:,}",
        "tokens_out": f"{cost.tokens_out:,}",
        "time": format_duration(DURATIONS_S[level]),
    }


def announcement(name: str, level: Level) -> str:
    """Return the line that is shown before a check of the endpoint `name`, with its cost."""
    return messages.COST.format(name=name, **cost_facts(level))


def format_finding(finding: Finding) -> str:
    """Return a finding as text. Warnings and failures have a fix and a curl command below."""
    text = f"{messages.VERDICTS[finding.verdict]:<5}{finding.title:<26}{finding.message}"
    if finding.verdict not in (Verdict.WARN, Verdict.FAIL):
        return text
    details = [part for part in (finding.fix, finding.curl) if part]
    return "\n".join([text, *(f"     {part}" for part in details)])


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    """Return verdict to number of findings."""
    by_verdict = Counter(finding.verdict for finding in findings)
    return {verdict.value: by_verdict[verdict] for verdict in Verdict}


def summary(name: str, findings: Iterable[Finding]) -> str:
    """Return the last line of a report, with the number of findings per verdict."""
    by_verdict = counts(findings)
    return messages.SUMMARY.format(
        name=name,
        passed=by_verdict["pass"],
        warned=by_verdict["warn"],
        failed=by_verdict["fail"],
        skipped=by_verdict["skipped"],
    )


def as_json(
    name: str, model: str, findings: Iterable[Finding], capabilities: Capabilities
) -> dict[str, Any]:
    """Return the report of one endpoint as a JSON object.

    Args:
        name: Name of the endpoint.
        model: The model that was used, without secrets.
        findings: All findings of the check.
        capabilities: The capabilities that the check determined.
    """
    all_findings = list(findings)
    return {
        "endpoint": name,
        "model": model,
        "ok": not any(finding.verdict is Verdict.FAIL for finding in all_findings),
        "counts": counts(all_findings),
        "capabilities": asdict(capabilities),
        "findings": [asdict(finding) for finding in all_findings],
    }
