from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from akash_gradio.config.endpoints import EndpointSettings
from akash_gradio.domain.chat import Conversation, Role, Sampling, Turn
from akash_gradio.domain.errors import (
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
from akash_gradio.domain.receipt import Attempt
from akash_gradio.gateway import Gateway, open_gateway
from akash_gradio.gateway.retries import BUDGET_FLOOR
from tests.gateway.fakes import (
    DONE,
    HANGS,
    ROLE,
    Clock,
    FakeReply,
    FakeTransport,
    collect,
    delta,
    error_of,
    named,
    receipt_of,
    refuses,
    request,
    says,
    settings_of,
    text_of,
    usage,
    whole,
)

REFUSED = EndpointUnreachable("a", "refused")


class House:
    """A gateway among fakes."""

    def __init__(self, *entries: dict[str, Any], cards: Any = None, **variables: object) -> None:
        self.clock, self.network = Clock(), FakeTransport()
        self.jitter = 1.0
        self.gateway = open_gateway(
            settings_of(*entries, **variables),
            cards,
            transport=self.network,
            clock=self.clock,
            jitter=lambda: self.jitter,
            sleep=self.clock.sleep,
        )

    async def ask(self, model: str = "m", **more: Any) -> list[Event]:
        return list(await collect(self.gateway, request(model, **more)))

    async def fail(self, model: str = "m", **more: Any) -> Any:
        return await error_of(self.gateway, request(model, **more))

    def status(self, alias: str) -> EndpointStatus:
        return next(each for each in self.gateway.endpoints() if each.alias == alias)


def outcomes(attempts: tuple[Attempt, ...]) -> list[tuple[str, str, str]]:
    return [(each.endpoint, each.reason, each.outcome) for each in attempts]


# ---- an answer ----


async def test_tells_an_answer_from_its_first_token_to_its_receipt() -> None:
    house = House(named("a"))
    house.network.enqueue("a", says("It is ", "42.", tail=(usage(9, 4), DONE)))
    events = await house.ask()
    assert events[:3] == [Started("a", "m"), TextDelta("It is "), TextDelta("42.")]
    assert Usage(prompt_tokens=9, completion_tokens=4) in events
    receipt = receipt_of(events)
    assert outcomes(receipt.attempts) == [("a", "weighted", "ok")]
    assert (receipt.endpoint, receipt.answering_model, receipt.finish) == ("a", "m", "stop")
    assert (receipt.tokens_in.tokens, receipt.tokens_in.reported) == (9, True)
    assert (receipt.tokens_out.tokens, receipt.tokens_out.reported) == (4, True)
    assert (receipt.upstream_id, receipt.fingerprint) == ("up-1", "fp")
    assert house.network.closed == ["a"]
    assert house.status("a").in_flight == 0


async def test_marks_tokens_as_estimated_where_none_were_reported() -> None:
    house = House(named("a"))
    receipt = receipt_of(await house.ask())
    assert (receipt.tokens_in.reported, receipt.tokens_out.reported) == (False, False)
    assert receipt.tokens_out.tokens == 1


async def test_measures_speed_from_the_first_token_to_the_last() -> None:
    house = House(named("a"))
    house.network.enqueue("a", says("one", "two", tail=(usage(1, 30), DONE)))
    async with aclosing(house.gateway.stream(request())) as stream:
        async for event in stream:
            house.clock.now += 1 if isinstance(event, TextDelta) and event.text == "one" else 0
            house.clock.now += 50 if isinstance(event, Usage) else 0
    assert isinstance(event, Finished)
    assert event.receipt.tokens_per_s == 15  # half of them came with the first
    assert event.receipt.first_token_s == 0


async def test_a_token_came_when_its_bytes_did_not_when_somebody_had_time_to_read_them() -> None:
    house = House(named("a"))

    async def later() -> bytes:
        house.clock.now += 3
        return delta("one")

    house.network.enqueue("a", FakeReply(parts=(ROLE, later, delta("two"), DONE), lag_s=1.0))
    receipt = receipt_of(await house.ask())
    assert receipt.first_token_s == 2
    assert receipt.attempts[0].elapsed_ms == 2000


async def test_one_lump_has_no_speed() -> None:
    house = House(named("a"))
    house.network.enqueue("a", whole("all of it"))
    events = await house.ask(stream=False)
    assert text_of(events) == "all of it"
    assert receipt_of(events).tokens_per_s is None
    assert house.network.bodies[0]["stream"] is False
    assert "stream_options" not in house.network.bodies[0]


async def test_ends_soon_after_the_finish_reason_when_nothing_follows() -> None:
    house = House(named("a"), IDLE_TIMEOUT=60)
    house.network.enqueue("a", says("hi", tail=(usage(1, 1), HANGS)))
    async with asyncio.timeout(20):
        events = await house.ask()
    assert receipt_of(events).finish == "stop"


async def test_waits_for_usage_two_seconds_at_most() -> None:
    house = House(named("a"), IDLE_TIMEOUT=60)
    house.network.enqueue("a", says("hi", tail=(HANGS,)))
    async with asyncio.timeout(30):
        events = await house.ask()
    assert receipt_of(events).tokens_out.reported is False


async def test_an_answer_without_words_that_says_why_is_an_answer() -> None:
    house = House(named("a"))
    house.network.enqueue("a", says(finish="length"))
    events = await house.ask()
    assert [type(event) for event in events] == [Started, Finished]
    assert receipt_of(events).finish == "length"


# ---- choosing ----


async def test_weight_two_and_one_give_two_thirds_and_one_third() -> None:
    house = House(named("a", weight=2), named("b", weight=1))
    for _ in range(30):
        await house.ask()
    assert Counter(house.network.opened) == {"a": 20, "b": 10}


async def test_weight_nought_is_never_asked() -> None:
    house = House(named("a", weight=0), named("b"))
    for _ in range(5):
        await house.ask()
    assert set(house.network.opened) == {"b"}
    assert house.status("a").state is EndpointState.DRAINED


async def test_the_next_priority_serves_only_when_this_one_cannot() -> None:
    house = House(named("a"), named("b", priority=2))
    house.network.enqueue("a", says("x"), says("x"), REFUSED)
    for _ in range(3):
        events = await house.ask()
    assert house.network.opened == ["a", "a", "a", "b"]
    assert outcomes(receipt_of(events).attempts)[-1] == ("b", "failover", "ok")


async def test_each_model_has_its_own_turns() -> None:
    house = House(named("a", models=["m", "n"]), named("b", models=["m", "n"]))
    for model in ("m", "n", "m", "n"):
        await house.ask(model)
    assert house.network.opened == ["a", "a", "b", "b"]


async def test_least_busy_goes_where_fewest_are_in_flight() -> None:
    house = House(named("a"), named("b"), ROUTING="least_busy")
    async with begun(house, "m") as first:
        assert first == "a"
        for _ in range(3):
            await house.ask()
    assert house.network.opened == ["a", "b", "b", "b"]


async def test_an_endpoint_takes_no_more_than_its_max_concurrency() -> None:
    house = House(named("a", maxConcurrency=1, weight=9), named("b"))
    async with begun(house, "m"):
        assert receipt_of(await house.ask()).endpoint == "b"
    assert receipt_of(await house.ask()).endpoint == "a"


async def test_says_that_all_are_busy() -> None:
    house = House(named("a", maxConcurrency=1))
    async with begun(house, "m"):
        assert (await house.fail()).reason == "busy"


@asynccontextmanager
async def begun(house: House, model: str) -> AsyncIterator[str]:
    """An answer held open after its first event; gives the endpoint's alias."""
    async with aclosing(house.gateway.stream(request(model))) as stream:
        started = await anext(stream)
        assert isinstance(started, Started)
        yield started.endpoint


async def test_a_pinned_request_goes_there_and_nowhere_else() -> None:
    house = House(named("a"), named("b"), FALLBACK_MODEL="n", RETRY_ATTEMPTS=1)
    assert receipt_of(await house.ask(endpoint="b")).attempts[0].reason == "pinned"
    house.network.otherwise["b"] = REFUSED
    error = await house.fail(endpoint="b")
    assert isinstance(error, AllEndpointsFailed)
    assert house.network.opened == ["b", "b", "b"]


# ---- failing over ----


@pytest.mark.parametrize(
    "failure",
    [
        REFUSED,
        EndpointTimeout("a", "connect", 5),
        *(refuses(status) for status in (401, 403, 404, 408, 409, 425, 429, 500, 503, 529, 307)),
        FakeReply(parts=(b"<html>",)),
        FakeReply(parts=(b"data: {broken\n\n",)),
        FakeReply(parts=(b'{"error": {"message": "busy"}}',)),
        FakeReply(parts=(ROLE, DONE)),
        FakeReply(parts=()),
        FakeReply(parts=(ROLE, EndpointMalformed("a", "cut"))),
    ],
)
async def test_the_caller_sees_nothing_of_a_failure_before_the_first_token(failure: Any) -> None:
    house = House(named("a"), named("b"))
    house.network.enqueue("a", failure)
    events = await house.ask()
    assert text_of(events) == "hello"
    assert [type(each) for each in events] == [Retrying, Started, TextDelta, Finished]
    assert events[0].wait_s == 0
    assert (house.network.opened, house.clock.slept) == (["a", "b"], [])
    assert house.status("a").in_flight == 0


async def test_a_hang_before_the_first_token_moves_on() -> None:
    house = House(named("a"), named("b"), FIRST_TOKEN_TIMEOUT=0.05)
    house.network.enqueue("a", FakeReply(parts=(ROLE, b": still here\n\n", HANGS)))
    events = await house.ask()
    assert outcomes(receipt_of(events).attempts) == [
        ("a", "weighted", "EndpointTimeout"),
        ("b", "failover", "ok"),
    ]
    assert house.network.closed == ["a", "b"]


async def test_pauses_only_when_all_have_been_tried_and_doubles_the_pause() -> None:
    house = House(named("a"), named("b"), RETRY_ATTEMPTS=5, RETRY_DELAY=1000)
    house.network.enqueue("a", *[REFUSED] * 2)
    house.network.enqueue("b", *[REFUSED] * 2)
    events = await house.ask()
    rounds = [set(house.network.opened[at : at + 2]) for at in (0, 2, 4)]
    assert rounds[:2] == [{"a", "b"}, {"a", "b"}]
    assert len(house.network.opened) == 5
    assert house.clock.slept == [1, 2]
    assert [each.wait_s for each in events if isinstance(each, Retrying)] == [0, 1, 0, 2]


async def test_the_pause_has_full_jitter() -> None:
    house = House(named("a"), RETRY_DELAY=1000)
    house.jitter = 0.25
    house.network.enqueue("a", REFUSED)
    await house.ask()
    assert house.clock.slept == [0.25]


async def test_gives_up_after_the_extra_attempts() -> None:
    house = House(named("a"), RETRY_ATTEMPTS=1)
    house.network.otherwise["a"] = REFUSED
    error = await house.fail()
    assert isinstance(error, AllEndpointsFailed)
    assert isinstance(error.cause, EndpointUnreachable)
    assert house.network.opened == ["a", "a"]
    assert error.receipt.finish == "failed"
    assert len(error.receipt.attempts) == 2


async def test_no_extra_attempts_means_one_attempt() -> None:
    house = House(named("a"), named("b"), RETRY_ATTEMPTS=0)
    house.network.otherwise["a"] = REFUSED
    await house.fail()
    assert house.network.opened == ["a"]


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_wrong_request_is_told_at_once_and_is_no_failure(status: int) -> None:
    house = House(named("a"), named("b"))
    house.network.enqueue("a", refuses(status, "temperature must be below 2"))
    error = await house.fail()
    assert isinstance(error, RequestRefused)
    assert error.detail == "temperature must be below 2"
    assert outcomes(error.receipt.attempts) == [("a", "weighted", "RequestRefused")]
    assert error.receipt.attempts[0].status == status
    assert house.status("a").reason == ""


async def test_a_request_past_the_context_is_told_with_its_numbers() -> None:
    house = House(named("a"), named("b"))
    words = "This model's maximum context length is 8192 tokens. You requested 9000 tokens"
    house.network.enqueue("a", refuses(400, words))
    error = await house.fail()
    assert isinstance(error, ContextExceeded)
    assert (error.limit_tokens, house.network.opened) == (8192, ["a"])


async def test_never_restarts_a_reply_that_began() -> None:
    house = House(named("a"), named("b"))
    house.network.enqueue("a", FakeReply(parts=(delta("he"), EndpointMalformed("a", "cut"))))
    events: list[Event] = []
    with pytest.raises(ReplyInterrupted) as caught:
        await collect(house.gateway, request(), events)
    assert events == [Started("a", "m"), TextDelta("he")]
    assert (house.network.opened, house.network.closed) == (["a"], ["a"])
    receipt = caught.value.receipt
    assert receipt is not None
    assert (receipt.finish, receipt.endpoint) == ("interrupted", "a")
    assert receipt.attempts[0].outcome == "EndpointMalformed"


async def test_a_silence_after_the_first_token_is_an_interruption() -> None:
    house = House(named("a"), IDLE_TIMEOUT=0.05)
    house.network.enqueue("a", FakeReply(parts=(delta("he"), b": ping\n\n", b": ping\n\n", HANGS)))
    error = await house.fail()
    assert isinstance(error, ReplyInterrupted)
    assert isinstance(error.cause, EndpointTimeout)
    assert error.cause.stage == "idle"


@pytest.mark.parametrize("script", [HANGS, FakeReply(parts=(delta("he"), HANGS))])
async def test_a_timeout_that_is_remembered_keeps_nothing_of_what_it_ended(script: Any) -> None:
    house = House(named("a"), FIRST_TOKEN_TIMEOUT=0.05, IDLE_TIMEOUT=0.05, RETRY_ATTEMPTS=0)
    house.network.enqueue("a", script)
    await house.fail()
    endpoint = house.gateway.endpoint("a")
    assert endpoint is not None
    failure = endpoint.last_failure
    assert isinstance(failure, EndpointTimeout)
    assert (failure.__traceback__, failure.__context__) == (None, None)


async def test_signs_of_life_without_a_word_are_a_silence_too() -> None:
    async def ping() -> bytes:
        await asyncio.sleep(0.01)  # real: the timer of the gateway is
        return b": ping\n\n"

    house = House(named("a"), IDLE_TIMEOUT=0.05)
    house.network.enqueue("a", FakeReply(parts=(delta("he"), *[ping] * 200)))
    error = await house.fail()
    assert isinstance(error, ReplyInterrupted)
    assert isinstance(error.cause, EndpointTimeout)


async def test_a_slow_reader_is_no_silence_of_the_endpoint() -> None:
    house = House(named("a"), IDLE_TIMEOUT=0.02)
    async with aclosing(house.gateway.stream(request())) as stream:
        async for _ in stream:
            await asyncio.sleep(0.05)  # real: the timer of the gateway is


async def test_a_refusal_in_the_middle_is_an_interruption() -> None:
    house = House(named("a"))
    fault = b'data: {"error": {"message": "bad", "code": 400}}\n\n'
    house.network.enqueue("a", FakeReply(parts=(delta("he"), fault)))
    error = await house.fail()
    assert isinstance(error, ReplyInterrupted)
    assert isinstance(error.cause, EndpointMalformed)


async def test_the_retry_budget_ends_an_outage_of_retries() -> None:
    house = House(named("a"), named("b"), RETRY_ATTEMPTS=20, RETRY_DELAY=0)
    house.network.otherwise = {"a": refuses(409), "b": refuses(409)}
    for _ in range(40):
        for entry in settings_of(named("a"), named("b")).endpoints:
            house.gateway.put_endpoint(entry)  # their breakers would end it too
        assert isinstance(await house.fail(), AllEndpointsFailed)
    assert len(house.network.opened) <= 40 + BUDGET_FLOOR + 0.2 * 40


# ---- resting, and the breaker ----


async def test_retry_after_rests_the_endpoint_and_is_waited_for() -> None:
    house = House(named("a"), RETRY_DELAY=1000)
    house.network.enqueue("a", refuses(429, retry_after="2"))
    events = await house.ask()
    assert text_of(events) == "hello"
    assert house.clock.slept == [2]
    assert events[0].wait_s == 2


async def test_a_resting_endpoint_is_left_alone_while_another_can_answer() -> None:
    house = House(named("a", weight=5), named("b"))
    house.network.enqueue("a", refuses(429, retry_after="60"))
    for _ in range(4):
        await house.ask()
    assert house.network.opened == ["a", "b", "b", "b", "b"]
    assert house.status("a").state is EndpointState.RESTING


async def test_a_rest_that_is_too_long_is_told_instead_of_waited_for() -> None:
    house = House(named("a"))
    house.network.enqueue("a", refuses(429, retry_after="60"))
    error = await house.fail()
    assert isinstance(error, AllEndpointsFailed)
    assert (error.retry_after_s, house.clock.slept) == (60, [])
    again = await house.fail()
    assert isinstance(again, AllEndpointsFailed)
    assert isinstance(again.cause, EndpointRefused)
    assert (again.cause.upstream_status, again.receipt.attempts) == (429, ())
    assert house.network.opened == ["a"]


async def test_no_time_to_wait_is_told_while_another_endpoint_is_ready() -> None:
    house = House(named("a"), named("b"), RETRY_ATTEMPTS=0)
    house.network.enqueue("a", refuses(429, retry_after="60"))
    assert (await house.fail()).retry_after_s is None


async def test_many_429_never_open_the_breaker() -> None:
    house = House(named("a"), RETRY_ATTEMPTS=0)
    house.network.otherwise["a"] = refuses(429, retry_after="1")
    for _ in range(9):
        await house.fail()
        house.clock.now += 1
    assert len(house.network.opened) == 9
    assert house.status("a").state is not EndpointState.DOWN


async def test_a_failing_endpoint_is_left_out_after_three_and_probed_later() -> None:
    house = House(named("a"), named("b"))
    house.network.otherwise["a"] = REFUSED
    for _ in range(12):
        await house.ask()
    assert house.network.opened.count("a") == 3
    assert house.status("a").state is EndpointState.DOWN
    house.clock.now += 5
    for _ in range(4):
        await house.ask()
    assert house.network.opened.count("a") == 4
    del house.network.otherwise["a"]
    house.clock.now += 10
    receipts = [receipt_of(await house.ask()) for _ in range(4)]
    assert ("a", "probe", "ok") in [each for one in receipts for each in outcomes(one.attempts)]
    assert house.status("a").state is EndpointState.READY


async def test_breaking_off_thrice_takes_an_endpoint_out_too() -> None:
    house = House(named("a"))
    house.network.otherwise["a"] = FakeReply(parts=(delta("he"), EndpointMalformed("a", "cut")))
    for _ in range(3):
        await house.fail()
    assert house.status("a").state is EndpointState.DOWN


async def test_when_all_are_out_the_one_that_is_back_first_is_waited_for() -> None:
    house = House(named("a"), RETRY_ATTEMPTS=3, RETRY_DELAY=1000)
    house.network.enqueue("a", REFUSED, REFUSED, REFUSED)
    events = await house.ask()
    assert house.clock.slept == [1, 2, 5]
    assert outcomes(receipt_of(events).attempts)[-1] == ("a", "retry", "ok")


@pytest.mark.parametrize("status", [401, 403])
async def test_a_wrong_key_moves_on_and_marks_the_endpoint(status: int) -> None:
    house = House(named("a"), named("b"))
    house.network.otherwise["a"] = refuses(status)
    for _ in range(4):
        await house.ask()
    assert house.network.opened.count("a") == 1
    assert (house.status("a").reason, house.status("a").state) == ("key", EndpointState.DOWN)


async def test_a_404_concerns_that_model_alone_and_for_a_while() -> None:
    house = House(named("a", models=["m", "n"], weight=9), named("b"))
    house.network.enqueue("a", refuses(404))
    for _ in range(3):
        await house.ask()
    assert house.network.opened == ["a", "b", "b", "b"]
    assert receipt_of(await house.ask("n")).endpoint == "a"
    house.clock.now += 60
    assert receipt_of(await house.ask()).endpoint == "a"


# ---- fallback models ----


async def test_the_fallback_answers_with_its_own_defaults_when_the_model_is_spent() -> None:
    cards = {
        "m": ModelCard(id="m", name="M", temperature=0.1),
        "n": ModelCard(id="n", name="N", temperature=0.9, custom_headers={"X-N": "n"}),
    }
    entries = named("a"), named("b", models=["n"])
    house = House(*entries, cards=cards.get, FALLBACK_MODEL="n", RETRY_ATTEMPTS=1)
    house.network.otherwise["a"] = REFUSED
    events = await house.ask()
    receipt = receipt_of(events)
    assert events[-3] == Started("b", "n")
    assert (receipt.requested_model, receipt.answering_model, receipt.fallback) == ("m", "n", True)
    assert outcomes(receipt.attempts) == [
        ("a", "weighted", "EndpointUnreachable"),
        ("a", "retry", "EndpointUnreachable"),
        ("b", "fallback", "ok"),
    ]
    assert [each["temperature"] for each in house.network.bodies] == [0.1, 0.1, 0.9]
    assert house.network.headers[-1] == {"X-N": "n"}
    assert receipt.sent == {"temperature": 0.9}


async def test_a_model_that_is_out_goes_to_its_fallback_without_a_pause() -> None:
    house = House(named("a"), named("b", models=["n"]), FALLBACK_MODEL="n")
    house.network.otherwise["a"] = refuses(401)
    for _ in range(2):
        assert receipt_of(await house.ask()).answering_model == "n"
    assert (house.network.opened, house.clock.slept) == (["a", "b", "b"], [])


async def test_fallbacks_come_in_order_each_with_its_endpoints() -> None:
    entries = (
        named("a"),
        named("b", models=["n"]),
        named("c", models=["n"]),
        named("d", models=["o"]),
    )
    house = House(*entries, FALLBACK_MODEL="n, o", RETRY_ATTEMPTS=2, RETRY_DELAY=0)
    house.network.otherwise = {each: refuses(401) for each in "abc"}
    await house.ask()
    assert house.network.opened == ["a", "b", "c", "d"]


async def test_a_request_that_wants_its_own_model_alone_gets_no_fallback() -> None:
    house = House(named("a"), named("b", models=["n"]), FALLBACK_MODEL="n")
    house.network.otherwise["a"] = refuses(401)
    assert isinstance(await house.fail(fallback=False), AllEndpointsFailed)
    assert set(house.network.opened) == {"a"}


async def test_pictures_go_to_a_fallback_with_vision_alone() -> None:
    cards = {
        "m": ModelCard(id="m", name="M", vision=True),
        "n": ModelCard(id="n", name="N"),
        "o": ModelCard(id="o", name="O", vision=True),
    }
    entries = named("a"), named("b", models=["n"]), named("c", models=["o"])
    house = House(*entries, cards=cards.get, FALLBACK_MODEL="n, o, p")
    house.network.otherwise["a"] = refuses(401)
    picture = Turn(role=Role.USER, content="", pictures=("data:image/png;base64,AA==",))
    await house.ask(conversation=Conversation(turns=(picture,)))
    assert house.network.opened == ["a", "c"]


async def test_an_unknown_model_is_no_fallbacks_business() -> None:
    house = House(named("a"), FALLBACK_MODEL="m")
    assert isinstance(await house.fail("typo"), UnknownModel)
    assert house.network.opened == []


# ---- nobody ----


async def test_says_why_nobody_can_be_asked() -> None:
    def cards(model: str) -> ModelCard | None:
        return ModelCard(id="m", name="M") if model == "m" else None

    async def reason(house: House) -> str:
        error = await house.fail()
        assert isinstance(error, NoEndpoint)
        return error.reason

    assert await reason(House(cards=cards)) == "none_configured"
    assert await reason(House(named("a", models=["n"]), cards=cards)) == "none_serves"
    assert await reason(House(named("a", weight=0))) == "drained"


async def test_a_model_that_is_starting_is_said_to_be() -> None:
    house = House()
    house.gateway.expect_endpoint("this-computer", ("small",))
    error = await house.fail("small")
    assert isinstance(error, NoEndpoint)
    assert error.reason == "starting"
    assert house.status("this-computer").state is EndpointState.STARTING
    assert isinstance(await house.fail("typo"), UnknownModel)


async def test_an_endpoint_that_announces_itself_serves_and_can_come_again_or_go() -> None:
    house = House()
    house.gateway.expect_endpoint("a", ("m",))
    entry = EndpointSettings(name="a", url="http://127.0.0.1:1/v1", models=("m",))
    house.gateway.put_endpoint(entry)
    assert len(house.gateway.endpoints()) == 1
    house.network.otherwise["a"] = refuses(401)
    await house.fail()
    assert house.status("a").state is EndpointState.DOWN
    house.gateway.put_endpoint(entry.model_copy(update={"url": "http://127.0.0.1:2/v1"}))
    assert house.status("a").state is EndpointState.UNKNOWN
    house.gateway.remove_endpoint("a")
    assert house.gateway.endpoints() == ()


@pytest.mark.parametrize(
    ("reason", "wanted"),
    [("refused", NoEndpoint), ("reset", AllEndpointsFailed), ("dns", AllEndpointsFailed)],
)
async def test_a_server_that_died_before_it_heard_the_question_is_starting_again(
    reason: str, wanted: type[Exception]
) -> None:
    """After a reset it may have died of the question: that one is not asked again and again."""
    house = House(named("a"))
    house.network.otherwise["a"] = EndpointUnreachable("a", reason)
    async with aclosing(house.gateway.stream(request("m"))) as events:
        assert isinstance(await anext(events), Retrying)
        house.gateway.expect_endpoint("a", ("m",))
        with pytest.raises(wanted) as raised:
            await anext(events)
    assert getattr(raised.value, "reason", "") == ("starting" if wanted is NoEndpoint else "")
    assert house.network.opened == ["a"]


# ---- stream_options ----


async def test_asks_for_usage_until_an_endpoint_does_not_know_it() -> None:
    house = House(named("a"), RETRY_ATTEMPTS=0)
    house.network.enqueue("a", refuses(400, "Unknown field: stream_options"))
    events = await house.ask()
    await house.ask()
    assert [type(each) for each in events] == [Retrying, Started, TextDelta, Finished]
    assert [("stream_options" in body) for body in house.network.bodies] == [True, False, False]
    assert house.network.bodies[0]["stream_options"] == {"include_usage": True}


async def test_a_second_refusal_for_that_reason_is_told() -> None:
    house = House(named("a"))
    house.network.otherwise["a"] = refuses(400, "include_usage is not allowed")
    assert isinstance(await house.fail(), RequestRefused)
    assert house.network.opened == ["a", "a"]


# ---- leaving ----


@pytest.mark.parametrize(
    "script",
    [HANGS, FakeReply(parts=(HANGS,)), FakeReply(parts=(delta("he"), HANGS))],
    ids=["before the head", "before the first token", "after it"],
)
async def test_a_cancelled_question_is_closed_and_is_no_failure(
    script: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "akash_gradio.gateway")
    house = House(named("a"))
    house.network.enqueue("a", script)
    asking = asyncio.create_task(house.ask())
    await house.network.hanging.wait()
    assert house.status("a").in_flight == 1
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert house.network.closed == ([] if script is HANGS else ["a"])
    assert (house.status("a").in_flight, house.status("a").reason) == (0, "")
    (line,) = [each for each in caplog.records if each.message == "reply.finished"]
    assert line.outcome == "cancelled"  # type: ignore[attr-defined]


async def test_a_stream_closed_in_the_middle_closes_the_endpoints() -> None:
    house = House(named("a"), named("b"))
    async with aclosing(house.gateway.stream(request())) as stream:
        await anext(stream)
        await anext(stream)
        assert house.network.closed == []
    assert house.network.closed == ["a"]
    assert house.status("a").in_flight == 0


async def test_one_who_leaves_while_a_retry_is_told_leaves_nothing_behind() -> None:
    house = House(named("a"), named("b"))
    house.network.enqueue("a", REFUSED)
    async with aclosing(house.gateway.stream(request())) as stream:
        assert isinstance(await anext(stream), Retrying)
    assert house.network.opened == ["a"]
    assert [each.in_flight for each in house.gateway.endpoints()] == [0, 0]


async def test_a_probe_that_was_left_does_not_keep_the_endpoint_out() -> None:
    house = House(named("a"), RETRY_ATTEMPTS=0)
    house.network.enqueue("a", refuses(401), HANGS)
    await house.fail()
    house.clock.now += 5
    asking = asyncio.create_task(house.ask())
    await house.network.hanging.wait()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert receipt_of(await house.ask()).attempts[0].reason == "probe"


async def test_events_may_be_asked_for_from_different_tasks() -> None:
    house = House(named("a"), FIRST_TOKEN_TIMEOUT=30)
    async with aclosing(house.gateway.stream(request())) as stream:
        kinds = [type(await asyncio.create_task(anext_of(stream))) for _ in range(3)]
    assert kinds == [Started, TextDelta, Finished]


async def anext_of(stream: Any) -> Event:
    event: Event = await anext(stream)
    return event


# ---- opening, closing, discovering ----


async def test_making_a_gateway_needs_no_running_loop() -> None:
    made = await asyncio.to_thread(open_gateway, settings_of(named("a")))
    assert isinstance(made, Gateway)


async def test_leaves_no_task_behind() -> None:
    before = asyncio.all_tasks()
    house = House(named("a", models=None), DISCOVERY_INTERVAL=1)
    house.network.lists["a"] = HANGS
    async with house.gateway:
        await house.network.hanging.wait()
    assert asyncio.all_tasks() == before
    assert (house.network.started, house.network.ended) == (1, 1)


def listing(*ids: str) -> FakeReply:
    body = '{"data": [' + ",".join(f'{{"id": "{each}", "max_model_len": 4096}}' for each in ids)
    return FakeReply(parts=((body + "]}").encode(),), headers={"content-type": "application/json"})


async def test_asks_what_an_endpoint_serves_before_it_says_that_nobody_does() -> None:
    house = House({"name": "a"}, {"name": "b"})
    house.network.lists = {"a": HANGS, "b": listing("m")}
    async with house.gateway, asyncio.timeout(20):
        assert receipt_of(await house.ask()).endpoint == "b"
        (model,) = house.status("b").models or ()
    assert (model.id, model.token_limit) == ("m", 4096)


async def test_a_pinned_endpoint_is_asked_what_it_serves_though_another_serves_it() -> None:
    house = House(named("a"), {"name": "b"})
    house.network.lists["b"] = listing("m")
    assert receipt_of(await house.ask(endpoint="b")).endpoint == "b"
    assert (await house.fail(endpoint="nobody")).reason == "none_serves"


async def test_an_endpoint_that_was_down_at_first_joins_when_it_is_up() -> None:
    house = House({"name": "a"})
    house.network.lists["a"] = REFUSED
    await house.gateway.discover()
    assert (house.status("a").models, house.status("a").state) == (None, EndpointState.DOWN)
    assert (await house.fail()).reason == "none_serves"
    house.network.lists["a"] = listing("m")
    await house.gateway.discover()
    assert house.status("a").state is EndpointState.READY
    assert receipt_of(await house.ask()).endpoint == "a"


async def test_keeps_what_was_listed_while_a_list_cannot_be_had() -> None:
    house = House({"name": "a"})
    house.network.lists["a"] = listing("m")
    await house.gateway.discover()
    house.network.lists["a"] = refuses(500)
    await house.gateway.discover()
    assert receipt_of(await house.ask()).endpoint == "a"


async def test_lists_under_the_catalogs_names_and_asks_by_the_endpoints_own() -> None:
    house = House({"name": "a", "modelMap": {"m": "org/m-awq"}})
    house.network.lists["a"] = listing("org/m-awq", "other")
    await house.ask()
    assert house.network.bodies[0]["model"] == "org/m-awq"
    assert [each.id for each in house.status("a").models or ()] == ["m", "other"]


async def test_a_number_that_is_none_is_refused_before_anybody_is_asked() -> None:
    house = House(named("a"))
    error = await house.fail(extra={"top_k": math.nan}, sampling=Sampling(temperature=0))
    assert isinstance(error, RequestRefused)
    assert house.network.opened == []


async def test_logs_one_line_with_facts_and_no_words(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "akash_gradio.gateway")
    await House(named("a")).ask()
    (line,) = [vars(each) for each in caplog.records if each.message == "reply.finished"]
    assert (line["endpoint"], line["model"], line["outcome"]) == ("a", "m", "stop")
    assert line["tokens_out"] == 1
    everything = "".join(repr(vars(each)) for each in caplog.records)
    assert "hello" not in everything
    assert "What is it?" not in everything


async def test_a_failure_that_is_remembered_keeps_nothing_of_its_exchange() -> None:
    house = House(named("a"))
    house.network.enqueue("a", EndpointUnreachable("a", "refused"))
    await house.ask()
    endpoint = house.gateway.endpoint("a")
    assert endpoint is not None
    assert endpoint.last_failure is not None
    assert endpoint.last_failure.__traceback__ is None
