"""Lanes start together, none waits for another, and any of them can be stopped alone."""

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


async def told(race: LaneRunner[Any]) -> list[tuple[str, Any]]:
    async with aclosing(race.events()) as events:
        return [event async for event in events]


async def test_tells_all_that_each_lane_says_and_its_end():
    closed: list[str] = []
    events = await told(LaneRunner({"A": counting(closed, "A"), "B": counting(closed, "B", 1)}))
    assert [said for lane, said in events if lane == "A"] == [0, 1, 2, None]
    assert [said for lane, said in events if lane == "B"] == [0, None]
    assert sorted(closed) == ["A", "B"]


@pytest.mark.parametrize("order", [["A", "B", "C"], ["C", "B", "A"], ["B", "C", "A"]])
async def test_the_order_of_the_start_is_the_drawn_one(order: list[str]):
    began: list[str] = []

    def lane(name: str) -> Lane:
        async def run() -> AsyncGenerator[Any, None]:
            began.append(name)
            yield name

        return run

    def shuffle(names: list[str]) -> None:
        names[:] = order

    await told(LaneRunner({name: lane(name) for name in "ABC"}, shuffle=shuffle))
    assert began == order


async def test_every_lane_has_begun_before_any_is_heard():
    began: list[str] = []

    def lane(name: str) -> Lane:
        async def run() -> AsyncGenerator[Any, None]:
            began.append(name)
            yield len(began)

        return run

    async with aclosing(LaneRunner({name: lane(name) for name in "ABCD"}).events()) as events:
        await anext(events)
        assert sorted(began) == ["A", "B", "C", "D"]


def paced(times_s: list[float], tokens: int, tokens_per_s: float) -> Lane:
    """Says so many tokens at this pace, and notes when each was taken."""

    async def run() -> AsyncGenerator[Any, None]:
        for number in range(tokens):
            await asyncio.sleep(1 / tokens_per_s)
            yield number
            times_s.append(asyncio.get_running_loop().time())

    return run


def test_a_slow_lane_never_delays_a_fast_one():
    alone: list[float] = []
    beside: list[float] = []
    run_in_virtual_time(told(LaneRunner({"A": paced(alone, 400, 200)})))
    lanes = {"A": paced(beside, 400, 200), "B": paced([], 20, 2)}
    run_in_virtual_time(told(LaneRunner(lanes)))
    assert len(alone) == len(beside) == 400
    assert beside == pytest.approx(alone, rel=0.05)
    assert alone[-1] == pytest.approx(2.0, rel=0.01)


async def test_a_stopped_lane_ends_alone():
    closed: list[str] = []
    race: LaneRunner[Any] = LaneRunner({"A": endless(closed, "A"), "B": counting(closed, "B", 50)})
    heard: list[tuple[str, Any]] = []
    async with aclosing(race.events()) as events:
        async for lane, said in events:
            heard.append((lane, said))
            if (lane, said) == ("B", 10):
                assert race.stop("A")
    assert closed == ["A", "B"]
    assert heard[-1] == ("B", None)
    assert ("A", None) in heard
    assert not race.stop("A")
    assert not race.stop("Z")


async def test_a_lane_can_be_stopped_before_it_began():
    race: LaneRunner[Any] = LaneRunner({"A": endless([], "A"), "B": counting([], "B", 1)})
    events = race.events()
    first = asyncio.ensure_future(anext(events))
    asyncio.get_running_loop().call_soon(race.stop, "A")
    await asyncio.sleep(0)
    race.stop("A")
    heard = [await first] + [event async for event in events]
    assert {lane for lane, said in heard if said is None} == {"A", "B"}


async def test_whoever_leaves_closes_every_lane():
    closed: list[str] = []
    race: LaneRunner[Any] = LaneRunner({name: endless(closed, name) for name in "ABCD"})
    async with aclosing(race.events()) as events:
        for _ in range(20):
            await anext(events)
    assert sorted(closed) == ["A", "B", "C", "D"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_reader_who_is_slow_makes_lanes_wait_instead_of_filling_memory():
    made: list[int] = []

    async def lane() -> AsyncGenerator[Any, None]:
        for number in range(1000):
            made.append(number)
            yield number

    async with aclosing(LaneRunner({"A": lane}).events()) as events:
        await anext(events)
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(made) <= 2


async def test_what_a_lane_raises_comes_out_and_the_others_are_closed():
    closed: list[str] = []

    async def broken() -> AsyncGenerator[Any, None]:
        yield 1
        raise LookupError("lost")

    with pytest.raises(LookupError, match="lost"):
        await told(LaneRunner({"A": broken, "B": endless(closed, "B")}))
    assert closed == ["B"]
