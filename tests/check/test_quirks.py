"""Endpoints that do one thing wrong: the probe for it says so, and all others pass."""

from __future__ import annotations

import pytest

from akash_gradio.check.probe import Level, Verdict
from akash_gradio.check.runner import Check
from tests.check.helpers import KEY, Clock, blamed, check, findings, target
from tests.check.quirks import QUIRKS, Quirk, slowly, works_on
from tests.stubs import StubEndpoint
from tests.stubs.compliant import compliant
from tests.stubs.endpoint import Exchange
from tests.stubs.wire import error, to_json


@pytest.mark.parametrize("name", QUIRKS)
async def test_what_one_endpoint_does_wrong_is_found_and_nothing_else(name: str) -> None:
    quirk: Quirk = QUIRKS[name]
    async with StubEndpoint(quirk.handler, **{"key": KEY, **quirk.stub}) as stub:
        found = await check(target(stub, card=quirk.card, **quirk.target))
    assert blamed(found) - CONSEQUENCES.get(quirk.finds, set()) == {quirk.finds}


CONSEQUENCES: dict[str, set[str]] = {"control-characters.refused": {"code-fences.refused"}}


async def test_a_buffering_proxy_is_found_by_asking_for_a_longer_answer() -> None:
    clock = Clock()
    async with StubEndpoint(slowly(clock, 0.1, 0.02, lump=True), key=KEY) as stub:
        found = await check(target(stub), level=Level.QUICK, clock=clock)
    assert "streams-live.lump" in blamed(found)


async def test_a_fast_endpoint_behind_a_long_way_is_no_buffering_proxy() -> None:
    clock = Clock()
    async with StubEndpoint(slowly(clock, 0.5, 0.0), key=KEY) as stub:
        found = await check(target(stub), level=Level.QUICK, clock=clock)
    assert "streams-live.fast" in {one.code for one in found}
    assert "streams-live.lump" not in blamed(found)


@pytest.mark.parametrize(
    ("first_s", "each_s", "code"),
    [
        (0.2, 0.02, "speed.ok"),
        (0.2, 0.2, "speed.slow"),
        (9.0, 0.02, "speed.slow_first"),
        (0.2, 0.0, "speed.first_alone"),
    ],
)
async def test_the_speed_is_told_and_judged(first_s: float, each_s: float, code: str) -> None:
    clock = Clock()
    async with StubEndpoint(slowly(clock, first_s, each_s), key=KEY) as stub:
        found = await check(target(stub), level=Level.QUICK, clock=clock)
    assert code in {one.code for one in found}


async def test_work_that_goes_on_after_leaving_is_found() -> None:
    clock = Clock()
    async with StubEndpoint(works_on(clock), key=KEY) as stub:
        found = await check(target(stub), level=Level.STANDARD, clock=clock)
    assert blamed(found) == {"cancel.goes_on"}


async def test_a_server_that_wants_the_newer_name_of_the_token_limit_passes() -> None:
    async def newer(x: Exchange) -> None:
        if "max_tokens" in x.request.json:
            said = "Unsupported parameter: max_tokens, use max_completion_tokens"
            await x.reply(to_json(error(said, "invalid_request_error")), 400)
        else:
            await compliant().handler(x)

    async with StubEndpoint(newer, key=KEY) as stub:
        found = await check(target(stub))
    assert blamed(found) == set()


async def test_an_endpoint_that_takes_any_key_is_told_so() -> None:
    async with StubEndpoint(compliant()) as stub:
        found = await check(target(stub), level=Level.STANDARD)
    assert "wrong-key.open_here" in {one.code for one in found}


async def test_the_first_listed_model_is_asked_where_none_is_named() -> None:
    async with StubEndpoint(compliant(), models=("first", "second"), key=KEY) as stub:
        found = await check(target(stub, model=None), level=Level.QUICK)
        assert {seen.json["model"] for seen in stub.chats} == {"first"}
    assert "model-listed.chosen" in {one.code for one in found}


async def test_an_endpoint_without_an_answer_is_asked_little() -> None:
    async with StubEndpoint("status_500") as stub:
        found = await check(target(stub))
        assert len(stub.chats) == 2
    skipped = [one for one in found if one.code.endswith(".needs")]
    assert {one.verdict for one in skipped} == {Verdict.SKIPPED}
    assert all("did not pass" in one.says for one in skipped)


class FullHouse:
    """A room with one place; it records how many were in it at once."""

    def __init__(self) -> None:
        self.inside = self.most = self.entered = 0

    async def enter(self) -> None:
        self.inside += 1
        self.entered += 1
        self.most = max(self.most, self.inside)

    def leave(self) -> None:
        self.inside -= 1


async def test_every_request_enters_the_endpoints_room_and_leaves_it() -> None:
    room = FullHouse()
    async with StubEndpoint(compliant(), key=KEY) as stub:
        await check(target(stub), room=room)
        assert (room.entered, room.inside) == (len(stub.requests), 0)


async def test_a_check_keeps_to_the_endpoints_own_limit() -> None:
    room = FullHouse()
    async with StubEndpoint(compliant(), key=KEY) as stub:
        await check(target(stub, maxConcurrency=2), room=room)
    assert room.most <= 2


class NoRoom:
    """Chats hold every place, for good."""

    async def enter(self) -> None:
        import asyncio

        await asyncio.Event().wait()

    def leave(self) -> None:
        raise AssertionError("nobody came in")


async def test_a_check_that_finds_no_room_says_so_and_blames_nobody() -> None:
    async with StubEndpoint(compliant(), key=KEY) as stub:
        found = await check(target(stub), level=Level.QUICK, scale=0.01, room=NoRoom())
        assert stub.requests == []
    assert blamed(found) == set()


async def test_a_check_that_is_left_leaves_nothing_running() -> None:
    async with StubEndpoint("hangs_before_headers", key=KEY) as stub:
        running = Check(target(stub)).findings()
        assert (await anext(running)).probe == "reachable"
        await stub.wait_for_requests()
        await running.aclose()
        await stub.wait_for_idle()


async def test_findings_are_the_same_however_often_it_runs() -> None:
    async with StubEndpoint(compliant(), key=KEY) as stub:
        codes = [{f.code for f in await findings(Check(target(stub)))} for _ in range(2)]
    assert codes[0] == codes[1]
