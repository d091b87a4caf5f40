"""Runs several async generators side by side: they start together and then run independently."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from functools import partial
from typing import Final, Generic, TypeAlias, TypeVar

LETTERS: Final = ("A", "B", "C", "D")
"""Names of the lanes on the page, and their maximum number."""

EventT = TypeVar("EventT")
LaneFactory: TypeAlias = Callable[[], AsyncGenerator[EventT, None]]
Shuffle: TypeAlias = Callable[[list[str]], None]


class LaneRunner(Generic[EventT]):
    """Runs each lane's generator in its own task and merges their events."""

    def __init__(
        self, factories: Mapping[str, LaneFactory[EventT]], *, shuffle: Shuffle = random.shuffle
    ) -> None:
        """Prepare the lanes; nothing starts before `events` is iterated.

        Args:
            factories: Lane → function that creates its generator.
            shuffle: Shuffles the order of the start in place. All lanes start in one pass of
                the event loop; a random order gives none of them a lasting advantage.
        """
        self._factories, self._shuffle = dict(factories), shuffle
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._queue: asyncio.Queue[tuple[str, EventT, asyncio.Event] | str] = asyncio.Queue()

    async def events(self) -> AsyncGenerator[tuple[str, EventT | None], None]:
        """Yield (lane, event) as events arrive, and (lane, None) at the end of each lane.

        A lane continues when its event was consumed; lanes don't wait for each other. Hold this
        generator with `aclosing`: closing it closes every lane.

        Raises:
            Exception: Whatever a lane raises.
        """
        order = list(self._factories)
        self._shuffle(order)
        self._tasks = {lane: asyncio.create_task(self._run(lane)) for lane in order}
        for lane, task in self._tasks.items():
            task.add_done_callback(partial(self._on_done, lane))
        try:
            running = len(order)
            while running:
                item = await self._queue.get()
                if isinstance(item, str):
                    running -= 1
                    yield item, None
                    self._raise_failure(item)
                else:
                    lane, event, consumed = item
                    consumed.set()
                    yield lane, event
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.wait(self._tasks.values())

    def stop(self, lane: str) -> bool:
        """Stop one lane without affecting the others. Return False if it isn't running."""
        task = self._tasks.get(lane)
        return task is not None and task.cancel()

    async def _run(self, lane: str) -> None:
        async with aclosing(self._factories[lane]()) as events:
            async for event in events:
                consumed = asyncio.Event()
                self._queue.put_nowait((lane, event, consumed))
                await consumed.wait()

    def _on_done(self, lane: str, _task: asyncio.Task[None]) -> None:
        """Announce the end, which a lane that was stopped before it started can't do itself."""
        self._queue.put_nowait(lane)

    def _raise_failure(self, lane: str) -> None:
        task = self._tasks[lane]
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error
