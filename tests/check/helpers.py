"""Runs a check against a stub, and says in short what it found."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

from akash_gradio.check.probe import Level, Verdict
from akash_gradio.check.runner import Check, Finding
from akash_gradio.check.target import Target
from akash_gradio.config.endpoints import EndpointSettings
from akash_gradio.domain.model import ModelCard
from tests.stubs.configured import Stub

KEY = "sk-planted-key-0123456789abcdef"
PATIENT, SHORT = 0.6, 0.2
"""Of the real deadlines: one request has 9 s, or 3 s where the stub hangs."""


class Clock:
    """Stands still unless a stub moves it, so that a busy machine makes no endpoint slow."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def target(stub: Stub, *, model: str | None = "m", card: ModelCard | None = None, **fields: Any):
    given = {"url": stub.url, "name": "stub", "apiKey": KEY, **fields}
    entry = EndpointSettings.model_validate({k: v for k, v in given.items() if v is not None})
    return Target(entry=entry, model=model, card=card)


async def findings(check: Check) -> list[Finding]:
    async with aclosing(check.findings()) as found:
        return [finding async for finding in found]


async def check(
    aim: Target, *, level: Level = Level.FULL, scale: float = PATIENT, **more: Any
) -> list[Finding]:
    return await findings(Check(aim, level=level, scale=scale, **{"clock": Clock(), **more}))


def blamed(found: list[Finding]) -> set[str]:
    """The codes of what isn't well."""
    return {one.code for one in found if one.verdict in (Verdict.WARN, Verdict.FAIL)}
