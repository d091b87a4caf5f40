"""Runs the probes, each as soon as the ones it requires have passed.

Every observation is made once. A probe whose requirement failed is skipped, and its finding names
the requirement.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

from akash_gradio.check import messages
from akash_gradio.check.probe import REQUEST_TIMEOUT_S, Evidence, Level, Observation, Probe
from akash_gradio.check.probe_client import ProbeClient
from akash_gradio.check.probe_request import ConnectionResult, ProbeRequest, ProbeResponse
from akash_gradio.check.probe_result import ProbeResult, Verdict, failed, skipped
from akash_gradio.check.probes.model_list import listed_models
from akash_gradio.check.probes.registry import OBSERVATIONS, probes_of
from akash_gradio.check.target import Target
from akash_gradio.domain.capabilities import Capabilities

CONNECT_TIMEOUT_S: Final = 5.0
MAX_OBSERVATIONS: Final = 4
"""Upper bound of observations at the same time, unless the endpoint's own limit is lower."""
MAX_REQUESTS: Final = 8
"""Upper bound of requests in flight. Only the probe `at-once` needs that many."""
SLOT_TIMEOUT_S: Final = 20.0


class SlotPool(Protocol):
    """The request slots of a running endpoint. Chats have priority over checks."""

    async def acquire_slot(self) -> None:
        """Wait for a slot that the next chat won't need, and take it."""
        ...

    def release_slot(self) -> None:
        """Return the slot."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one probe, as text without secrets.

    Attributes:
        probe: Name of the probe.
        title: Display name of the probe.
        verdict: How the probe ended.
        code: Stable identifier, the probe's name and the result's code: `speed.slow`.
        message: What was observed, and what it means.
        fix: What to change, "" if nothing needs to be changed.
        curl: Command that repeats the request, "" if there is none.
        seconds: Time since the check began.
    """

    probe: str
    title: str
    verdict: Verdict
    code: str
    message: str
    fix: str = ""
    curl: str = ""
    seconds: float = 0.0


