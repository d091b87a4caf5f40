from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from akash_gradio.config.endpoints import EndpointSettings
from akash_gradio.domain.chat import Conversation, Role, Sampling, Turn
from akash_gradio.domain.errors import (
    AkashGradioError,
    AllEndpointsFailed,
    ContextExceeded,
    EndpointMalformed,
    EndpointRefused,
    EndpointTimeout,
    EndpointUnreachable,
    NoEndpoint,
    ReplyInterrupted,
    RequestRefused,
    UnknownModel,
)
from akash_gradio.domain.events import Event, Finished, Retrying, Started, TextDelta, Usage
from akash_gradio.domain.model import ModelCard
from akash_gradio.domain.ports import EndpointState, EndpointStatus
from akash_gradio.domain.receipt import Attempt, Count, Receipt
from akash_gradio.gateway import Gateway, open_gateway
from akash_gradio.gateway.retries import BUDGET_FLOOR
from tests.gateway.fakes import (
    DONE,
    HANGS,
    ROLE,
    Clock,
    FakeReply,
    FakeTransport,
    chat_request,
    collect,
    delta,
    entry_for,
    error_from,
    error_reply,
    make_settings,
    receipt_of,
    streamed_reply,
    text_of,
    usage,
    whole_reply,
)
from tests.virtual_time import run_in_virtual_time

REFUSED = EndpointUnreachable("a", "refused")


class Harness:
    """A gateway with a fake network and clock."""

    def __init__(self, *entries: dict[str, Any], cards: Any = None, **variables: object) -> None:
        self.clock, self.network = Clock(), FakeTransport()
        self.jitter = 1.0
        self.gateway = open_gateway(
            make_settings(*entries, **variables),
            cards,
            transport=self.network,
            clock=self.clock,
            jitter=lambda: self.jitter,
            sleep=self.clock.sleep,
        )

    async def ask(self, model: str = "m", **fields: Any) -> list[Event]:
        return list(await collect(self.gateway, chat_request(model, **fields)))

    async def fail(self, model: str = "m", **fields: Any) -> Any:
        return await error_from(self.gateway, chat_request(model, **fields))

    def status(self, alias: str) -> EndpointStatus:
        return next(status for status in self.gateway.endpoints() if status.alias == alias)


def waits(events: list[Event]) -> list[float]:
    return [event.wait_s for event in events if isinstance(event, Retrying)]


def receipt_from(error: AkashGradioError) -> Receipt:
    assert error.receipt is not None
    return error.receipt


def outcomes(attempts: tuple[Attempt, ...]) -> list[tuple[str, str, str]]:
    return [(attempt.endpoint, attempt.reason, attempt.outcome) for attempt in attempts]


# ---- answers ----


async def test_an_answer_is_yielded_from_its_first_token_to_its_receipt() -> None:
    harness = Harness(entry_for("a"))
    harness.network.enqueue("a", streamed_reply("It is ", "42.", tail=(usage(9, 4), DONE)))
    events = await harness.ask()
    assert events[:3] == [Started("a", "m"), TextDelta("It is "), TextDelta("42.")]
    assert Usage(prompt_tokens=9, completion_tokens=4) in events
    receipt = receipt_of(events)
    assert outcomes(receipt.attempts) == [("a", "weighted", "ok")]
    assert (receipt.endpoint, receipt.answering_model, receipt.finish) == ("a", "m", "stop")
    assert receipt.tokens_in == Count(tokens=9, reported=True)
    assert receipt.tokens_out == Count(tokens=4, reported=True)
    assert (receipt.upstream_id, receipt.fingerprint) == ("up-1", "fp")
    assert harness.network.closed == ["a"]
    assert harness.status("a").in_flight == 0


async def test_tokens_are_marked_as_estimated_without_a_usage_report() -> None:
    harness = Harness(entry_for("a"))
    receipt = receipt_of(await harness.ask())
    assert receipt.tokens_in == Count(tokens=7, reported=False)
    assert receipt.tokens_out == Count(tokens=1, reported=False)


async def test_speed_is_measured_from_the_first_token_to_the_last() -> None:
    harness = Harness(entry_for("a"))
    harness.network.enqueue("a", streamed_reply("one", "two", tail=(usage(1, 30), DONE)))
    async with aclosing(harness.gateway.stream(chat_request())) as stream:
        async for event in stream:
            harness.clock.now += 1 if isinstance(event, TextDelta) and event.text == "one" else 0
            harness.clock.now += 50 if isinstance(event, Usage) else 0
    assert isinstance(event, Finished)
    assert event.receipt.tokens_per_s == 15  # half of them came in the first read
    assert event.receipt.first_token_s == 0


async def test_a_token_is_timed_by_the_arrival_of_its_bytes_not_by_the_read() -> None:
    harness = Harness(entry_for("a"))

    async def later() -> bytes:
        harness.clock.now += 3
        return delta("one")

    harness.network.enqueue("a", FakeReply(parts=(ROLE, later, delta("two"), DONE), lag_s=1.0))
    receipt = receipt_of(await harness.ask())
    assert receipt.first_token_s == 2
    assert receipt.attempts[0].elapsed_ms == 2000


async def test_a_whole_response_has_no_speed() -> None:
    harness = Harness(entry_for("a"))
    harness.network.enqueue("a", whole_reply("all of it"))
    events = await harness.ask(stream=False)
    assert text_of(events) == "all of it"
    assert receipt_of(events).tokens_per_s is None
    assert harness.network.bodies[0]["stream"] is False
    assert "stream_options" not in harness.network.bodies[0]


async def test_an_answer_ends_soon_after_its_finish_reason_if_nothing_follows() -> None:
    harness = Harness(entry_for("a"), IDLE_TIMEOUT=60)
    harness.network.enqueue("a", streamed_reply("hi", tail=(usage(1, 1), HANGS)))
    async with asyncio.timeout(20):
        events = await harness.ask()
    assert receipt_of(events).finish == "stop"


async def test_the_usage_report_is_awaited_for_two_seconds_at_most() -> None:
    harness = Harness(entry_for("a"), IDLE_TIMEOUT=60)
    harness.network.enqueue("a", streamed_reply("hi", tail=(HANGS,)))
    async with asyncio.timeout(30):
        events = await harness.ask()
    assert receipt_of(events).tokens_out == Count(tokens=1, reported=False)


async def test_an_answer_without_text_but_with_a_finish_reason_is_an_answer() -> None:
    harness = Harness(entry_for("a"))
    harness.network.enqueue("a", streamed_reply(finish="length"))
    events = await harness.ask()
    assert [type(event) for event in events] == [Started, Finished]
    assert receipt_of(events).finish == "length"


# ---- choosing an endpoint ----


