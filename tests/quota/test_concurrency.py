"""The waiting queue is fair between visitors."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from akash_gradio.domain.errors import LimitReached
from akash_gradio.domain.visitor import Visitor
from akash_gradio.quota.concurrency import ConcurrencyLimiter


def visitor(name: str, network: str = "") -> Visitor:
    return Visitor(id=name, network=network)


class Queue:
    """Requests of visitors at a limiter; `order` has the names in the order of their slots."""

    def __init__(self, max_running: int, max_waiting: int) -> None:
        self.limiter = ConcurrencyLimiter(max_running, max_waiting)
        self.order: list[str] = []
        self.refused: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []
        self._running: list[Visitor] = []

    async def add(self, sender: Visitor) -> None:
        self.tasks.append(asyncio.create_task(self._wait(sender)))
        await asyncio.sleep(0)

    async def end_one(self, number: int = 0) -> None:
        self.limiter.release(self._running.pop(number))
        await self.settle()

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    @property
    def running(self) -> int:
        return len(self._running)

    async def _wait(self, sender: Visitor) -> None:
        try:
            async for _position in self.limiter.acquire(sender):
                pass
        except LimitReached:
            self.refused.append(sender.id)
            return
        self.order.append(sender.id)
        self._running.append(sender)


async def test_a_visitor_with_many_requests_delays_another_by_one() -> None:
    queue = Queue(max_running=1, max_waiting=100)
    for _ in range(50):
        await queue.add(visitor("ann"))
    await queue.add(visitor("ben"))
    await queue.add(visitor("cas"))
    for _ in range(51):
        await queue.end_one()
    assert queue.order == ["ann", "ben", "cas", *["ann"] * 49]


async def test_many_cookies_of_a_network_count_as_ten_visitors() -> None:
    queue = Queue(max_running=1, max_waiting=200)
    for number in range(100):
        await queue.add(visitor(f"new-{number}", "home"))
    for number in range(3):
        await queue.add(visitor(f"elsewhere-{number}", f"other-{number}"))
    for _ in range(30):
        await queue.end_one()
    elsewhere = [n for n, name in enumerate(queue.order) if name.startswith("elsewhere")]
    assert len(elsewhere) == 3
    assert max(elsewhere) <= 12


async def test_a_full_queue_refuses_the_visitor_with_the_most_requests() -> None:
    queue = Queue(max_running=1, max_waiting=4)
    for _ in range(5):
        await queue.add(visitor("ann"))
    await queue.add(visitor("ann"))
    await queue.settle()
    assert queue.refused == ["ann"]
    for name in ("ben", "cas", "dan"):
        await queue.add(visitor(name))
    await queue.settle()
    assert queue.refused == ["ann"] * 4
    await queue.add(visitor("eve"))
    await queue.add(visitor("fay"))
    await queue.settle()
    assert queue.refused == ["ann"] * 5 + ["fay"]
    for _ in range(4):
        await queue.end_one()
    assert queue.order == ["ann", "ben", "cas", "dan", "eve"]


@pytest.mark.parametrize("seed", range(20))
async def test_slots_are_neither_lost_nor_given_twice(seed: int) -> None:
    generator = random.Random(seed)
    queue = Queue(max_running=3, max_waiting=6)
    for _ in range(300):
        action = generator.random()
        if action < 0.5:
            name = generator.choice("abcde")
            await queue.add(visitor(name, generator.choice(("", "home"))))
        elif action < 0.8 and queue.running:
            await queue.end_one(generator.randrange(queue.running))
        elif queue.tasks:
            generator.choice(queue.tasks).cancel()
            await queue.settle()
        await queue.settle()
        assert queue.limiter.running == queue.running <= 3
    while queue.running:
        await queue.end_one()
    assert queue.limiter.running == 0
    assert queue.limiter._slots == Counter()
    assert queue.limiter._queue == []
