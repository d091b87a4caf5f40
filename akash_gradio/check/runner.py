"""Runs the probes: each when what it needs has passed, beside others where it may.

Observations are made once. Nothing is asked that a failed probe has made pointless, and
a probe that was not run says because of which one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

from akash_gradio.check import messages
from akash_gradio.check.probe import (
    CALL_S,
    Judgement,
    Level,
    Observation,
    Probe,
    Seen,
    Verdict,
    failed,
    skipped,
)
from akash_gradio.check.probe_client import ProbeClient
from akash_gradio.check.probe_request import Ask, Heard, Reach
from akash_gradio.check.probes.model_list import listed
from akash_gradio.check.probes.registry import OBSERVATIONS, chosen
from akash_gradio.check.target import Target
from akash_gradio.domain.capabilities import Capabilities

AT_ONCE: Final = 4
"""Observations under way, where the endpoint names no lower limit of its own."""
MOST_AT_ONCE: Final = 8
"""Requests in flight; only the probe that is about just that makes so many."""
ROOM_WITHIN_S: Final = 20.0


class Slot(Protocol):
    """The places of an endpoint, which chats have first."""

    async def enter(self) -> None:
        """Wait for one that no chat is likely to want, and take it."""
        ...

    def leave(self) -> None:
        """The request is over."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one probe found, in words without secrets.

    code: `probe.code`, the same for the same finding always. curl: repeats it, "" where
    there is nothing to ask. seconds: since the check began.
    """

    probe: str
    title: str
    verdict: Verdict
    code: str
    says: str
    mend: str = ""
    curl: str = ""
    seconds: float = 0.0


class Check:
    """Live: one check of one target. `findings` runs it.

    scale: makes every deadline shorter or longer; tests do. room: None where nobody else
    asks this endpoint. clock: monotonic seconds. capabilities: what was learned, complete
    at the end.
    """

    def __init__(
        self,
        target: Target,
        *,
        level: Level = Level.STANDARD,
        scale: float = 1.0,
        room: Slot | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.target, self.level = target, level
        self.learned: dict[str, Any] = {}
        self._scale, self._room = scale, room
        self._prober, self._clock = ProbeClient(target, clock), clock
        most = target.entry.max_concurrency
        self._steps = asyncio.Semaphore(min(AT_ONCE, most or AT_ONCE))
        self._places = asyncio.Semaphore(most or MOST_AT_ONCE)
        self._results: dict[str, Any] = {}
        self._made: dict[str, asyncio.Task[None]] = {}
        self._verdicts: dict[str, asyncio.Future[Verdict]] = {}
        self._began = clock()

    @property
    def capabilities(self) -> Capabilities:
        """What the endpoint can, as far as it is known."""
        return Capabilities(**self.learned)

    @property
    def seen(self) -> Seen:
        """What was observed so far."""
        return Seen(target=self.target, model=self._model(), results=self._results)

    async def findings(self) -> AsyncGenerator[Finding, None]:
        """Each finding as soon as it is known. Hold it with `aclosing`."""
        self._began = self._clock()
        found: asyncio.Queue[Finding | None] = asyncio.Queue()
        running = asyncio.create_task(self._run(found))
        try:
            while (finding := await found.get()) is not None:
                yield finding
            await running
        finally:
            running.cancel()
            await asyncio.wait({running})

    async def reach(self) -> Reach:
        """Try the connection."""
        return await self._prober.reach(deadline_s=self._scale * 5.0)

    async def send(
        self,
        ask: Ask,
        *,
        deadline_s: float = CALL_S,
        enough: Callable[[bytes], bool] = lambda _so_far: False,
    ) -> Heard:
        """Ask, within the limits of the endpoint and of this check."""
        async with self._places:
            if self._room is None:
                return await self._send(ask, deadline_s, enough)
            async with asyncio.timeout(ROOM_WITHIN_S * self._scale):
                await self._room.enter()
            try:
                return await self._send(ask, deadline_s, enough)
            finally:
                self._room.leave()

    async def _send(self, ask: Ask, deadline_s: float, enough: Callable[[bytes], bool]) -> Heard:
        return await self._prober.send(ask, deadline_s=self._scale * deadline_s, enough=enough)

    async def _run(self, found: asyncio.Queue[Finding | None]) -> None:
        probes = chosen(self.level)
        loop = asyncio.get_running_loop()
        self._verdicts = {probe.name: loop.create_future() for probe in probes}
        alone = [probe for probe in probes if _alone(probe)]
        try:
            async with self._prober:
                await _all([self._probe(p, found) for p in probes if p not in alone])
                for probe in alone:
                    await self._probe(probe, found)
        finally:
            await _end(self._made.values())
            found.put_nowait(None)

    async def _probe(self, probe: Probe, found: asyncio.Queue[Finding | None]) -> None:
        judgement = await self._judgement(probe)
        self._verdicts[probe.name].set_result(judgement.verdict)
        self.learned |= judgement.learned
        found.put_nowait(self._finding(probe, judgement))

    async def _judgement(self, probe: Probe) -> Judgement:
        for need in probe.needs:
            if await self._verdicts[need] in (Verdict.FAIL, Verdict.SKIPPED):
                return skipped("needs", need=messages.TITLES[need])
        try:
            for name in probe.sees:
                await self._observed(name)
        except TimeoutError:
            return skipped("busy") if self._room is not None else failed(None, "silent")
        return probe.judge(self.seen)

    async def _observed(self, name: str) -> None:
        if name not in self._made:
            self._made[name] = asyncio.create_task(self._observe(OBSERVATIONS[name]))
        await asyncio.shield(self._made[name])

    async def _observe(self, observation: Observation) -> None:
        for earlier in observation.after:
            await self._observed(earlier)
        async with self._steps:
            async with asyncio.timeout(self._scale * (observation.deadline_s + 1)):
                self._results[observation.name] = await observation.observe(self)

    def _model(self) -> str:
        if self.target.model is not None:
            return self.target.model
        models = self._results.get("models")
        ids = [model.id for model in listed(models)] if isinstance(models, Heard) else []
        return ids[0] if ids else "default"

    def _finding(self, probe: Probe, judgement: Judgement) -> Finding:
        says, mend = messages.told(probe.name, judgement.code, judgement.facts)
        return Finding(
            probe=probe.name,
            title=messages.TITLES[probe.name],
            verdict=judgement.verdict,
            code=f"{probe.name}.{judgement.code}",
            says=says,
            mend=mend,
            curl=self.target.curl(judgement.ask) if judgement.ask else "",
            seconds=self._clock() - self._began,
        )


def _alone(probe: Probe) -> bool:
    return any(OBSERVATIONS[name].alone for name in probe.sees)


async def _all(works: Sequence[Any]) -> None:
    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(work)


async def _end(tasks: Any) -> None:
    for task in list(tasks):
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task