async def test_weight_two_and_one_give_two_thirds_and_one_third() -> None:
    harness = Harness(entry_for("a", weight=2), entry_for("b", weight=1))
    for _ in range(30):
        await harness.ask()
    assert Counter(harness.network.opened) == {"a": 20, "b": 10}


async def test_an_endpoint_with_weight_zero_is_never_called() -> None:
    harness = Harness(entry_for("a", weight=0), entry_for("b"))
    for _ in range(5):
        await harness.ask()
    assert set(harness.network.opened) == {"b"}
    assert harness.status("a").state is EndpointState.DRAINED


async def test_the_next_priority_serves_only_when_this_one_cannot() -> None:
    harness = Harness(entry_for("a"), entry_for("b", priority=2))
    harness.network.enqueue("a", streamed_reply("x"), streamed_reply("x"), REFUSED)
    for _ in range(3):
        events = await harness.ask()
    assert harness.network.opened == ["a", "a", "a", "b"]
    assert outcomes(receipt_of(events).attempts)[-1] == ("b", "failover", "ok")


async def test_each_model_has_its_own_round_robin() -> None:
    harness = Harness(entry_for("a", models=["m", "n"]), entry_for("b", models=["m", "n"]))
    for model in ("m", "n", "m", "n"):
        await harness.ask(model)
    assert harness.network.opened == ["a", "a", "b", "b"]


async def test_least_busy_chooses_the_endpoint_with_the_fewest_calls() -> None:
    harness = Harness(entry_for("a"), entry_for("b"), ROUTING="least_busy")
    async with answering(harness, "m") as first:
        assert first == "a"
        for _ in range(3):
            await harness.ask()
    assert harness.network.opened == ["a", "b", "b", "b"]


async def test_an_endpoint_gets_no_more_calls_than_its_max_concurrency() -> None:
    harness = Harness(entry_for("a", maxConcurrency=1, weight=9), entry_for("b"))
    async with answering(harness, "m"):
        assert receipt_of(await harness.ask()).endpoint == "b"
    assert receipt_of(await harness.ask()).endpoint == "a"


async def test_the_error_states_that_all_endpoints_are_busy() -> None:
    harness = Harness(entry_for("a", maxConcurrency=1))
    async with answering(harness, "m"):
        assert (await harness.fail()).reason == "busy"


async def test_a_failover_waits_for_a_busy_endpoint() -> None:
    harness = Harness(entry_for("a"), entry_for("b", maxConcurrency=1, weight=9), RETRY_DELAY=1000)
    harness.network.defaults["a"] = error_reply(401)
    async with answering(harness, "m") as alias:
        assert alias == "b"
        error = await harness.fail()
        assert isinstance(error, AllEndpointsFailed)
        assert harness.clock.slept == [1, 2, 4]
        stream = harness.gateway.stream(chat_request())
        assert waits([await anext(stream)]) == [1]
    async with aclosing(stream):
        assert receipt_of([event async for event in stream]).endpoint == "b"


@asynccontextmanager
async def answering(harness: Harness, model: str) -> AsyncIterator[str]:
    """An answer held open after its first event; gives the endpoint's alias."""
    async with aclosing(harness.gateway.stream(chat_request(model))) as stream:
        started = await anext(stream)
        assert isinstance(started, Started)
        yield started.endpoint


async def test_a_pinned_request_goes_to_its_endpoint_only() -> None:
    harness = Harness(entry_for("a"), entry_for("b"), FALLBACK_MODEL="n", RETRY_ATTEMPTS=1)
    assert receipt_of(await harness.ask(endpoint="b")).attempts[0].reason == "pinned"
    harness.network.defaults["b"] = REFUSED
    error = await harness.fail(endpoint="b")
    assert isinstance(error, AllEndpointsFailed)
    assert harness.network.opened == ["b", "b", "b"]


# ---- failover and retries ----


@pytest.mark.parametrize(
    "failure",
    [
        REFUSED,
        EndpointTimeout("a", "connect", 5),
        *(
            error_reply(status)
            for status in (401, 403, 404, 408, 409, 425, 429, 500, 503, 529, 307)
        ),
        FakeReply(parts=(b"<html>",)),
        FakeReply(parts=(b"data: {broken\n\n",)),
        FakeReply(parts=(b'{"error": {"message": "busy"}}',)),
        FakeReply(parts=(ROLE, DONE)),
        FakeReply(parts=()),
        FakeReply(parts=(ROLE, EndpointMalformed("a", "cut"))),
    ],
)
async def test_a_failure_before_the_first_token_fails_over(failure: Any) -> None:
    harness = Harness(entry_for("a"), entry_for("b"))
    harness.network.enqueue("a", failure)
    events = await harness.ask()
    assert text_of(events) == "hello"
    assert [type(event) for event in events] == [Retrying, Started, TextDelta, Finished]
    assert waits(events) == [0]
    assert (harness.network.opened, harness.clock.slept) == (["a", "b"], [])
    assert harness.status("a").in_flight == 0


async def test_a_hang_before_the_first_token_fails_over() -> None:
    harness = Harness(entry_for("a"), entry_for("b"), FIRST_TOKEN_TIMEOUT=0.05)
    harness.network.enqueue("a", FakeReply(parts=(ROLE, b": still here\n\n", HANGS)))
    events = await harness.ask()
    assert outcomes(receipt_of(events).attempts) == [
        ("a", "weighted", "EndpointTimeout"),
        ("b", "failover", "ok"),
    ]
    assert harness.network.closed == ["a", "b"]


async def test_the_gateway_pauses_only_after_a_full_round_and_doubles_the_pause() -> None:
    harness = Harness(entry_for("a"), entry_for("b"), RETRY_ATTEMPTS=5, RETRY_DELAY=1000)
    harness.network.enqueue("a", *[REFUSED] * 2)
    harness.network.enqueue("b", *[REFUSED] * 2)
    events = await harness.ask()
    rounds = [set(harness.network.opened[at : at + 2]) for at in (0, 2, 4)]
    assert rounds[:2] == [{"a", "b"}, {"a", "b"}]
    assert len(harness.network.opened) == 5
    assert harness.clock.slept == [1, 2]
    assert waits(events) == [0, 1, 0, 2]


async def test_the_pause_is_between_half_of_the_delay_and_the_whole() -> None:
    for jitter, pause_s in ((0.0, 0.2), (0.5, 0.3), (1.0, 0.4)):
        harness = Harness(entry_for("a"), RETRY_DELAY=400)
        harness.jitter = jitter
        harness.network.enqueue("a", REFUSED)
        await harness.ask()
        assert harness.clock.slept == [pytest.approx(pause_s)]


