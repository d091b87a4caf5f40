"""Endpoints with one fault: the probe for it reports the fault, and all others pass."""

from __future__ import annotations

import asyncio

import pytest

from akash_gradio.check.probe import Level
from akash_gradio.check.probe_result import Verdict
from akash_gradio.check.runner import Check
from tests.check.helpers import KEY, Clock, check, collect, problem_codes, target
from tests.check.quirks import QUIRKS, continues_after_disconnect, streams_at
from tests.stubs import StubEndpoint
from tests.stubs.compliant import compliant
from tests.stubs.endpoint import Exchange
from tests.stubs.wire import error, to_json

CONSEQUENCES: dict[str, set[str]] = {"control-characters.refused": {"code-fences.refused"}}


@pytest.mark.parametrize("name", QUIRKS)
async def test_a_single_fault_is_the_only_finding(name: str) -> None:
    quirk = QUIRKS[name]
    async with StubEndpoint(quirk.handler, **{"key": KEY, **quirk.stub}) as stub:
        findings = await check(target(stub, card=quirk.card, **quirk.target))
    expected = {quirk.finding}
    assert problem_codes(findings) - CONSEQUENCES.get(quirk.finding, set()) == expected


async def test_a_buffering_proxy_is_detected_with_a_longer_answer() -> None:
    clock = Clock()
    async with StubEndpoint(streams_at(clock, 0.1, 0.02, buffered=True), key=KEY) as stub:
        findings = await check(target(stub), level=Level.QUICK, clock=clock)
    assert "streams-live.lump" in problem_codes(findings)


async def test_a_fast_endpoint_with_high_latency_is_not_reported_as_buffering() -> None:
    clock = Clock()
    async with StubEndpoint(streams_at(clock, 0.5, 0.0), key=KEY) as stub:
        findings = await check(target(stub), level=Level.QUICK, clock=clock)
    assert "streams-live.fast" in {finding.code for finding in findings}
    assert "streams-live.lump" not in problem_codes(findings)


@pytest.mark.parametrize(
    ("first_s", "each_s", "code"),
    [
        (0.2, 0.02, "speed.ok"),
        (0.2, 0.2, "speed.slow"),
        (9.0, 0.02, "speed.slow_first"),
        (0.2, 0.0, "speed.first_alone"),
    ],
)
async def test_the_speed_is_measured(first_s: float, each_s: float, code: str) -> None:
    clock = Clock()
    async with StubEndpoint(streams_at(clock, first_s, each_s), key=KEY) as stub:
        findings = await check(target(stub), level=Level.QUICK, clock=clock)
    assert code in {finding.code for finding in findings}


async def test_work_that_continues_after_a_disconnect_is_reported() -> None:
    clock = Clock()
    async with StubEndpoint(continues_after_disconnect(clock), key=KEY) as stub:
        findings = await check(target(stub), level=Level.STANDARD, clock=clock)
    assert problem_codes(findings) == {"cancel.goes_on"}


async def test_a_server_that_requires_max_completion_tokens_passes() -> None:
    async def requires_newer_name(x: Exchange) -> None:
        if "max_tokens" in x.request.json:
            message = "Unsupported parameter: max_tokens, use max_completion_tokens"
            await x.reply(to_json(error(message, "invalid_request_error")), 400)
        else:
            await compliant().handler(x)

    async with StubEndpoint(requires_newer_name, key=KEY) as stub:
        findings = await check(target(stub))
    assert problem_codes(findings) == set()


async def test_an_endpoint_that_accepts_any_key_is_reported() -> None:
    async with StubEndpoint(compliant()) as stub:
        findings = await check(target(stub), level=Level.STANDARD)
    assert "wrong-key.open_here" in {finding.code for finding in findings}


async def test_the_first_listed_model_is_used_if_none_is_named() -> None:
    async with StubEndpoint(compliant(), models=("first", "second"), key=KEY) as stub:
        findings = await check(target(stub, model=None), level=Level.QUICK)
        assert {request.json["model"] for request in stub.chats} == {"first"}
    assert "model-listed.chosen" in {finding.code for finding in findings}


async def test_a_failing_endpoint_gets_few_requests() -> None:
    async with StubEndpoint("status_500") as stub:
        findings = await check(target(stub))
        assert len(stub.chats) == 2
    skipped = [finding for finding in findings if finding.code.endswith(".needs")]
    assert {finding.verdict for finding in skipped} == {Verdict.SKIPPED}
    assert all("did not pass" in finding.message for finding in skipped)


class CountingSlots:
    """Slots without a limit; they record how many were taken at once."""

    def __init__(self) -> None:
        self.taken = self.max_taken = self.acquired = 0

    async def acquire_slot(self) -> None:
        self.taken += 1
        self.acquired += 1
        self.max_taken = max(self.max_taken, self.taken)

    def release_slot(self) -> None:
        self.taken -= 1


async def test_every_request_acquires_and_releases_a_slot() -> None:
    slots = CountingSlots()
    async with StubEndpoint(compliant(), key=KEY) as stub:
        await check(target(stub), slots=slots)
        assert (slots.acquired, slots.taken) == (len(stub.requests), 0)


async def test_a_check_respects_the_endpoints_own_limit() -> None:
    slots = CountingSlots()
    async with StubEndpoint(compliant(), key=KEY) as stub:
        await check(target(stub, maxConcurrency=2), slots=slots)
    assert slots.max_taken <= 2


class NoSlots:
    """Slots that chats never release."""

    async def acquire_slot(self) -> None:
        await asyncio.Event().wait()

    def release_slot(self) -> None:
        raise AssertionError("no slot was acquired")


async def test_a_check_without_a_free_slot_reports_no_problem() -> None:
    async with StubEndpoint(compliant(), key=KEY) as stub:
        findings = await check(target(stub), level=Level.QUICK, scale=0.01, slots=NoSlots())
        assert stub.requests == []
    assert problem_codes(findings) == set()


async def test_a_cancelled_check_leaves_nothing_running() -> None:
    async with StubEndpoint("hangs_before_headers", key=KEY) as stub:
        running = Check(target(stub)).findings()
        assert (await anext(running)).probe == "reachable"
        await stub.wait_for_requests()
        await running.aclose()
        await stub.wait_for_idle()


async def test_repeated_checks_have_the_same_findings() -> None:
    async with StubEndpoint(compliant(), key=KEY) as stub:
        codes = [{f.code for f in await collect(Check(target(stub)))} for _ in range(2)]
    assert codes[0] == codes[1]
