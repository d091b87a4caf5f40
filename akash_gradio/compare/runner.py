"""Executes a run: starts its calls in order, within each endpoint's limit, and can be paused."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from akash_gradio.compare.capacity import EndpointLoads, endpoint_shares
from akash_gradio.compare.journal import Journal
from akash_gradio.compare.rows import OK
from akash_gradio.compare.task import CardLookup, EvaluateChecks, evaluate_here, run_task
from akash_gradio.domain.ports import ChatGateway

CALLS_PER_ENDPOINT: Final = 4
"""Default limit of concurrent calls per endpoint."""
MAX_PAUSE_S: Final = 3600.0
"""A run that is paused for longer is stopped, so that it no longer counts as active."""


class RunState(StrEnum):
    """The state of a run. A stopped run is resumed by a new `Runner` of the same journal."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The progress of a run.

    Attributes:
        state: Its state.
        done: Calls with a row, failed ones included.
        failed: Calls with a row but no complete answer.
        total: All calls of the plan.
        in_flight: Calls that have started and not ended.
        remaining_s: Estimated seconds until the end, None if unknown.
    """

    state: RunState
    done: int
    failed: int
    total: int
    in_flight: int
    remaining_s: float | None


class Runner:
    """Executes the tasks of a journal that have no row yet, each once.

    Use `run` once, on one event loop.
    """

    def __init__(
        self,
        journal: Journal,
        gateway: ChatGateway,
        get_card: CardLookup,
        *,
        per_endpoint: int = CALLS_PER_ENDPOINT,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
        closing: Callable[[], bool] = lambda: False,
        evaluate: EvaluateChecks = evaluate_here,
    ) -> None:
        """Count the rows so far; `prepare` does the rest.

        Args:
            journal: The plan, and where rows are written.
            gateway: Where requests are sent.
            get_card: Looks up a model's card, for its prices.
            per_endpoint: Concurrent calls per endpoint.
            clock: Monotonic seconds.
            sleep: Pauses for some seconds.
            closing: No call is started while this returns True.
            evaluate: Evaluates the checks of an answer.
        """
        self._evaluate = evaluate
        self._journal, self._gateway, self._get_card = journal, gateway, get_card
        self._clock, self._sleep, self._closing = clock, sleep, closing
        self._loads = EndpointLoads(per_endpoint)
        outcomes = journal.outcomes()
        self._done, self._done_before = len(outcomes), len(outcomes)
        self._failed = sum(outcome != OK for outcome in outcomes.values())
        self._total = journal.plan.calls
        self._order: list[int] = []
        self._pending: dict[int, deque[int]] = {}
        self._tasks: dict[asyncio.Task[None], Mapping[str, float]] = {}
        self._state = RunState.WAITING if self._done < self._total else RunState.DONE
        self._changed = asyncio.Event()
        self._running_since = 0.0
        self._running_s = 0.0

    def prepare(self) -> None:
        """Order the tasks that have no row yet, before `run`. It takes seconds for a big plan."""
        outcomes = self._journal.outcomes()
        self._order = self._journal.plan.order()
        pending: dict[int, deque[int]] = defaultdict(deque)
        for position, number in enumerate(self._order):
            if number not in outcomes:
                pending[self._journal.plan.lane_of(number)].append(position)
        self._pending = pending

    async def run(self) -> RunState:
        """Execute tasks until each has a row or `stop` is called. Cancelling it stops the run too.

        Returns:
            DONE or STOPPED.
        """
        if not self._order:
            self.prepare()
        if self._state is RunState.WAITING:
            self._enter_running()
        try:
            while True:
                self._changed.clear()
                self._collect_finished()
                if self._state is RunState.RUNNING and not self._closing():
                    self._start_calls()
                if not self._tasks and (self._state is RunState.STOPPED or not self._tasks_left):
                    break
                await self._wait_for_change()
        finally:
            await self._cancel_tasks()
        return self._state

    async def _wait_for_change(self) -> None:
        """Wait until a call ends or the state changes. Stop a run that is paused for too long."""
        try:
            async with asyncio.timeout(MAX_PAUSE_S if self._paused else None):
                await self._changed.wait()
        except TimeoutError:
            self.stop()

    def pause(self) -> None:
        """Start no more calls; those in flight complete."""
        if self._state is RunState.RUNNING:
            self._leave_running(RunState.PAUSED)

    def resume(self) -> None:
        """Continue after `pause`."""
        if self._state is RunState.PAUSED:
            self._enter_running()

    def stop(self) -> None:
        """End now. Calls in flight are cancelled and get no row."""
        if self._state is not RunState.DONE:
            self._leave_running(RunState.STOPPED)
            for task in self._tasks:
                task.cancel()

    @property
    def progress(self) -> Progress:
        """The current progress."""
        return Progress(
            state=self._state,
            done=self._done,
            failed=self._failed,
            total=self._total,
            in_flight=len(self._tasks),
            remaining_s=self._remaining_s(),
        )

    @property
    def _paused(self) -> bool:
        return self._state is RunState.PAUSED

    @property
    def _tasks_left(self) -> int:
        return sum(map(len, self._pending.values()))

    def _remaining_s(self) -> float | None:
        """Extrapolate the pace so far; calls in flight count as half done."""
        done = self._done - self._done_before
        if not done:
            return None
        current_s = self._clock() - self._running_since if self._state is RunState.RUNNING else 0.0
        running_s = self._running_s + current_s
        return running_s / done * (self._tasks_left + len(self._tasks) / 2)

    def _enter_running(self) -> None:
        self._state, self._running_since = RunState.RUNNING, self._clock()
        self._changed.set()

    def _leave_running(self, state: RunState) -> None:
        if self._state is RunState.RUNNING:
            self._running_s += self._clock() - self._running_since
        self._state = state
        self._changed.set()

    def _start_calls(self) -> None:
        """Start calls in the plan's order; a lane whose endpoint is busy doesn't delay others."""
        endpoints = self._gateway.endpoints()
        lanes = self._journal.plan.lanes
        shares = {
            lane: endpoint_shares(lanes[lane], endpoints)
            for lane, positions in self._pending.items()
            if positions
        }
        while ready := [lane for lane in shares if self._loads.fits(shares[lane])]:
            lane = min(ready, key=lambda index: self._pending[index][0])
            self._start(self._order[self._pending[lane].popleft()], shares[lane])
            if not self._pending[lane]:
                del shares[lane]

    def _start(self, number: int, shares: Mapping[str, float]) -> None:
        self._loads.add(shares)
        task = asyncio.create_task(self._execute(number))
        self._tasks[task] = shares
        task.add_done_callback(lambda _task: self._changed.set())

    async def _execute(self, number: int) -> None:
        task = self._journal.plan.task(number)
        stream = self._journal.plan.stream
        row = await run_task(
            task,
            self._gateway,
            self._get_card,
            stream=stream,
            sleep=self._sleep,
            evaluate=self._evaluate,
        )
        await self._journal.add(row)
        self._done += 1  # only when the row can be read
        self._failed += not row.ok

    def _collect_finished(self) -> None:
        """Remove finished calls and re-raise unexpected exceptions (gateway errors are rows)."""
        for task in [task for task in self._tasks if task.done()]:
            self._loads.remove(self._tasks.pop(task))
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _cancel_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
        complete = self._done == self._total
        self._leave_running(RunState.DONE if complete else RunState.STOPPED)
