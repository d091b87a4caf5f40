"""Lanes that start together and then run each at its own pace."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from functools import partial
from typing import Final, Generic, TypeAlias, TypeVar

LETTERS: Final = ("A", "B", "C", "D")
"""What lanes are called; so many are there at most."""

Said = TypeVar("Said")
Runner: TypeAlias = Callable[[], AsyncGenerator[Said, None]]
Shuffle: TypeAlias = Callable[[list[str]], None]


class LaneRunner(Generic[Said]):
    """Live. Each lane is an async generator in a task of its own.

    runners: lane → what makes its generator. shuffle: puts the order of the start, in place;
    all lanes start in one pass of the event loop, and whoever goes first in it is drawn anew
    each time, so that no lane is favored.
    """

    def __init__(
        self, runners: Mapping[str, Runner[Said]], *, shuffle: Shuffle = random.shuffle
    ) -> None:
        self._runners, self._shuffle = dict(runners), shuffle
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._said: asyncio.Queue[tuple[str, Said, asyncio.Event] | str] = asyncio.Queue()

    async def events(self) -> AsyncGenerator[tuple[str, Said | None], None]:
        """(lane, what it says) as it comes, and (lane, None) at the end of each lane.

        A lane goes on when what it said was taken; no lane waits for another one. Raises what
        a lane raises. Hold it with `aclosing`: closing it closes every lane.
        """
        order = list(self._runners)
        self._shuffle(order)
        self._tasks = {lane: asyncio.create_task(self._run(lane)) for lane in order}
        for lane, task in self._tasks.items():
            task.add_done_callback(partial(self._ended, lane))
        try:
            left = len(order)
            while left:
                said = await self._said.get()
                if isinstance(said, str):
                    left -= 1
                    yield said, None
                    self._raise_failure(said)
                else:
                    lane, event, taken = said
                    taken.set()
                    yield lane, event
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.wait(self._tasks.values())

    def stop(self, lane: str) -> bool:
        """End one lane; the others go on. False when it isn't running."""
        task = self._tasks.get(lane)
        return task is not None and task.cancel()

    async def _run(self, lane: str) -> None:
        async with aclosing(self._runners[lane]()) as events:
            async for event in events:
                taken = asyncio.Event()
                self._said.put_nowait((lane, event, taken))
                await taken.wait()

    def _ended(self, lane: str, _task: asyncio.Task[None]) -> None:
        """Also of a lane that was stopped before it began."""
        self._said.put_nowait(lane)

    def _raise_failure(self, lane: str) -> None:
        task = self._tasks[lane]
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error