async def test_the_gateway_gives_up_after_the_extra_attempts() -> None:
    harness = Harness(entry_for("a"), RETRY_ATTEMPTS=1)
    harness.network.defaults["a"] = REFUSED
    error = await harness.fail()
    assert isinstance(error, AllEndpointsFailed)
    assert isinstance(error.cause, EndpointUnreachable)
    assert harness.network.opened == ["a", "a"]
    assert receipt_from(error).finish == "failed"
    assert len(receipt_from(error).attempts) == 2


async def test_no_extra_attempts_means_one_attempt() -> None:
    harness = Harness(entry_for("a"), entry_for("b"), RETRY_ATTEMPTS=0)
    harness.network.defaults["a"] = REFUSED
    await harness.fail()
    assert harness.network.opened == ["a"]


@pytest.mark.parametrize("status", [400, 422])
async def test_a_rejected_request_raises_at_once_and_does_not_count_as_a_failure(
    status: int,
) -> None:
    harness = Harness(entry_for("a"), entry_for("b"))
    harness.network.enqueue("a", error_reply(status, "temperature must be below 2"))
    error = await harness.fail()
    assert isinstance(error, RequestRefused)
    assert error.detail == "temperature must be below 2"
    assert outcomes(receipt_from(error).attempts) == [("a", "weighted", "RequestRefused")]
    assert receipt_from(error).attempts[0].status == status
    assert harness.status("a").reason == ""


async def test_a_request_that_exceeds_the_context_of_all_endpoints_raises_with_the_limit() -> None:
    harness = Harness(entry_for("a"), entry_for("b"))
    detail = "This model's maximum context length is 8192 tokens. You requested 9000 tokens"
    harness.network.defaults = {"a": error_reply(400, detail), "b": error_reply(503)}
    error = await harness.fail()
    assert isinstance(error, ContextExceeded)
    assert error.limit_tokens == 8192
    assert harness.network.opened.count("a") == 1  # a refused request isn't repeated there


async def test_a_request_that_exceeds_the_context_of_one_endpoint_fails_over() -> None:
    harness = Harness(entry_for("a"), entry_for("b"))
    detail = "This model's maximum context length is 8192 tokens. You requested 9000 tokens"
    harness.network.enqueue("a", error_reply(400, detail))
    assert text_of(await harness.ask()) == "hello"
    assert harness.network.opened == ["a", "b"]
    assert harness.status("a").reason == ""


async def test_an_answer_that_began_is_never_restarted() -> None:
    harness = Harness(entry_for("a"), entry_for("b"))
    harness.network.enqueue("a", FakeReply(parts=(delta("he"), EndpointMalformed("a", "cut"))))
    events: list[Event] = []
    with pytest.raises(ReplyInterrupted) as caught:
        await collect(harness.gateway, chat_request(), events)
    assert events == [Started("a", "m"), TextDelta("he")]
    assert (harness.network.opened, harness.network.closed) == (["a"], ["a"])
    receipt = caught.value.receipt
    assert receipt is not None
    assert (receipt.finish, receipt.endpoint) == ("interrupted", "a")
    assert receipt.attempts[0].outcome == "EndpointMalformed"


async def test_a_silence_after_the_first_token_is_an_interruption() -> None:
    harness = Harness(entry_for("a"), IDLE_TIMEOUT=0.05)
    harness.network.enqueue(
        "a", FakeReply(parts=(delta("he"), b": ping\n\n", b": ping\n\n", HANGS))
    )
    error = await harness.fail()
    assert isinstance(error, ReplyInterrupted)
    assert isinstance(error.cause, EndpointTimeout)
    assert error.cause.stage == "idle"


@pytest.mark.parametrize("script", [HANGS, FakeReply(parts=(delta("he"), HANGS))])
async def test_a_remembered_timeout_keeps_no_reference_to_its_call(script: Any) -> None:
    harness = Harness(entry_for("a"), FIRST_TOKEN_TIMEOUT=0.05, IDLE_TIMEOUT=0.05, RETRY_ATTEMPTS=0)
    harness.network.enqueue("a", script)
    await harness.fail()
    endpoint = harness.gateway.endpoint("a")
    assert endpoint is not None
    failure = endpoint.health.last_failure
    assert isinstance(failure, EndpointTimeout)
    assert (failure.__traceback__, failure.__context__) == (None, None)


async def test_keep_alive_comments_do_not_prevent_the_idle_timeout() -> None:
    async def ping() -> bytes:
        await asyncio.sleep(0.01)  # the gateway uses a real timer
        return b": ping\n\n"

    harness = Harness(entry_for("a"), IDLE_TIMEOUT=0.05)
    harness.network.enqueue("a", FakeReply(parts=(delta("he"), *[ping] * 200)))
    error = await harness.fail()
    assert isinstance(error, ReplyInterrupted)
    assert isinstance(error.cause, EndpointTimeout)


async def test_a_slow_consumer_does_not_trigger_the_idle_timeout() -> None:
    harness = Harness(entry_for("a"), IDLE_TIMEOUT=0.02)
    async with aclosing(harness.gateway.stream(chat_request())) as stream:
        async for _ in stream:
            await asyncio.sleep(0.05)  # the gateway uses a real timer


async def test_a_rejection_in_the_middle_is_an_interruption() -> None:
    harness = Harness(entry_for("a"))
    fault = b'data: {"error": {"message": "bad", "code": 400}}\n\n'
    harness.network.enqueue("a", FakeReply(parts=(delta("he"), fault)))
    error = await harness.fail()
    assert isinstance(error, ReplyInterrupted)
    assert isinstance(error.cause, EndpointMalformed)


async def test_the_budget_limits_repeats_in_an_outage() -> None:
    harness = Harness(entry_for("a"), entry_for("b"), RETRY_ATTEMPTS=20, RETRY_DELAY=0)
    harness.network.defaults = {"a": error_reply(500), "b": error_reply(500)}
    for _ in range(40):
        assert isinstance(await harness.fail(), AllEndpointsFailed)
    repeats = len(harness.network.opened) - 2 * 40
    assert 0 < repeats <= BUDGET_FLOOR + 0.2 * 40


async def test_no_budget_limits_failovers() -> None:
    harness = Harness(entry_for("a", weight=1000), entry_for("b"))
    harness.network.defaults["a"] = error_reply(409)  # never opens the breaker by itself
    for _ in range(10 * BUDGET_FLOOR):
        assert text_of(await harness.ask()) == "hello"
    assert harness.clock.slept == []


