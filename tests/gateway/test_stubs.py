"""The gateway against every misbehaving endpoint, over real sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache

import pytest

from akash_gradio.domain.chat import ChatRequest, Conversation, Role, Turn
from akash_gradio.domain.errors import (
    AllEndpointsFailed,
    ContextExceeded,
    NoEndpoint,
    ReplyInterrupted,
    RequestRefused,
    UnknownModel,
)
from akash_gradio.domain.events import (
    Event,
    Finished,
    MediaDelta,
    ReasoningDelta,
    Retrying,
    Started,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from akash_gradio.domain.ports import EndpointState
from akash_gradio.domain.receipt import Receipt
from akash_gradio.gateway.gateway import Gateway, open_gateway
from akash_gradio.gateway.passthrough.transport import HttpTransport
from tests.stubs import BEHAVIORS, Ending, StubEndpoint, behaviors_with, entry, settings_for, wire
from tests.stubs.behaviors import LIMIT_TOKENS, REQUEST_TOKENS, RETRY_AFTER_S

CLOSE_S = 2.0
"""How soon an upstream connection has to be closed. Far below the timeouts of 30 s, far above what
a busy machine needs."""


def ask(text: str = "Grüße", *, stream: bool = True, model: str = "m") -> ChatRequest:
    conversation = Conversation(turns=(Turn(role=Role.USER, content=text),))
    return ChatRequest(model=model, conversation=conversation, stream=stream)


@dataclass
class Reply:
    """The events of a request, as far as they came."""

    events: list[Event] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))

    @property
    def reasoning(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, ReasoningDelta))

    @property
    def calls(self) -> tuple[tuple[str, str], ...]:
        calls: dict[int, list[str]] = {}
        for event in self.events:
            if isinstance(event, ToolCallDelta):
                call = calls.setdefault(event.index, ["", ""])
                call[0] += event.name
                call[1] += event.arguments
        return tuple((name, arguments) for name, arguments in calls.values())

    @property
    def receipt(self) -> Receipt:
        (last,) = [event for event in self.events if isinstance(event, Finished)]
        assert self.events[-1] is last
        return last.receipt

    def of(self, kind: type[Event]) -> int:
        return sum(isinstance(event, kind) for event in self.events)


async def send(
    gateway: Gateway,
    request: ChatRequest,
    reply: Reply | None = None,
    at_text: Callable[[], None] = lambda: None,
) -> Reply:
    reply = reply or Reply()
    async with aclosing(gateway.stream(request)) as events:
        async for event in events:
            reply.events.append(event)
            if isinstance(event, TextDelta):
                at_text()
    return reply


@cache
def network() -> HttpTransport:
    """One transport for all tests, each of which closes it: it loads certificates only once."""
    return HttpTransport()


def timeouts_for(name: str) -> dict[str, object]:
    """Short timeouts only where a test waits for them, so that a busy machine has no effect."""
    if BEHAVIORS[name].error == "EndpointTimeout":
        return {}
    return {"FIRST_TOKEN_TIMEOUT": 20, "IDLE_TIMEOUT": 20}


@asynccontextmanager
async def pair(
    bad: str, **variables: object
) -> AsyncIterator[tuple[Gateway, StubEndpoint, StubEndpoint]]:
    """A gateway with an endpoint that misbehaves and is chosen first, and a perfect one."""
    async with StubEndpoint(bad) as first, StubEndpoint("perfect") as second:
        settings = settings_for(
            entry(first, name="bad", weight=1000),
            entry(second, name="good"),
            **(timeouts_for(bad) | variables),
        )
        async with open_gateway(settings, transport=network()) as gateway:
            yield gateway, first, second
        await first.wait_for_idle()
        await second.wait_for_idle()


@asynccontextmanager
async def alone(name: str, **variables: object) -> AsyncIterator[tuple[Gateway, StubEndpoint]]:
    async with StubEndpoint(name) as stub:
        settings = settings_for(entry(stub, name="only"), **(timeouts_for(name) | variables))
        async with open_gateway(settings, transport=network()) as gateway:
            yield gateway, stub
        await stub.wait_for_idle()


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


# ---- before the first token ----


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "complete"])
@pytest.mark.parametrize("name", behaviors_with(Ending.NO_FIRST_TOKEN))
async def test_a_failure_before_the_first_token_is_hidden(name: str, stream: bool) -> None:
    async with pair(name) as (gateway, bad, good):
        reply = await send(gateway, ask(stream=stream))
    assert reply.text == wire.TEXT
    assert (reply.of(Started), reply.of(Retrying), reply.of(Finished)) == (1, 1, 1)
    failed, answered = reply.receipt.attempts
    assert (failed.endpoint, answered.endpoint, answered.outcome) == ("bad", "good", "ok")
    assert failed.outcome in BEHAVIORS[name].error.split()
    assert reply.receipt.endpoint == "good"
    assert len(bad.chats) == (0 if name in {"closed_port", "plain_text_on_https"} else 1)
    assert len(good.chats) == 1
    if name.startswith("status_"):
        assert failed.status == int(name.removeprefix("status_"))


@pytest.mark.parametrize(
    "name", [n for n in behaviors_with(Ending.NO_FIRST_TOKEN) if "Timeout" in BEHAVIORS[n].error]
)
async def test_the_connection_to_an_endpoint_that_times_out_is_closed(name: str) -> None:
    async with pair(name) as (gateway, bad, _):
        await send(gateway, ask())
        await bad.wait_for_disconnect(CLOSE_S)


@pytest.mark.parametrize(
    ("name", "attempts"),
    [("closed_port", 2), ("hangs_after_role", 1), ("html_with_200", 2), ("status_503", 2)],
)
async def test_the_error_names_the_cause_when_all_endpoints_fail(name: str, attempts: int) -> None:
    async with alone(name, RETRY_ATTEMPTS=1) as (gateway, _):
        reply = Reply()
        with pytest.raises(AllEndpointsFailed) as raised:
            await send(gateway, ask(), reply)
    assert type(raised.value.cause).__name__ in BEHAVIORS[name].error.split()
    assert raised.value.receipt is not None
    assert len(raised.value.receipt.attempts) == attempts
    assert raised.value.receipt.finish == "failed"
    assert reply.of(Started) == 0


async def test_a_crash_between_two_requests_is_hidden() -> None:
    async with StubEndpoint() as first, StubEndpoint() as second:
        entries = entry(first, name="a", weight=1000), entry(second, name="b")
        async with open_gateway(settings_for(*entries)) as gateway:
            assert (await send(gateway, ask())).receipt.endpoint == "a"
            first.kill()
            assert (await send(gateway, ask())).receipt.endpoint == "b"
            await first.listen()
            assert (await send(gateway, ask())).receipt.endpoint == "a"


# ---- complete answers ----


@pytest.mark.parametrize("name", sorted(set(behaviors_with(Ending.COMPLETE)) - {"echoes"}))
async def test_the_text_of_every_kind_of_stream_is_read(name: str) -> None:
    async with alone(name, RETRY_ATTEMPTS=0) as (gateway, _):
        reply = await send(gateway, ask())
    assert reply.text == BEHAVIORS[name].text
    assert reply.reasoning == BEHAVIORS[name].reasoning
    assert reply.receipt.attempts[-1].outcome == "ok"
    assert reply.receipt.finish == BEHAVIORS[name].finish
    assert reply.calls == BEHAVIORS[name].calls
    assert reply.of(MediaDelta) == BEHAVIORS[name].media


@pytest.mark.parametrize("name", sorted(set(behaviors_with(Ending.COMPLETE)) - {"echoes"}))
async def test_the_text_of_every_complete_answer_is_read(name: str) -> None:
    async with alone(name, RETRY_ATTEMPTS=0) as (gateway, stub):
        reply = await send(gateway, ask(stream=False))
    assert reply.text == BEHAVIORS[name].whole_text
    assert reply.calls == BEHAVIORS[name].calls
    assert reply.of(MediaDelta) == BEHAVIORS[name].media
    assert len(stub.chats) == 1
    assert not stub.chats[0].json.get("stream")


async def test_the_tokens_that_the_endpoint_reports_are_in_the_receipt() -> None:
    async with alone("perfect") as (gateway, _):
        reply = await send(gateway, ask())
    assert Usage(13, len(wire.TOKENS), None) in reply.events
    assert reply.receipt.tokens_out is not None
    assert (reply.receipt.tokens_out.tokens, reply.receipt.tokens_out.reported) == (
        len(wire.TOKENS),
        True,
    )
    assert (reply.receipt.upstream_id, reply.receipt.fingerprint) == ("chatcmpl-stub", "fp_stub")


# ---- after the first token ----


@pytest.mark.parametrize("name", behaviors_with(Ending.INTERRUPTED))
async def test_an_interrupted_answer_is_delivered_as_far_as_it_came(name: str) -> None:
    reply = Reply()
    async with pair(name) as (gateway, bad, good):
        with pytest.raises(ReplyInterrupted) as raised:
            await send(gateway, ask(), reply)
        if "hangs" in name or "comments" in name or "endless" in name:
            await bad.wait_for_disconnect(CLOSE_S)
    assert reply.text == BEHAVIORS[name].text
    assert (reply.of(Started), reply.of(Retrying), reply.of(Finished)) == (1, 0, 0)
    assert type(raised.value.cause).__name__ in BEHAVIORS[name].error.split()
    assert raised.value.receipt is not None
    assert raised.value.receipt.finish == "interrupted"
    assert (len(bad.chats), len(good.chats)) == (1, 0)


async def test_a_crash_interrupts_the_answer() -> None:
    async with alone("slow") as (gateway, stub):
        reply = Reply()
        with pytest.raises(ReplyInterrupted):
            await send(gateway, ask(), reply, at_text=stub.kill)
    assert reply.text
    assert wire.TEXT.startswith(reply.text)


# ---- invalid requests ----


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "complete"])
@pytest.mark.parametrize(
    "name",
    [n for n in behaviors_with(Ending.REQUEST_REFUSED) if BEHAVIORS[n].error != "ContextExceeded"],
)
async def test_no_other_endpoint_is_tried_when_the_request_is_at_fault(
    name: str, stream: bool
) -> None:
    async with pair(name) as (gateway, bad, good):
        with pytest.raises(RequestRefused) as raised:
            await send(gateway, ask(stream=stream))
        assert gateway.endpoints()[0].state is EndpointState.READY
    assert type(raised.value).__name__ == BEHAVIORS[name].error
    assert raised.value.alias == "bad"
    assert (len(bad.chats), len(good.chats)) == (1, 0)
    assert raised.value.detail == f"failed with {raised.value.upstream_status}"


@pytest.mark.parametrize(
    "name",
    [n for n in behaviors_with(Ending.REQUEST_REFUSED) if BEHAVIORS[n].error == "ContextExceeded"],
)
async def test_a_request_that_is_too_long_goes_to_another_endpoint(name: str) -> None:
    async with pair(name) as (gateway, bad, good):
        reply = await send(gateway, ask())
        assert reply.receipt.endpoint == "good"
        assert gateway.endpoints()[0].state is EndpointState.READY
        good.set_behavior(name)
        with pytest.raises(ContextExceeded) as raised:
            await send(gateway, ask())
    assert (len(bad.chats), len(good.chats)) == (2, 2)
    assert raised.value.limit_tokens == LIMIT_TOKENS
    assert raised.value.requested_tokens == REQUEST_TOKENS


# ---- cancellation ----


async def cancelled(gateway: Gateway, stub: StubEndpoint, until: Callable[[Reply], bool]) -> float:
    """Send a request in a task, cancel it once `until` holds, and return when that was."""
    reply, reached = Reply(), asyncio.Event()

    async def consume() -> None:
        async with aclosing(gateway.stream(ask())) as events:
            async for event in events:
                reply.events.append(event)
                if until(reply):
                    reached.set()

    task = asyncio.create_task(consume())
    await stub.wait_for_requests()
    if not until(reply):
        await asyncio.wait_for(reached.wait(), 2)
    cancelled_at = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return cancelled_at


@pytest.mark.parametrize(
    ("name", "begun"),
    [
        ("hangs_before_headers", False),
        ("slow_headers", False),
        ("hangs_after_headers", False),
        ("hangs_after_role", False),
        ("hangs_in_the_middle", True),
        ("slow", True),
    ],
)
async def test_cancellation_closes_the_connection(name: str, begun: bool) -> None:
    async with pair(name, FIRST_TOKEN_TIMEOUT=30, IDLE_TIMEOUT=30) as (gateway, bad, good):
        cancelled_at = await cancelled(gateway, bad, lambda reply: bool(reply.text) or not begun)
        assert await bad.wait_for_disconnect(CLOSE_S) - cancelled_at < CLOSE_S
        status = gateway.endpoints()[0]
        assert (status.in_flight, status.reason) == (0, "")
        assert status.state in {EndpointState.READY, EndpointState.UNKNOWN}
    assert good.chats == []


@pytest.mark.parametrize("name", ["slow", "hangs_in_the_middle"])
async def test_closing_the_stream_closes_the_connection(name: str) -> None:
    async with pair(name, FIRST_TOKEN_TIMEOUT=30, IDLE_TIMEOUT=30) as (gateway, bad, _):
        events = gateway.stream(ask())
        async for event in events:
            if isinstance(event, TextDelta):
                break
        cancelled_at = time.monotonic()
        await events.aclose()
        assert await bad.wait_for_disconnect(CLOSE_S) - cancelled_at < CLOSE_S
        assert gateway.endpoints()[0].in_flight == 0


async def test_closing_the_gateway_closes_the_connection() -> None:
    async with StubEndpoint("hangs_after_role") as stub:
        settings = settings_for(entry(stub), FIRST_TOKEN_TIMEOUT=30)
        async with open_gateway(settings) as gateway:
            waiting = asyncio.create_task(send(gateway, ask()))
            await stub.wait_for_requests()
        await stub.wait_for_idle()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


# ---- pauses, keys, discovery ----


@pytest.mark.parametrize(
    "name", ["retry_after_in_seconds", "retry_after_as_date", "retry_after_in_milliseconds"]
)
async def test_an_endpoint_is_paused_for_as_long_as_it_requested(name: str) -> None:
    clock = Clock()
    async with StubEndpoint(name) as bad, StubEndpoint() as good:
        entries = entry(bad, name="bad", weight=1000), entry(good, name="good")
        async with open_gateway(settings_for(*entries), clock=clock) as gateway:
            await send(gateway, ask())
            assert gateway.endpoints()[0].state is EndpointState.RESTING
            clock.now += RETRY_AFTER_S - 1.5  # a date has whole seconds
            await send(gateway, ask())
            assert len(bad.chats) == 1
            clock.now += 1.6
            await send(gateway, ask())
            assert len(bad.chats) == 2


async def test_each_key_is_sent_to_its_own_endpoint_only() -> None:
    async with StubEndpoint("status_500") as first, StubEndpoint(key="key-of-b-123456") as second:
        entries = (
            entry(first, name="a", weight=9, apiKey="key-of-a-123456", customHeaders={"X-A": "1"}),
            entry(second, name="b", apiKey="key-of-b-123456", customHeaders={"X-B": "2"}),
        )
        async with open_gateway(settings_for(*entries)) as gateway:
            assert (await send(gateway, ask())).receipt.endpoint == "b"
    assert {seen.headers["authorization"] for seen in first.chats} == {"Bearer key-of-a-123456"}
    assert {seen.headers["authorization"] for seen in second.chats} == {"Bearer key-of-b-123456"}
    for stub, sent in ((first, ("1", None)), (second, (None, "2"))):
        (seen,) = stub.chats
        assert (seen.headers.get("x-a"), seen.headers.get("x-b")) == sent


@pytest.mark.parametrize("name", ["redirects_302", "redirects_307"])
async def test_redirects_are_not_followed(name: str) -> None:
    async with pair(name) as (gateway, bad, _):
        await send(gateway, ask())
    assert all("/stolen" not in seen.path for seen in bad.requests)


async def test_an_endpoint_that_was_down_at_the_start_joins_later() -> None:
    async with (
        StubEndpoint(listening=False) as late,
        open_gateway(settings_for(entry(late, models=None))) as gateway,
    ):
        with pytest.raises((NoEndpoint, UnknownModel)):
            await send(gateway, ask())
        await late.listen()
        await gateway.discover()
        assert (await send(gateway, ask())).text == wire.TEXT
        (status,) = gateway.endpoints()
    assert status.models is not None
    assert [model.id for model in status.models] == ["m"]


@pytest.mark.parametrize(
    "name", ["hangs_before_headers", "html_with_200", "broken_json", "closed_port"]
)
async def test_an_endpoint_that_cannot_list_its_models_does_not_delay_the_start(name: str) -> None:
    async with StubEndpoint(name, everywhere=True) as bad, StubEndpoint() as good:
        entries = entry(bad, models=None, weight=9), entry(good, models=None)
        async with open_gateway(settings_for(*entries)) as gateway, asyncio.timeout(15):
            assert (await send(gateway, ask())).text == wire.TEXT


# ---- concurrency ----


async def test_two_hundred_streams_are_kept_apart() -> None:
    prompts = [f"№{number} 👩‍🚀 {'abcdefghij' * 8} {number * 7919}" for number in range(200)]
    before = asyncio.all_tasks()
    async with StubEndpoint("echoes") as one, StubEndpoint("echoes") as two:
        entries = entry(one, name="one", weight=2), entry(two, name="two")
        settings = settings_for(*entries, FIRST_TOKEN_TIMEOUT=30, IDLE_TIMEOUT=30)
        async with open_gateway(settings) as gateway:
            replies = await asyncio.gather(*(send(gateway, ask(text)) for text in prompts))
            assert [status.in_flight for status in gateway.endpoints()] == [0, 0]
        await one.wait_for_idle()
        await two.wait_for_idle()
        assert one.max_connections > 50
    assert [reply.text for reply in replies] == prompts
    assert all(len(reply.receipt.attempts) == 1 for reply in replies)
    assert abs(len(one.chats) - 2 * len(two.chats)) <= 2
    assert asyncio.all_tasks() == before


async def test_no_task_is_left_over() -> None:
    before = asyncio.all_tasks()
    async with pair("hangs_before_headers") as (gateway, bad, _):
        task = asyncio.create_task(send(gateway, ask()))
        await bad.wait_for_requests()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await send(gateway, ask())
    assert asyncio.all_tasks() == before