class Check:
    """One check of one target. `findings` runs it.

    Args:
        target: The endpoint to check.
        level: How much is checked.
        scale: Factor for all time limits, used by tests.
        slots: The endpoint's slots if it also serves chats.
        clock: Returns monotonic seconds.

    Attributes:
        learned: Fields of `Capabilities` that the results have determined so far.
    """

    def __init__(
        self,
        target: Target,
        *,
        level: Level = Level.STANDARD,
        scale: float = 1.0,
        slots: SlotPool | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.target, self.level = target, level
        self.learned: dict[str, Any] = {}
        self._scale, self._slots = scale, slots
        self._client, self._clock = ProbeClient(target, clock), clock
        limit = target.entry.max_concurrency
        self._observation_limit = asyncio.Semaphore(min(MAX_OBSERVATIONS, limit or MAX_REQUESTS))
        self._request_limit = asyncio.Semaphore(limit or MAX_REQUESTS)
        self._results: dict[str, Any] = {}
        self._observing: dict[str, asyncio.Task[None]] = {}
        self._verdicts: dict[str, asyncio.Future[Verdict]] = {}
        self._started_at = clock()

    @property
    def capabilities(self) -> Capabilities:
        """The endpoint's capabilities, as far as they are known."""
        return Capabilities(**self.learned)

    @property
    def evidence(self) -> Evidence:
        """What has been observed so far."""
        return Evidence(target=self.target, model=self._model(), results=self._results)

    async def findings(self) -> AsyncGenerator[Finding, None]:
        """Run the check and yield each finding as soon as it is known. Hold it with `aclosing`."""
        self._started_at = self._clock()
        queue: asyncio.Queue[Finding | None] = asyncio.Queue()
        running = asyncio.create_task(self._run(queue))
        try:
            while (finding := await queue.get()) is not None:
                yield finding
            await running
        finally:
            running.cancel()
            await asyncio.wait({running})

    async def connect(self) -> ConnectionResult:
        """Open a connection and close it again."""
        return await self._client.connect(timeout_s=self._scale * CONNECT_TIMEOUT_S)

    async def send(
        self,
        request: ProbeRequest,
        *,
        timeout_s: float = REQUEST_TIMEOUT_S,
        stop_when: Callable[[bytes], bool] = lambda _chunk: False,
    ) -> ProbeResponse:
        """Send a request within the limits of the endpoint and of this check. See ProbeContext."""
        async with self._request_limit:
            if self._slots is None:
                return await self._send(request, timeout_s, stop_when)
            async with asyncio.timeout(self._scale * SLOT_TIMEOUT_S):
                await self._slots.acquire_slot()
            try:
                return await self._send(request, timeout_s, stop_when)
            finally:
                self._slots.release_slot()

    async def _send(
        self, request: ProbeRequest, timeout_s: float, stop_when: Callable[[bytes], bool]
    ) -> ProbeResponse:
        return await self._client.send(
            request, timeout_s=self._scale * timeout_s, stop_when=stop_when
        )

    async def _run(self, queue: asyncio.Queue[Finding | None]) -> None:
        probes = probes_of(self.level)
        loop = asyncio.get_running_loop()
        self._verdicts = {probe.name: loop.create_future() for probe in probes}
        exclusive = [probe for probe in probes if _is_exclusive(probe)]
        try:
            async with self._client:
                await _run_all([self._probe(p, queue) for p in probes if p not in exclusive])
                for probe in exclusive:
                    await self._probe(probe, queue)
        finally:
            await _cancel_all(self._observing.values())
            queue.put_nowait(None)

    async def _probe(self, probe: Probe, queue: asyncio.Queue[Finding | None]) -> None:
        result = await self._evaluate(probe)
        self._verdicts[probe.name].set_result(result.verdict)
        self.learned |= result.learned
        queue.put_nowait(self._finding(probe, result))

    async def _evaluate(self, probe: Probe) -> ProbeResult:
        for required in probe.requires:
            if await self._verdicts[required] in (Verdict.FAIL, Verdict.SKIPPED):
                return skipped("needs", need=messages.TITLES[required])
        try:
            for name in probe.observations:
                await self._ensure_observed(name)
        except TimeoutError:
            return skipped("busy") if self._slots is not None else failed(None, "silent")
        return probe.evaluate(self.evidence)

    async def _ensure_observed(self, name: str) -> None:
        if name not in self._observing:
            self._observing[name] = asyncio.create_task(self._observe(OBSERVATIONS[name]))
        await asyncio.shield(self._observing[name])

    async def _observe(self, observation: Observation) -> None:
        for earlier in observation.after:
            await self._ensure_observed(earlier)
        async with self._observation_limit:
            async with asyncio.timeout(self._scale * (observation.timeout_s + 1)):
                self._results[observation.name] = await observation.observe(self)

    def _model(self) -> str:
        if self.target.model is not None:
            return self.target.model
        response = self._results.get("models")
        models = listed_models(response) if isinstance(response, ProbeResponse) else ()
        return models[0].id if models else "default"

    def _finding(self, probe: Probe, result: ProbeResult) -> Finding:
        message, fix = messages.render(probe.name, result.code, result.facts)
        return Finding(
            probe=probe.name,
            title=messages.TITLES[probe.name],
            verdict=result.verdict,
            code=f"{probe.name}.{result.code}",
            message=message,
            fix=fix,
            curl=self.target.curl(result.request) if result.request else "",
            seconds=self._clock() - self._started_at,
        )


def _is_exclusive(probe: Probe) -> bool:
    return any(OBSERVATIONS[name].exclusive for name in probe.observations)


async def _run_all(coroutines: Iterable[Coroutine[Any, Any, None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for coroutine in coroutines:
            group.create_task(coroutine)


async def _cancel_all(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in list(tasks):
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task