async def test_models_do_not_share_a_budget() -> None:
    models = [f"m{number}" for number in range(2 * BUDGET_FLOOR)]
    harness = Harness(
        *(entry_for(f"{model}-{rank}", models=[model]) for model in models for rank in "ab"),
        RETRY_DELAY=0,
    )
    for model in models:
        harness.network.enqueue(f"{model}-a", error_reply(500), error_reply(500))
        harness.network.enqueue(f"{model}-b", error_reply(500))
        assert receipt_of(await harness.ask(model)).endpoint == f"{model}-b"


async def test_a_model_whose_repeats_help_gets_as_many_as_it_needs() -> None:
    harness = Harness(entry_for("a"), RETRY_DELAY=0)
    for _ in range(5 * BUDGET_FLOOR):
        harness.network.enqueue("a", *[error_reply(500)] * 3)
        assert text_of(await harness.ask()) == "hello"


async def test_attempts_are_limited_where_a_model_has_more_endpoints() -> None:
    harness = Harness(*(entry_for(alias) for alias in "abcdef"), RETRY_ATTEMPTS=3)
    harness.network.defaults = dict.fromkeys("abcdef", REFUSED)
    await harness.fail()
    assert harness.network.opened == ["a", "b", "c", "d"]


async def test_a_failover_prefers_endpoints_that_did_not_just_fail() -> None:
    harness = Harness(*(entry_for(alias) for alias in "abcde"), RETRY_ATTEMPTS=2)
    harness.network.defaults = dict.fromkeys("abcd", error_reply(500))
    await harness.fail()
    harness.network.opened.clear()
    for _ in range(4):
        assert receipt_of(await harness.ask()).endpoint == "e"


# ---- time limits ----


@pytest.mark.parametrize("stream", [True, False])
async def test_a_timeout_is_not_repeated_at_the_same_endpoint(stream: bool) -> None:
    harness = Harness(entry_for("a"), entry_for("b"), FIRST_TOKEN_TIMEOUT=0.01)
    harness.network.defaults = {"a": HANGS, "b": HANGS}
    error = await harness.fail(stream=stream)
    assert isinstance(error, AllEndpointsFailed)
    assert isinstance(error.cause, EndpointTimeout)
    assert harness.network.opened == ["a", "b"]


async def test_a_timeout_of_one_model_does_not_exclude_the_fallback_at_the_same_endpoint() -> None:
    entries = entry_for("a", models=["m", "n"])
    harness = Harness(entries, FALLBACK_MODEL="n", FIRST_TOKEN_TIMEOUT=0.01)
    harness.network.enqueue("a", HANGS)
    assert receipt_of(await harness.ask()).answering_model == "n"


async def test_a_connect_timeout_excludes_all_models_of_the_endpoint() -> None:
    harness = Harness(entry_for("a", models=["m", "n"]), FALLBACK_MODEL="n")
    harness.network.defaults["a"] = EndpointTimeout("a", "connect", 5)
    await harness.fail()
    assert harness.network.opened == ["a"]


def test_a_whole_answer_has_five_times_as_long_to_its_first_token() -> None:
    async def seconds(stream: bool) -> float:
        harness = Harness(entry_for("a"), FIRST_TOKEN_TIMEOUT=60)
        harness.network.defaults["a"] = HANGS
        begun = asyncio.get_running_loop().time()
        await harness.fail(stream=stream)
        return asyncio.get_running_loop().time() - begun

    assert run_in_virtual_time(seconds(True)) == pytest.approx(60)
    assert run_in_virtual_time(seconds(False)) == pytest.approx(300)


def virtual_harness(*entries: dict[str, Any], **variables: object) -> Harness:
    """A harness whose gateway uses the clock of the virtual loop."""
    harness = Harness(*entries, **variables)
    harness.gateway = open_gateway(
        make_settings(*entries, **variables),
        transport=harness.network,
        clock=asyncio.get_running_loop().time,
        jitter=lambda: 1.0,
    )
    return harness


def test_the_request_timeout_ends_an_attempt_before_its_first_token() -> None:
    async def run() -> None:
        harness = virtual_harness(
            entry_for("a"), entry_for("b"), FIRST_TOKEN_TIMEOUT=60, REQUEST_TIMEOUT=90
        )
        harness.network.defaults = {"a": HANGS, "b": HANGS}
        error = await harness.fail()
        assert asyncio.get_running_loop().time() == pytest.approx(90)
        assert isinstance(error, AllEndpointsFailed)
        assert isinstance(error.cause, EndpointTimeout)
        assert (error.cause.stage, error.cause.after_s, error.status) == ("request", 90, 504)
        assert harness.status("b").reason == ""  # it isn't its failure

    run_in_virtual_time(run())


def test_an_endpoint_that_is_silent_for_most_of_the_request_timeout_is_down() -> None:
    async def run() -> None:
        harness = virtual_harness(
            entry_for("a"), entry_for("b"), FIRST_TOKEN_TIMEOUT=60, REQUEST_TIMEOUT=30
        )
        harness.network.defaults["a"] = HANGS
        lost = 0
        for _ in range(12):
            try:
                await harness.ask()
            except AllEndpointsFailed:
                lost += 1
        assert lost <= 4
        assert harness.status("a").state is EndpointState.DOWN

    run_in_virtual_time(run())


def test_the_request_timeout_interrupts_an_endless_answer() -> None:
    async def token() -> bytes:
        await asyncio.sleep(1)
        return delta("x")

    async def run() -> None:
        harness = virtual_harness(entry_for("a"), IDLE_TIMEOUT=5, REQUEST_TIMEOUT=100)
        harness.network.enqueue("a", FakeReply(parts=(ROLE, *[token] * 1000)))
        events: list[Event] = []
        with pytest.raises(ReplyInterrupted) as caught:
            await collect(harness.gateway, chat_request(), events)
        assert asyncio.get_running_loop().time() == pytest.approx(100)
        assert isinstance(caught.value.cause, EndpointTimeout)
        assert caught.value.cause.stage == "request"
        assert len(text_of(events)) == 99
        assert harness.status("a").reason == ""

    run_in_virtual_time(run())


def test_no_pause_goes_beyond_the_request_timeout() -> None:
    async def run() -> None:
        harness = virtual_harness(
            entry_for("a"), RETRY_DELAY=4000, RETRY_ATTEMPTS=5, REQUEST_TIMEOUT=10
        )
        harness.network.defaults["a"] = error_reply(500)
        error = await harness.fail()
        assert isinstance(error, AllEndpointsFailed)
        assert asyncio.get_running_loop().time() == pytest.approx(4)
        assert harness.network.opened == ["a", "a"]

    run_in_virtual_time(run())


# ---- Retry-After and the breaker ----


async def test_a_short_retry_after_is_waited_for() -> None:
    harness = Harness(entry_for("a"), RETRY_DELAY=1000)
    harness.network.enqueue("a", error_reply(429, retry_after="2"))
    events = await harness.ask()
    assert text_of(events) == "hello"
    assert harness.clock.slept == [2]
    assert waits(events) == [2]


