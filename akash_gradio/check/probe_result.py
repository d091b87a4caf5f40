"""The result of a probe, and short constructors for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from akash_gradio.check.probe_request import ProbeRequest
from akash_gradio.domain.chat import EMPTY_MAPPING


class Verdict(StrEnum):
    """How a probe ended.

    A warning is something the app copes with or visitors rarely meet. A failure is something
    visitors will meet.
    """

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """What a probe concluded.

    Attributes:
        verdict: How the probe ended.
        code: Key of the probe's message in `messages.PROBES`.
        facts: Values that fill the message.
        request: The request that reproduces the finding.
        learned: Fields of `Capabilities` that are known by this result.
    """

    verdict: Verdict
    code: str = "ok"
    facts: Mapping[str, object] = field(default_factory=lambda: EMPTY_MAPPING)
    request: ProbeRequest | None = None
    learned: Mapping[str, Any] = field(default_factory=lambda: EMPTY_MAPPING)


def passed(request: ProbeRequest | None, code: str = "ok", **facts: object) -> ProbeResult:
    """Return a result for something that works as it should."""
    return ProbeResult(verdict=Verdict.PASS, code=code, facts=facts, request=request)


def warned(request: ProbeRequest | None, code: str, **facts: object) -> ProbeResult:
    """Return a result for something the app copes with."""
    return ProbeResult(verdict=Verdict.WARN, code=code, facts=facts, request=request)


def failed(request: ProbeRequest | None, code: str, **facts: object) -> ProbeResult:
    """Return a result for something the app can't work without."""
    return ProbeResult(verdict=Verdict.FAIL, code=code, facts=facts, request=request)


def skipped(code: str, **facts: object) -> ProbeResult:
    """Return a result for a probe that wasn't run, or that couldn't reach a conclusion."""
    return ProbeResult(verdict=Verdict.SKIPPED, code=code, facts=facts)
