"""Lanes start together, run independently, and can be stopped one by one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import pytest

from akash_gradio.compare.lanes import LaneRunner
from tests.virtual_time import run_in_virtual_time

Lane = Callable[[], AsyncGenerator[Any, None]]


def counting(closed: list[str], name: str, count: int = 3) -> Lane:
    async def lane() -> AsyncGenerator[Any, None]:
        try:
            for number in range(count):
                await asyncio.sleep(0)
                yield number
        finally:
            closed.append(name)

    return lane


def endless(closed: list[str], name: str) -> Lane:
    return counting(closed, name, 10**9)


async def collect(runner: LaneRunner[Any]) -> list[tuple[str, Any]]:
    async with aclosing(runner.events()) as events:
        return [event async for event in events]


async def test_all_events_and_the_end_of_each_lane_are_yielded() -> None:
    closed: list[str] = []
    events = await collect(LaneRunner({"A": counting(closed, "A"), "B": counting(closed, "B", 1)}))
    assert [event for lane, event in events if lane == "A"] == [0, 1, 2, None]
    assert [event for lane, event in events if lane == "B"] == [0, None]
    assert sorted(closed) == ["A", "B"]


@pytest.mark.parametrize("order", [["A", "B", "C"], ["C", "B", "A"], ["B", "C", "A"]])
async def test_lanes_start_in_the_shuffled_order(order: list[str]) -> None:
    started: list[str] = []

    def lane(name: str) -> Lane:
        async def run() -> AsyncGenerator[Any, None]:
            started.append(name)
            yield name

        return run

    def shuffle(names: list[str]) -> None:
        names[:] = order

    await collect(LaneRunner({name: lane(name) for name in "ABC"}, shuffle=shuffle))
    assert started == order


async def test_every_lane_has_started_before_the_first_event() -> None:
    started: list[str] = []

    def lane(name: str) -> Lane:
        async def run() -> AsyncGenerator[Any, None]:
            started.append(name)
            yield len(started)

        return run

    async with aclosing(LaneRunner({name: lane(name) for name in "ABCD"}).events()) as events:
        await anext(events)
        assert sorted(started) == ["A", "B", "C", "D"]


def paced(times_s: list[float], tokens: int, tokens_per_s: float) -> Lane:
    """Return a lane that yields tokens at this pace and records when each was consumed."""

    async def run() -> AsyncGenerator[Any, None]:
        for number in range(tokens):
            await asyncio.sleep(1 / tokens_per_s)
            yield number
            times_s.append(asyncio.get_running_loop().time())

    return run


def test_a_slow_lane_does_not_delay_a_fast_one() -> None:
    alone: list[float] = []
    beside: list[float] = []
    run_in_virtual_time(collect(LaneRunner({"A": paced(alone, 400, 200)})))
    lanes = {"A": paced(beside, 400, 200), "B": paced([], 20, 2)}
    run_in_virtual_time(collect(LaneRunner(lanes)))
    assert len(alone) == len(beside) == 400
    assert beside == pytest.approx(alone, rel=0.05)
    assert alone[-1] == pytest.approx(2.0, rel=0.01)


async def test_stopping_a_lane_leaves_the_others_running() -> None:
    closed: list[str] = []
    runner: LaneRunner[Any] = LaneRunner(
        {"A": endless(closed, "A"), "B": counting(closed, "B", 50)}
    )
    received: list[tuple[str, Any]] = []
    async with aclosing(runner.events()) as events:
        async for lane, event in events:
            received.append((lane, event))
            if (lane, event) == ("B", 10):
                assert runner.stop("A")
    assert closed == ["A", "B"]
    assert received[-1] == ("B", None)
    assert ("A", None) in received
    assert not runner.stop("A")
    assert not runner.stop("Z")


async def test_a_lane_can_be_stopped_before_it_starts() -> None:
    runner: LaneRunner[Any] = LaneRunner({"A": endless([], "A"), "B": counting([], "B", 1)})
    events = runner.events()
    first = asyncio.ensure_future(anext(events))
    asyncio.get_running_loop().call_soon(runner.stop, "A")
    await asyncio.sleep(0)
    runner.stop("A")
    received = [await first] + [event async for event in events]
    assert {lane for lane, event in received if event is None} == {"A", "B"}


async def test_closing_the_events_closes_every_lane() -> None:
    closed: list[str] = []
    runner: LaneRunner[Any] = LaneRunner({name: endless(closed, name) for name in "ABCD"})
    async with aclosing(runner.events()) as events:
        for _ in range(20):
            await anext(events)
    assert sorted(closed) == ["A", "B", "C", "D"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_lanes_wait_for_a_slow_reader() -> None:
    produced: list[int] = []

    async def lane() -> AsyncGenerator[Any, None]:
        for number in range(1000):
            produced.append(number)
            yield number

    async with aclosing(LaneRunner({"A": lane}).events()) as events:
        await anext(events)
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(produced) <= 2


async def test_an_exception_of_a_lane_is_raised_and_the_others_are_closed() -> None:
    closed: list[str] = []

    async def broken() -> AsyncGenerator[Any, None]:
        yield 1
        raise LookupError("lost")

    with pytest.raises(LookupError, match="lost"):
        await collect(LaneRunner({"A": broken, "B": endless(closed, "B")}))
    assert closed == ["B"]