async def test_a_resting_endpoint_is_skipped_while_another_can_answer() -> None:
    harness = Harness(entry_for("a", weight=5), entry_for("b"))
    harness.network.enqueue("a", error_reply(429, retry_after="60"))
    for _ in range(4):
        await harness.ask()
    assert harness.network.opened == ["a", "b", "b", "b", "b"]
    assert harness.status("a").state is EndpointState.RESTING


async def test_a_long_retry_after_is_reported_instead_of_waited_for() -> None:
    harness = Harness(entry_for("a"))
    harness.network.enqueue("a", error_reply(429, retry_after="60"))
    error = await harness.fail()
    assert isinstance(error, AllEndpointsFailed)
    assert (error.retry_after_s, harness.clock.slept) == (60, [])
    again = await harness.fail()
    assert isinstance(again, AllEndpointsFailed)
    assert isinstance(again.cause, EndpointRefused)
    assert (again.cause.upstream_status, receipt_from(again).attempts) == (429, ())
    assert harness.network.opened == ["a"]


async def test_no_retry_after_is_reported_while_another_endpoint_is_ready() -> None:
    harness = Harness(entry_for("a"), entry_for("b"), RETRY_ATTEMPTS=0)
    harness.network.enqueue("a", error_reply(429, retry_after="60"))
    assert (await harness.fail()).retry_after_s is None


async def test_status_429_never_opens_the_breaker() -> None:
    harness = Harness(entry_for("a"), RETRY_ATTEMPTS=0)
    harness.network.defaults["a"] = error_reply(429, retry_after="1")
    for _ in range(9):
        await harness.fail()
        harness.clock.now += 1
    assert len(harness.network.opened) == 9
    assert harness.status("a").state is not EndpointState.DOWN


async def test_an_endpoint_is_skipped_after_three_failures_and_probed_later() -> None:
    harness = Harness(entry_for("a"), entry_for("b"))
    harness.network.defaults["a"] = REFUSED
    for _ in range(12):
        await harness.ask()
    assert harness.network.opened.count("a") == 3
    assert harness.status("a").state is EndpointState.DOWN
    harness.clock.now += 5
    for _ in range(4):
        await harness.ask()
    assert harness.network.opened.count("a") == 4
    del harness.network.defaults["a"]
    harness.clock.now += 10
    receipts = [receipt_of(await harness.ask()) for _ in range(4)]
    assert ("a", "probe", "ok") in [
        outcome for receipt in receipts for outcome in outcomes(receipt.attempts)
    ]
    assert harness.status("a").state is EndpointState.READY


async def test_interruptions_open_the_breaker_where_another_endpoint_does_better() -> None:
    harness = Harness(entry_for("a"), entry_for("b"))
    harness.network.defaults["a"] = FakeReply(parts=(delta("he"), EndpointMalformed("a", "cut")))
    for _ in range(20):
        with suppress(ReplyInterrupted):
            await collect(harness.gateway, chat_request())
    assert harness.status("a").state is EndpointState.DOWN
    assert harness.network.opened.count("a") <= 6


async def test_an_only_endpoint_that_errs_is_never_refused() -> None:
    harness = Harness(entry_for("a"), RETRY_ATTEMPTS=0)
    harness.network.defaults["a"] = error_reply(500)
    for _ in range(50):
        await harness.fail()
    assert len(harness.network.opened) == 50
    assert harness.status("a").state is not EndpointState.DOWN


@pytest.mark.parametrize("failure", [REFUSED, error_reply(401), error_reply(404)])
async def test_an_only_endpoint_that_is_down_is_called_again_by_the_next_request(
    failure: Any,
) -> None:
    harness = Harness(entry_for("a"), RETRY_ATTEMPTS=0)
    harness.network.enqueue("a", *[failure] * 9)
    for _ in range(9):
        await harness.fail()
    assert harness.status("a").state is EndpointState.DOWN
    assert text_of(await harness.ask()) == "hello"
    assert harness.status("a").state is EndpointState.READY


async def test_an_only_endpoint_is_preferred_to_a_fallback_again_within_five_seconds() -> None:
    harness = Harness(entry_for("a"), entry_for("b", models=["n"]), FALLBACK_MODEL="n")
    harness.network.defaults["a"] = error_reply(401)
    for _ in range(6):
        assert receipt_of(await harness.ask()).answering_model == "n"
        harness.clock.now += 5
    assert harness.network.opened.count("a") == 6


async def test_several_failures_of_one_request_count_once() -> None:
    harness = Harness(entry_for("a"), RETRY_ATTEMPTS=5, RETRY_DELAY=0)
    harness.network.enqueue("a", *[REFUSED] * 5)
    await harness.ask()
    assert harness.status("a").state is EndpointState.READY
    harness.network.defaults["a"] = REFUSED
    for _ in range(2):
        await harness.fail()
    assert harness.status("a").state is not EndpointState.DOWN
    await harness.fail()
    assert harness.status("a").state is EndpointState.DOWN


async def test_endpoints_that_fail_the_same_requests_are_both_kept() -> None:
    """A prompt that every server fails at isn't the servers' failure."""
    harness = Harness(entry_for("a"), entry_for("b"), RETRY_ATTEMPTS=1)
    for _ in range(20):
        harness.network.enqueue("a", error_reply(500))
        harness.network.enqueue("b", error_reply(500))
        await harness.fail()
    endpoint = harness.gateway.endpoint("a")
    assert endpoint is not None
    assert endpoint.health.success_share("m") == 1


async def test_an_endpoint_that_fails_much_more_often_than_its_peer_is_ejected() -> None:
    harness = Harness(entry_for("a"), entry_for("b"))
    harness.network.defaults["a"] = error_reply(500)
    for _ in range(20):
        assert text_of(await harness.ask()) == "hello"
    assert harness.network.opened.count("a") < 6
    assert harness.status("a").state is EndpointState.DOWN
    harness.network.defaults["a"] = error_reply(500)
    for pause_s in (5, 10, 20):
        harness.clock.now += pause_s
        before = harness.network.opened.count("a")
        for _ in range(4):
            await harness.ask()
        assert harness.network.opened.count("a") == before + 1  # a single probe
    del harness.network.defaults["a"]
    harness.clock.now += 40
    for _ in range(4):
        await harness.ask()
    assert harness.status("a").state is EndpointState.READY


