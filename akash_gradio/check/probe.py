"""What a probe is: a pure judge over what was observed; and what an observation is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Final, Protocol, TypeVar

from akash_gradio.check.probe_request import Ask, Heard, Reach
from akash_gradio.check.target import Target
from akash_gradio.domain.chat import EMPTY_MAPPING

T = TypeVar("T")

CALL_S: Final = 15.0
"""Seconds that one request has."""


class Verdict(StrEnum):
    """How a probe ends. A warning is something that the app copes with, or a visitor rarely meets;
    a failure is something that it can't do without.
    """

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"


class Level(IntEnum):
    """How much is checked; each level holds the ones before it."""

    QUICK = 0
    STANDARD = 1
    FULL = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a judge says. code: which of the probe's sentences. facts: what is put into it.

    ask: the request that shows it. learned: fields of `Capabilities` that are known by it.
    """

    verdict: Verdict
    code: str = "ok"
    facts: Mapping[str, object] = field(default_factory=lambda: EMPTY_MAPPING)
    ask: Ask | None = None
    learned: Mapping[str, Any] = field(default_factory=lambda: EMPTY_MAPPING)


def passed(ask: Ask | None, code: str = "ok", **facts: object) -> Judgement:
    """All is well."""
    return Judgement(verdict=Verdict.PASS, code=code, facts=facts, ask=ask)


def warned(ask: Ask | None, code: str, **facts: object) -> Judgement:
    """The app copes with it."""
    return Judgement(verdict=Verdict.WARN, code=code, facts=facts, ask=ask)


def failed(ask: Ask | None, code: str, **facts: object) -> Judgement:
    """The app can't do without it."""
    return Judgement(verdict=Verdict.FAIL, code=code, facts=facts, ask=ask)


def skipped(code: str, **facts: object) -> Judgement:
    """It was not asked, or could not be told."""
    return Judgement(verdict=Verdict.SKIPPED, code=code, facts=facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was observed of the target so far. model: the id that was asked for."""

    target: Target
    model: str
    results: Mapping[str, Any]

    def heard(self, name: str) -> Heard:
        """What came of the one request of this observation."""
        found = self.results[name]
        assert isinstance(found, Heard)
        return found

    def all_heard(self, name: str) -> tuple[Heard, ...]:
        """What came of its requests."""
        found = self.results[name]
        assert isinstance(found, tuple)
        return found

    @property
    def reach(self) -> Reach:
        """How far a connection came."""
        found = self.results["reach"]
        assert isinstance(found, Reach)
        return found


class Checking(Protocol):
    """What an observation may do."""

    @property
    def seen(self) -> Seen:
        """What was observed before."""
        ...

    async def reach(self) -> Reach:
        """Try the connection."""
        ...

    async def send(
        self,
        ask: Ask,
        *,
        deadline_s: float = CALL_S,
        enough: Callable[[bytes], bool] = lambda _so_far: False,
    ) -> Heard:
        """Ask, within the endpoint's limits; never raises but for cancellation."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Requests whose outcome is judged, made once however many probes look at it.

    calls, tokens_in, tokens_out: the most that it costs. after: observations that come
    before it. alone: nothing else is asked meanwhile. deadline_s: of all of it.
    """

    name: str
    observe: Callable[[Checking], Awaitable[Any]]
    calls: int = 1
    tokens_in: int = 60
    tokens_out: int = 0
    after: tuple[str, ...] = ("stream",)
    alone: bool = False
    deadline_s: float = CALL_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One question about an endpoint. needs: probes that must not have failed before it."""

    name: str
    level: Level = Level.STANDARD
    needs: tuple[str, ...] = ("plain",)
    sees: tuple[str, ...]
    judge: Callable[[Seen], Judgement]
