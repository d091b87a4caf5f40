"""Runs checks against stub endpoints."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

from akash_gradio.check.probe import Level
from akash_gradio.check.probe_result import Verdict
from akash_gradio.check.runner import Check, Finding, SlotPool
from akash_gradio.check.target import Target
from akash_gradio.config.endpoints import EndpointSettings
from akash_gradio.domain.model import ModelCard
from tests.stubs.configured import Stub

KEY = "sk-planted-key-0123456789abcdef"
USUAL_SCALE, SHORT_SCALE = 0.6, 0.2
"""Factors for the time limits: one request has 9 s, or 3 s where the stub never responds."""


class Clock:
    """A clock that only stubs move, so that a busy machine makes no endpoint look slow."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def target(
    stub: Stub, *, model: str | None = "m", card: ModelCard | None = None, **fields: Any
) -> Target:
    values = {"url": stub.url, "name": "stub", "apiKey": KEY, **fields}
    entry = EndpointSettings.model_validate({k: v for k, v in values.items() if v is not None})
    return Target(entry=entry, model=model, card=card)


async def collect(check: Check) -> list[Finding]:
    async with aclosing(check.findings()) as findings:
        return [finding async for finding in findings]


async def check(
    target: Target,
    *,
    level: Level = Level.FULL,
    scale: float = USUAL_SCALE,
    slots: SlotPool | None = None,
    clock: Clock | None = None,
) -> list[Finding]:
    return await collect(
        Check(target, level=level, scale=scale, slots=slots, clock=clock or Clock())
    )


def problem_codes(findings: list[Finding]) -> set[str]:
    """Return the codes of all warnings and failures."""
    return {f.code for f in findings if f.verdict in (Verdict.WARN, Verdict.FAIL)}