async def test_an_error_of_one_model_does_not_open_the_breaker_of_another() -> None:
    both = {"models": ["m", "n"]}
    harness = Harness(entry_for("a", **both), entry_for("b", **both))
    harness.network.defaults["a"] = error_reply(500)
    for _ in range(20):
        await harness.ask("m")
    del harness.network.defaults["a"]
    assert harness.status("a").state is not EndpointState.DOWN
    assert {receipt_of(await harness.ask("n")).endpoint for _ in range(2)} == {"a", "b"}
    assert {receipt_of(await harness.ask("m")).endpoint for _ in range(2)} == {"b"}


@pytest.mark.parametrize("failure", [REFUSED, error_reply(401), error_reply(402)])
async def test_what_is_down_is_down_for_all_models(failure: Any) -> None:
    both = {"models": ["m", "n"]}
    harness = Harness(entry_for("a", **both), entry_for("b", **both))
    harness.network.defaults["a"] = failure
    for _ in range(8):
        await harness.ask("m")
    harness.network.opened.clear()
    for _ in range(4):
        await harness.ask("n")
    assert harness.network.opened == ["b"] * 4


async def test_an_ejected_endpoint_is_called_when_the_others_are_found_down() -> None:
    """It may have recovered during its pause."""
    harness = Harness(entry_for("a"), entry_for("b"))
    harness.network.defaults["a"] = REFUSED
    for _ in range(8):
        await harness.ask()
    assert harness.status("a").state is EndpointState.DOWN
    harness.network.defaults = {"b": REFUSED}
    assert receipt_of(await harness.ask()).endpoint == "a"
    assert harness.clock.slept == []


async def test_breakers_are_ignored_when_all_are_open() -> None:
    harness = Harness(entry_for("a"), entry_for("b"), RETRY_ATTEMPTS=1)
    harness.network.defaults = {"a": REFUSED, "b": REFUSED}
    for _ in range(9):
        await harness.fail()
    assert harness.status("a").state is harness.status("b").state is EndpointState.DOWN
    del harness.network.defaults["b"]
    assert text_of(await harness.ask()) == "hello"
    assert harness.status("b").state is EndpointState.READY


async def test_when_few_are_available_the_best_is_called_whatever_its_priority() -> None:
    harness = Harness(entry_for("a"), entry_for("b"), entry_for("c", priority=2))
    harness.network.defaults = {"a": error_reply(500), "b": REFUSED}
    for _ in range(40):
        assert receipt_of(await harness.ask()).endpoint == "c"
    assert [harness.status(alias).state for alias in "ab"] == [EndpointState.DOWN] * 2
    harness.network.opened.clear()
    for _ in range(9):
        await harness.ask()
    assert harness.network.opened == ["c"] * 9


FAILURES: list[Any] = [
    REFUSED,
    EndpointTimeout("a", "connect", 5),
    EndpointTimeout("a", "first_token", 60),
    FakeReply(parts=(b"<html>",)),
    FakeReply(parts=()),
    *(error_reply(status) for status in (401, 402, 403, 404, 408, 500, 502, 503, 504, 529)),
]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_healthy_endpoint_answers_whatever_happened_before(data: st.DataObject) -> None:
    """At most three requests fail, those that show that the endpoints have changed."""

    async def run() -> None:
        count = data.draw(st.integers(1, 4))
        aliases = "abcd"[:count]
        harness = Harness(*(entry_for(alias) for alias in aliases), RETRY_DELAY=10)
        history = data.draw(
            st.lists(st.tuples(st.sampled_from(aliases), st.sampled_from([None, *FAILURES])))
        )
        for alias, failure in history:
            harness.network.defaults[alias] = failure
            harness.clock.now += data.draw(st.sampled_from([0, 1, 6, 100]))
            with suppress(AkashGradioError):
                await collect(harness.gateway, chat_request())
        for alias in aliases:
            harness.network.defaults[alias] = data.draw(st.sampled_from(FAILURES))
        del harness.network.defaults[data.draw(st.sampled_from(aliases))]
        lost = 0
        for _ in range(20):
            try:
                await collect(harness.gateway, chat_request())
            except AkashGradioError:
                lost += 1
        assert lost <= 3

    asyncio.run(run())


async def test_another_replica_cannot_shut_an_only_endpoint() -> None:
    harness = Harness(entry_for("a"), entry_for("b", models=["m", "n"]))
    harness.gateway.rest_endpoint("b", 60)
    assert {receipt_of(await harness.ask()).endpoint for _ in range(4)} == {"a"}
    assert receipt_of(await harness.ask("n")).endpoint == "b"


async def test_a_requested_pause_is_honored_at_an_only_endpoint() -> None:
    harness = Harness(entry_for("a"), RETRY_ATTEMPTS=0)
    harness.network.enqueue("a", error_reply(503, "busy", retry_after="60"))
    await harness.fail()
    error = await harness.fail()
    assert (error.resting, error.retry_after_s) == (True, 60)
    assert harness.network.opened == ["a"]


@pytest.mark.parametrize("status", [401, 402])
async def test_a_rejected_key_fails_over_and_takes_the_endpoint_down(status: int) -> None:
    harness = Harness(entry_for("a"), entry_for("b"))
    harness.network.defaults["a"] = error_reply(status)
    for _ in range(4):
        await harness.ask()
    assert harness.network.opened.count("a") == 1
    reason = {401: "key", 402: "credit"}[status]
    assert (harness.status("a").reason, harness.status("a").state) == (reason, EndpointState.DOWN)


@pytest.mark.parametrize("status", [401, 402, 404])
async def test_a_rejected_key_is_not_repeated(status: int) -> None:
    harness = Harness(entry_for("a"))
    harness.network.defaults["a"] = error_reply(status)
    await harness.fail()
    assert harness.network.opened == ["a"]


async def test_status_404_affects_only_that_model_and_for_a_minute() -> None:
    harness = Harness(entry_for("a", models=["m", "n"], weight=9), entry_for("b"))
    harness.network.enqueue("a", error_reply(404))
    for _ in range(3):
        await harness.ask()
    assert harness.network.opened == ["a", "b", "b", "b"]
    assert receipt_of(await harness.ask("n")).endpoint == "a"
    harness.clock.now += 60
    assert receipt_of(await harness.ask()).endpoint == "a"


# ---- fallback models ----


