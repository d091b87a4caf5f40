"""A check as people read it on a terminal, and as programs read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final

from akash_gradio.check import messages
from akash_gradio.check.probe import Level, Verdict
from akash_gradio.check.probes.registry import chosen, cost_of
from akash_gradio.check.runner import Finding
from akash_gradio.domain.capabilities import Capabilities

SECONDS: Final = {Level.QUICK: 5, Level.STANDARD: 15, Level.FULL: 30}
"""What a check takes, about, at an endpoint that is well."""


def cost_facts(level: Level) -> dict[str, str]:
    """What the check will cost, as written in sentences."""
    cost = cost_of(chosen(level))
    return {
        "calls": f"{cost.calls}",
        "tokens_in": f"{cost.tokens_in:,}",
        "tokens_out": f"{cost.tokens_out:,}",
        "seconds": f"{SECONDS[level]}",
    }


def beforehand(name: str, level: Level) -> str:
    """The same in a sentence."""
    return messages.COST.format(name=name, **cost_facts(level))


def line(finding: Finding) -> str:
    """One finding; what to mend and the command below it where it isn't well."""
    says = f"{messages.VERDICTS[finding.verdict]:<5}{finding.title:<26}{finding.says}"
    if finding.verdict not in (Verdict.WARN, Verdict.FAIL):
        return says
    below = [part for part in (finding.mend, finding.curl) if part]
    return "\n".join([says, *(f"     {part}" for part in below)])


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    """Verdict → how many."""
    found = Counter(finding.verdict for finding in findings)
    return {verdict.value: found[verdict] for verdict in Verdict}


def summary(name: str, findings: Iterable[Finding]) -> str:
    """How it went, in a line."""
    found = counts(findings)
    return messages.SUMMARY.format(
        name=name,
        passed=found["pass"],
        warned=found["warn"],
        failed=found["fail"],
        skipped=found["skipped"],
    )


def as_json(
    name: str, model: str, findings: Iterable[Finding], capabilities: Capabilities
) -> dict[str, Any]:
    """The same for a program."""
    every = list(findings)
    return {
        "endpoint": name,
        "model": model,
        "ok": not any(finding.verdict is Verdict.FAIL for finding in every),
        "counts": counts(every),
        "capabilities": asdict(capabilities),
        "findings": [asdict(finding) for finding in every],
    }
