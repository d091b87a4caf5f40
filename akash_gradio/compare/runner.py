"""A prompt set on its way through its lanes: who is asked next, pause, stop, how far it is."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from akash_gradio.compare.capacity import Loads, shares
from akash_gradio.compare.journal import Journal
from akash_gradio.compare.rows import OK
from akash_gradio.compare.task import Cards, ask
from akash_gradio.domain.ports import ChatGateway

CALLS_PER_ENDPOINT: Final = 4
"""Calls at a time for each endpoint, unless somebody says otherwise."""
LONGEST_PAUSE_S: Final = 3600.0
"""A run that is paused for longer is stopped, and takes nobody's place any more."""


class RunState(StrEnum):
    """A run's life. From STOPPED it goes on with a new `Run` of the same journal."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far it is. done: calls with a row, failed ones too. remaining_s: None when unknown."""

    state: RunState
    done: int
    failed: int
    total: int
    in_flight: int
    remaining_s: float | None


class Run:
    """Live. Asks what the journal lacks, and nothing twice; `run` it once, on one event loop.

    cards: catalog id → its card, for prices. per_endpoint: calls at a time. clock: monotonic
    seconds. sleep: of pauses, in seconds. closing: no call is begun while it is true.
    """

    def __init__(
        self,
        journal: Journal,
        answerer: ChatGateway,
        cards: Cards,
        *,
        per_endpoint: int = CALLS_PER_ENDPOINT,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
        closing: Callable[[], bool] = lambda: False,
    ) -> None:
        self._journal, self._answerer, self._cards = journal, answerer, cards
        self._clock, self._sleep, self._closing = clock, sleep, closing
        self._loads = Loads(per_endpoint)
        known = journal.outcomes()
        self._done, self._before = len(known), len(known)
        self._failed = sum(outcome != OK for outcome in known.values())
        self._order = journal.plan.order()
        self._pending = self._what_is_left(known)
        self._tasks: dict[asyncio.Task[None], Mapping[str, float]] = {}
        self._state = RunState.WAITING if self._pending else RunState.DONE
        self._changed = asyncio.Event()
        self._since = 0.0
        self._worked_s = 0.0

    def _what_is_left(self, known: Mapping[int, str]) -> dict[int, deque[int]]:
        """Lane → the places in the order of its tasks without a row."""
        pending: dict[int, deque[int]] = defaultdict(deque)
        for place, number in enumerate(self._order):
            if number not in known:
                pending[self._journal.plan.lane_of(number)].append(place)
        return pending

    async def run(self) -> RunState:
        """Until everything has its row, or `stop`. Cancelling it stops it, too."""
        if self._state is RunState.WAITING:
            self._go()
        try:
            while True:
                self._changed.clear()
                self._settle_finished()
                if self._state is RunState.RUNNING and not self._closing():
                    self._start_what_fits()
                if not self._tasks and (self._state is RunState.STOPPED or not self._left):
                    break
                await self._wait()
        finally:
            await self._cancel_tasks()
        return self._state

    async def _wait(self) -> None:
        """Until something changed; who pauses for too long is stopped."""
        try:
            async with asyncio.timeout(LONGEST_PAUSE_S if self._paused else None):
                await self._changed.wait()
        except TimeoutError:
            self.stop()

    def pause(self) -> None:
        """Begin no more calls; those under way come to their end."""
        if self._state is RunState.RUNNING:
            self._halt(RunState.PAUSED)

    def resume(self) -> None:
        """After `pause`."""
        if self._state is RunState.PAUSED:
            self._go()

    def stop(self) -> None:
        """End now. Calls under way are closed and have no row."""
        if self._state is not RunState.DONE:
            self._halt(RunState.STOPPED)
            for task in self._tasks:
                task.cancel()

    @property
    def progress(self) -> Progress:
        """How far it is now."""
        return Progress(
            state=self._state,
            done=self._done,
            failed=self._failed,
            total=len(self._order),
            in_flight=len(self._tasks),
            remaining_s=self._left_s(),
        )

    @property
    def _paused(self) -> bool:
        return self._state is RunState.PAUSED

    @property
    def _left(self) -> int:
        return sum(map(len, self._pending.values()))

    def _left_s(self) -> float | None:
        """At the pace so far; the calls under way count as half done."""
        came = self._done - self._before
        if not came:
            return None
        running = self._clock() - self._since if self._state is RunState.RUNNING else 0.0
        worked_s = self._worked_s + running
        return worked_s / came * (self._left + len(self._tasks) / 2)

    def _go(self) -> None:
        self._state, self._since = RunState.RUNNING, self._clock()
        self._changed.set()

    def _halt(self, state: RunState) -> None:
        if self._state is RunState.RUNNING:
            self._worked_s += self._clock() - self._since
        self._state = state
        self._changed.set()

    def _start_what_fits(self) -> None:
        """In the order of the plan, but a lane that waits for its endpoint holds no other one."""
        endpoints = self._answerer.endpoints()
        lanes = self._journal.plan.lanes
        calls = {
            lane: shares(lanes[lane], endpoints) for lane, left in self._pending.items() if left
        }
        while ready := [lane for lane in calls if self._loads.fits(calls[lane])]:
            lane = min(ready, key=lambda each: self._pending[each][0])
            self._start(self._order[self._pending[lane].popleft()], calls[lane])
            if not self._pending[lane]:
                del calls[lane]

    def _start(self, number: int, call: Mapping[str, float]) -> None:
        self._loads.take(call)
        task = asyncio.create_task(self._write_down(number))
        self._tasks[task] = call
        task.add_done_callback(lambda _task: self._changed.set())

    async def _write_down(self, number: int) -> None:
        task = self._journal.plan.task(number)
        stream = self._journal.plan.stream
        row = await ask(task, self._answerer, self._cards, stream=stream, sleep=self._sleep)
        await self._journal.add(row)
        self._done += 1  # not before it can be read
        self._failed += not row.ok

    def _settle_finished(self) -> None:
        """Raises what a call raised that is no error of the domain: a fault of ours."""
        for task in [task for task in self._tasks if task.done()]:
            self._loads.free(self._tasks.pop(task))
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _cancel_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
        whole = self._done == len(self._order)
        self._halt(RunState.DONE if whole else RunState.STOPPED)