async def test_the_fallback_answers_with_its_own_defaults_after_the_model_failed() -> None:
    cards = {
        "m": ModelCard(id="m", name="M", temperature=0.1),
        "n": ModelCard(id="n", name="N", temperature=0.9, custom_headers={"X-N": "n"}),
    }
    entries = entry_for("a"), entry_for("b", models=["n"])
    harness = Harness(*entries, cards=cards.get, FALLBACK_MODEL="n", RETRY_ATTEMPTS=1)
    harness.network.defaults["a"] = REFUSED
    events = await harness.ask()
    receipt = receipt_of(events)
    assert events[-3] == Started("b", "n")
    assert (receipt.requested_model, receipt.answering_model, receipt.fallback) == ("m", "n", True)
    assert outcomes(receipt.attempts) == [
        ("a", "weighted", "EndpointUnreachable"),
        ("a", "retry", "EndpointUnreachable"),
        ("b", "fallback", "ok"),
    ]
    assert [body["temperature"] for body in harness.network.bodies] == [0.1, 0.1, 0.9]
    assert harness.network.headers[-1] == {"X-N": "n"}
    assert receipt.sent == {"temperature": 0.9}


async def test_a_model_that_is_down_goes_to_its_fallback_without_a_pause() -> None:
    harness = Harness(entry_for("a"), entry_for("b", models=["n"]), FALLBACK_MODEL="n")
    harness.network.defaults["a"] = error_reply(401)
    for _ in range(2):
        assert receipt_of(await harness.ask()).answering_model == "n"
    assert (harness.network.opened, harness.clock.slept) == (["a", "b", "b"], [])


async def test_fallbacks_are_tried_in_order_with_all_their_endpoints() -> None:
    entries = (
        entry_for("a"),
        entry_for("b", models=["n"]),
        entry_for("c", models=["n"]),
        entry_for("d", models=["o"]),
    )
    harness = Harness(*entries, FALLBACK_MODEL="n, o", RETRY_ATTEMPTS=2, RETRY_DELAY=0)
    harness.network.defaults = {alias: error_reply(401) for alias in "abc"}
    await harness.ask()
    assert harness.network.opened == ["a", "b", "c", "d"]


async def test_a_request_without_fallback_gets_none() -> None:
    harness = Harness(entry_for("a"), entry_for("b", models=["n"]), FALLBACK_MODEL="n")
    harness.network.defaults["a"] = error_reply(401)
    assert isinstance(await harness.fail(fallback=False), AllEndpointsFailed)
    assert set(harness.network.opened) == {"a"}


async def test_pictures_go_only_to_a_fallback_with_vision() -> None:
    cards = {
        "m": ModelCard(id="m", name="M", vision=True),
        "n": ModelCard(id="n", name="N"),
        "o": ModelCard(id="o", name="O", vision=True),
    }
    entries = (
        entry_for("a"),
        entry_for("b", models=["n"]),
        entry_for("c", models=["o"]),
    )
    harness = Harness(*entries, cards=cards.get, FALLBACK_MODEL="n, o, p")
    harness.network.defaults["a"] = error_reply(401)
    picture = Turn(role=Role.USER, content="", pictures=("data:image/png;base64,AA==",))
    await harness.ask(conversation=Conversation(turns=(picture,)))
    assert harness.network.opened == ["a", "c"]


async def test_an_unknown_model_does_not_use_the_fallback() -> None:
    harness = Harness(entry_for("a"), FALLBACK_MODEL="m")
    assert isinstance(await harness.fail("typo"), UnknownModel)
    assert harness.network.opened == []


# ---- no endpoint ----


async def test_the_error_states_why_no_endpoint_is_available() -> None:
    def cards(model: str) -> ModelCard | None:
        return ModelCard(id="m", name="M") if model == "m" else None

    async def reason(harness: Harness) -> str:
        error = await harness.fail()
        assert isinstance(error, NoEndpoint)
        return error.reason

    assert await reason(Harness(cards=cards)) == "none_configured"
    assert await reason(Harness(entry_for("a", models=["n"]), cards=cards)) == "none_serves"
    assert await reason(Harness(entry_for("a", weight=0))) == "drained"


async def test_the_error_states_that_a_model_is_starting() -> None:
    harness = Harness()
    harness.gateway.expect_endpoint("this-computer", ("small",))
    error = await harness.fail("small")
    assert isinstance(error, NoEndpoint)
    assert error.reason == "starting"
    assert harness.status("this-computer").state is EndpointState.STARTING
    assert isinstance(await harness.fail("typo"), UnknownModel)


async def test_an_announced_endpoint_can_be_added_replaced_and_removed() -> None:
    harness = Harness()
    harness.gateway.expect_endpoint("a", ("m",))
    entry = EndpointSettings(name="a", url="http://127.0.0.1:1/v1", models=("m",))
    harness.gateway.put_endpoint(entry)
    assert len(harness.gateway.endpoints()) == 1
    harness.network.defaults["a"] = error_reply(401)
    await harness.fail()
    assert harness.status("a").state is EndpointState.DOWN
    harness.gateway.put_endpoint(entry.model_copy(update={"url": "http://127.0.0.1:2/v1"}))
    assert harness.status("a").state is EndpointState.UNKNOWN
    harness.gateway.remove_endpoint("a")
    assert harness.gateway.endpoints() == ()


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("refused", NoEndpoint), ("reset", AllEndpointsFailed), ("dns", AllEndpointsFailed)],
)
async def test_a_server_that_ended_before_it_received_the_request_is_starting_again(
    reason: str, expected: type[Exception]
) -> None:
    """After a reset the request itself may have ended it, so it must not be sent again."""
    harness = Harness(entry_for("a"))
    harness.network.defaults["a"] = EndpointUnreachable("a", reason)
    async with aclosing(harness.gateway.stream(chat_request("m"))) as events:
        assert isinstance(await anext(events), Retrying)
        harness.gateway.expect_endpoint("a", ("m",))
        with pytest.raises(expected) as raised:
            await anext(events)
    assert getattr(raised.value, "reason", "") == ("starting" if expected is NoEndpoint else "")
    assert harness.network.opened == ["a"]


# ---- stream_options ----


async def test_usage_is_requested_until_an_endpoint_rejects_it() -> None:
    harness = Harness(entry_for("a"), RETRY_ATTEMPTS=0)
    harness.network.enqueue("a", error_reply(400, "Unknown field: stream_options"))
    events = await harness.ask()
    await harness.ask()
    assert [type(event) for event in events] == [Retrying, Started, TextDelta, Finished]
    assert [("stream_options" in body) for body in harness.network.bodies] == [True, False, False]
    assert harness.network.bodies[0]["stream_options"] == {"include_usage": True}


async def test_a_second_rejection_for_that_reason_is_raised() -> None:
    harness = Harness(entry_for("a"))
    harness.network.defaults["a"] = error_reply(400, "include_usage is not allowed")
    assert isinstance(await harness.fail(), RequestRefused)
    assert harness.network.opened == ["a", "a"]


# ---- cancellation ----


