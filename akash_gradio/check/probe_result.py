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

    A warning is a problem that the app works around or that visitors rarely encounter. A failure
    is a problem that visitors will encounter.
    """

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """The result of one probe.

    Attributes:
        verdict: How the probe ended.
        code: Key of the probe's message in `messages.PROBES`.
        facts: Values that fill the message.
        request: The request that reproduces the finding.
        learned: Fields of `Capabilities` that this result determines.
    """

    verdict: Verdict
    code: str = "ok"
    facts: Mapping[str, object] = field(default_factory=lambda: EMPTY_MAPPING)
    request: ProbeRequest | None = None
    learned: Mapping[str, Any] = field(default_factory=lambda: EMPTY_MAPPING)


def passed(request: ProbeRequest | None, code: str = "ok", **facts: object) -> ProbeResult:
    """Return the result of a passed probe."""
    return ProbeResult(verdict=Verdict.PASS, code=code, facts=facts, request=request)


def warned(request: ProbeRequest | None, code: str, **facts: object) -> ProbeResult:
    """Return a warning, see `Verdict`."""
    return ProbeResult(verdict=Verdict.WARN, code=code, facts=facts, request=request)


def failed(request: ProbeRequest | None, code: str, **facts: object) -> ProbeResult:
    """Return a failure, see `Verdict`."""
    return ProbeResult(verdict=Verdict.FAIL, code=code, facts=facts, request=request)


def skipped(code: str, **facts: object) -> ProbeResult:
    """Return the result of a probe that wasn't run or was inconclusive."""
    return ProbeResult(verdict=Verdict.SKIPPED, code=code, facts=facts)