@pytest.mark.parametrize(
    "script",
    [HANGS, FakeReply(parts=(HANGS,)), FakeReply(parts=(delta("he"), HANGS))],
    ids=["before the head", "before the first token", "after it"],
)
async def test_a_cancelled_request_is_closed_and_does_not_count_as_a_failure(
    script: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "akash_gradio.gateway")
    harness = Harness(entry_for("a"))
    harness.network.enqueue("a", script)
    asking = asyncio.create_task(harness.ask())
    await harness.network.hanging.wait()
    assert harness.status("a").in_flight == 1
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert harness.network.closed == ([] if script is HANGS else ["a"])
    assert (harness.status("a").in_flight, harness.status("a").reason) == (0, "")
    (line,) = [record for record in caplog.records if record.message == "reply.finished"]
    assert line.outcome == "cancelled"  # type: ignore[attr-defined]


async def test_closing_the_stream_closes_the_connection_to_the_endpoint() -> None:
    harness = Harness(entry_for("a"), entry_for("b"))
    async with aclosing(harness.gateway.stream(chat_request())) as stream:
        await anext(stream)
        await anext(stream)
        assert harness.network.closed == []
    assert harness.network.closed == ["a"]
    assert harness.status("a").in_flight == 0


async def test_closing_the_stream_at_a_retry_releases_everything() -> None:
    harness = Harness(entry_for("a"), entry_for("b"))
    harness.network.enqueue("a", REFUSED)
    async with aclosing(harness.gateway.stream(chat_request())) as stream:
        assert isinstance(await anext(stream), Retrying)
    assert harness.network.opened == ["a"]
    assert [status.in_flight for status in harness.gateway.endpoints()] == [0, 0]


async def test_an_abandoned_probe_does_not_keep_the_breaker_open() -> None:
    harness = Harness(entry_for("a"), RETRY_ATTEMPTS=0)
    harness.network.enqueue("a", error_reply(401), HANGS)
    await harness.fail()
    harness.clock.now += 5
    asking = asyncio.create_task(harness.ask())
    await harness.network.hanging.wait()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert receipt_of(await harness.ask()).attempts[0].reason == "probe"


async def test_events_may_be_read_from_different_tasks() -> None:
    harness = Harness(entry_for("a"), FIRST_TOKEN_TIMEOUT=30)
    async with aclosing(harness.gateway.stream(chat_request())) as stream:
        kinds = [type(await asyncio.create_task(anext_of(stream))) for _ in range(3)]
    assert kinds == [Started, TextDelta, Finished]


async def anext_of(stream: Any) -> Event:
    event: Event = await anext(stream)
    return event


# ---- opening, closing and discovery ----


async def test_creating_a_gateway_needs_no_running_loop() -> None:
    made = await asyncio.to_thread(open_gateway, make_settings(entry_for("a")))
    assert isinstance(made, Gateway)


async def test_closing_the_gateway_ends_all_tasks() -> None:
    before = asyncio.all_tasks()
    harness = Harness(entry_for("a", models=None), DISCOVERY_INTERVAL=1)
    harness.network.model_lists["a"] = HANGS
    async with harness.gateway:
        await harness.network.hanging.wait()
    assert asyncio.all_tasks() == before
    assert (harness.network.starts, harness.network.closings) == (1, 1)


def listing(*ids: str) -> FakeReply:
    body = '{"data": [' + ",".join(f'{{"id": "{name}", "max_model_len": 4096}}' for name in ids)
    return FakeReply(parts=((body + "]}").encode(),), headers={"content-type": "application/json"})


async def test_models_are_discovered_before_the_gateway_reports_that_none_serves_it() -> None:
    harness = Harness({"name": "a"}, {"name": "b"})
    harness.network.model_lists = {"a": HANGS, "b": listing("m")}
    async with harness.gateway, asyncio.timeout(20):
        assert receipt_of(await harness.ask()).endpoint == "b"
        (model,) = harness.status("b").models or ()
    assert (model.id, model.token_limit) == ("m", 4096)


async def test_a_pinned_endpoint_is_discovered_even_if_another_serves_the_model() -> None:
    harness = Harness(entry_for("a"), {"name": "b"})
    harness.network.model_lists["b"] = listing("m")
    assert receipt_of(await harness.ask(endpoint="b")).endpoint == "b"
    assert (await harness.fail(endpoint="missing")).reason == "none_serves"


async def test_an_endpoint_that_was_down_at_the_start_joins_when_it_is_up() -> None:
    harness = Harness({"name": "a"})
    harness.network.model_lists["a"] = REFUSED
    await harness.gateway.discover()
    assert (harness.status("a").models, harness.status("a").state) == (None, EndpointState.DOWN)
    assert (await harness.fail()).reason == "none_serves"
    harness.network.model_lists["a"] = listing("m")
    await harness.gateway.discover()
    assert harness.status("a").state is EndpointState.READY
    assert receipt_of(await harness.ask()).endpoint == "a"


async def test_the_last_model_list_is_kept_while_discovery_fails() -> None:
    harness = Harness({"name": "a"})
    harness.network.model_lists["a"] = listing("m")
    await harness.gateway.discover()
    harness.network.model_lists["a"] = error_reply(500)
    await harness.gateway.discover()
    assert receipt_of(await harness.ask()).endpoint == "a"


async def test_models_have_catalog_names_and_requests_have_the_endpoints_own() -> None:
    harness = Harness({"name": "a", "modelMap": {"m": "org/m-awq"}})
    harness.network.model_lists["a"] = listing("org/m-awq", "other")
    await harness.ask()
    assert harness.network.bodies[0]["model"] == "org/m-awq"
    assert [model.id for model in harness.status("a").models or ()] == ["m", "other"]


async def test_a_number_that_is_not_finite_is_rejected_before_any_call() -> None:
    harness = Harness(entry_for("a"))
    error = await harness.fail(extra={"top_k": math.nan}, sampling=Sampling(temperature=0))
    assert isinstance(error, RequestRefused)
    assert harness.network.opened == []


async def test_one_line_is_logged_with_facts_and_without_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "akash_gradio.gateway")
    await Harness(entry_for("a")).ask()
    (line,) = [vars(record) for record in caplog.records if record.message == "reply.finished"]
    assert (line["endpoint"], line["model"], line["outcome"]) == ("a", "m", "stop")
    assert line["tokens_out"] == 1
    everything = "".join(repr(vars(record)) for record in caplog.records)
    assert "hello" not in everything
    assert "What is it?" not in everything


async def test_a_remembered_failure_keeps_no_traceback() -> None:
    harness = Harness(entry_for("a"))
    harness.network.enqueue("a", EndpointUnreachable("a", "refused"))
    await harness.ask()
    endpoint = harness.gateway.endpoint("a")
    assert endpoint is not None
    assert endpoint.health.last_failure is not None
    assert endpoint.health.last_failure.__traceback__ is None
