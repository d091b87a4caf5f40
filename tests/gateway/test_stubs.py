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
    ReasoningDelta,
    Retrying,
    Started,
    TextDelta,
    Usage,
)
from akash_gradio.domain.ports import EndpointState
from akash_gradio.domain.receipt import Receipt
from akash_gradio.gateway.gateway import Gateway, open_gateway
from akash_gradio.gateway.passthrough.transport import HttpTransport
from tests.stubs import BEHAVIORS, Ending, StubEndpoint, behaviors_with, entry, settings_for, wire
from tests.stubs.behaviors import LIMIT_TOKENS, REQUEST_TOKENS, RETRY_AFTER_S

PROMPT_CLOSE_S = 0.2
"""How soon an upstream's connection has to be closed once the caller left."""


def ask(text: str = "Grüße", *, stream: bool = True, model: str = "m") -> ChatRequest:
    said = Conversation(turns=(Turn(role=Role.USER, content=text),))
    return ChatRequest(model=model, conversation=said, stream=stream)


@dataclass
class Reply:
    """What came of a request, as far as it came."""

    events: list[Event] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))

    @property
    def thoughts(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, ReasoningDelta))

    @property
    def receipt(self) -> Receipt:
        (last,) = [event for event in self.events if isinstance(event, Finished)]
        assert self.events[-1] is last
        return last.receipt

    def of(self, kind: type[Event]) -> int:
        return sum(isinstance(event, kind) for event in self.events)


async def put(
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
    """One for all tests, each of which closes it: reading the certificates takes a while."""
    return HttpTransport()


def patience(name: str) -> dict[str, object]:
    """Short times only where they are waited for, so that a busy machine changes nothing."""
    if BEHAVIORS[name].error == "EndpointTimeout":
        return {}
    return {"FIRST_TOKEN_TIMEOUT": 20, "IDLE_TIMEOUT": 20}


@asynccontextmanager
async def pair(
    bad: str, **variables: object
) -> AsyncIterator[tuple[Gateway, StubEndpoint, StubEndpoint]]:
    """A gateway over one that misbehaves and is asked first, and one that is perfect."""
    async with StubEndpoint(bad) as first, StubEndpoint("perfect") as second:
        settings = settings_for(
            entry(first, name="bad", weight=1000),
            entry(second, name="good"),
            **(patience(bad) | variables),
        )
        async with open_gateway(settings, transport=network()) as gateway:
            yield gateway, first, second
        await first.wait_for_idle()
        await second.wait_for_idle()


@asynccontextmanager
async def alone(name: str, **variables: object) -> AsyncIterator[tuple[Gateway, StubEndpoint]]:
    async with StubEndpoint(name) as stub:
        settings = settings_for(entry(stub, name="only"), **(patience(name) | variables))
        async with open_gateway(settings, transport=network()) as gateway:
            yield gateway, stub
        await stub.wait_for_idle()


class Clock:
    """Seconds that pass when we say so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


# ---- before the first token ----


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("name", behaviors_with(Ending.NO_FIRST_TOKEN))
async def test_hides_a_failure_before_the_first_token(name: str, stream: bool) -> None:
    async with pair(name) as (gateway, bad, good):
        reply = await put(gateway, ask(stream=stream))
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
async def test_hangs_up_on_an_endpoint_that_said_nothing_in_time(name: str) -> None:
    async with pair(name) as (gateway, bad, _):
        await put(gateway, ask())
        await bad.wait_for_disconnect(PROMPT_CLOSE_S)


@pytest.mark.parametrize("name", ["closed_port", "hangs_after_role", "html_with_200", "status_503"])
async def test_says_that_nobody_answered_when_all_fail_alike(name: str) -> None:
    async with alone(name, RETRY_ATTEMPTS=1) as (gateway, _):
        reply = Reply()
        with pytest.raises(AllEndpointsFailed) as raised:
            await put(gateway, ask(), reply)
    assert type(raised.value.cause).__name__ in BEHAVIORS[name].error.split()
    assert raised.value.receipt is not None
    assert len(raised.value.receipt.attempts) == 2
    assert raised.value.receipt.finish == "failed"
    assert reply.of(Started) == 0


async def test_survives_a_crash_between_two_questions() -> None:
    async with StubEndpoint() as first, StubEndpoint() as second:
        entries = entry(first, name="a", weight=1000), entry(second, name="b")
        async with open_gateway(settings_for(*entries)) as gateway:
            assert (await put(gateway, ask())).receipt.endpoint == "a"
            first.kill()
            assert (await put(gateway, ask())).receipt.endpoint == "b"
            await first.listen()
            assert (await put(gateway, ask())).receipt.endpoint == "a"


# ---- whole answers ----


@pytest.mark.parametrize("name", sorted(set(behaviors_with(Ending.COMPLETE)) - {"echoes"}))
async def test_reads_the_right_text_from_what_real_servers_send(name: str) -> None:
    async with alone(name, RETRY_ATTEMPTS=0) as (gateway, _):
        reply = await put(gateway, ask())
    assert reply.text == BEHAVIORS[name].text
    assert reply.thoughts == BEHAVIORS[name].reasoning
    assert reply.receipt.attempts[-1].outcome == "ok"
    assert reply.receipt.finish in {"stop", ""}


@pytest.mark.parametrize("name", sorted(set(behaviors_with(Ending.COMPLETE)) - {"echoes"}))
async def test_reads_the_right_text_where_no_stream_was_asked(name: str) -> None:
    async with alone(name, RETRY_ATTEMPTS=0) as (gateway, stub):
        reply = await put(gateway, ask(stream=False))
    assert reply.text == wire.TEXT
    assert not stub.chats[0].json.get("stream")


async def test_reports_the_tokens_that_the_endpoint_counted() -> None:
    async with alone("perfect") as (gateway, _):
        reply = await put(gateway, ask())
    assert Usage(13, len(wire.TOKENS), None) in reply.events
    assert reply.receipt.tokens_out is not None
    assert (reply.receipt.tokens_out.tokens, reply.receipt.tokens_out.reported) == (
        len(wire.TOKENS),
        True,
    )
    assert (reply.receipt.upstream_id, reply.receipt.fingerprint) == ("chatcmpl-stub", "fp_stub")


# ---- after the first token ----


@pytest.mark.parametrize("name", behaviors_with(Ending.INTERRUPTED))
async def test_delivers_what_was_said_and_says_that_it_broke_off(name: str) -> None:
    reply = Reply()
    async with pair(name) as (gateway, bad, good):
        with pytest.raises(ReplyInterrupted) as raised:
            await put(gateway, ask(), reply)
        if "hangs" in name or "comments" in name or "endless" in name:
            await bad.wait_for_disconnect(PROMPT_CLOSE_S)
    assert reply.text == BEHAVIORS[name].text
    assert (reply.of(Started), reply.of(Retrying), reply.of(Finished)) == (1, 0, 0)
    assert type(raised.value.cause).__name__ in BEHAVIORS[name].error.split()
    assert raised.value.receipt is not None
    assert raised.value.receipt.finish == "interrupted"
    assert (len(bad.chats), len(good.chats)) == (1, 0)


async def test_breaks_off_when_the_endpoint_crashes() -> None:
    async with alone("slow") as (gateway, stub):
        reply = Reply()
        with pytest.raises(ReplyInterrupted):
            await put(gateway, ask(), reply, at_text=stub.kill)
    assert reply.text
    assert wire.TEXT.startswith(reply.text)


# ---- the request's fault ----


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("name", behaviors_with(Ending.REQUEST_REFUSED))
async def test_asks_nobody_else_when_the_request_is_at_fault(name: str, stream: bool) -> None:
    async with pair(name) as (gateway, bad, good):
        with pytest.raises(RequestRefused) as raised:
            await put(gateway, ask(stream=stream))
        assert gateway.endpoints()[0].state is EndpointState.READY
    assert type(raised.value).__name__ == BEHAVIORS[name].error
    assert raised.value.alias == "bad"
    assert (len(bad.chats), len(good.chats)) == (1, 0)
    if isinstance(raised.value, ContextExceeded):
        assert raised.value.limit_tokens == LIMIT_TOKENS
        assert raised.value.requested_tokens == REQUEST_TOKENS
    else:
        assert raised.value.detail == f"failed with {raised.value.upstream_status}"


# ---- leaving ----


async def cancelled(gateway: Gateway, stub: StubEndpoint, until: Callable[[Reply], bool]) -> float:
    """Ask in a task, cancel it once `until` holds; when it was cancelled."""
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
    left_at = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return left_at


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
async def test_hangs_up_at_once_when_the_caller_is_cancelled(name: str, begun: bool) -> None:
    async with pair(name, FIRST_TOKEN_TIMEOUT=30, IDLE_TIMEOUT=30) as (gateway, bad, good):
        left_at = await cancelled(gateway, bad, lambda reply: bool(reply.text) or not begun)
        assert await bad.wait_for_disconnect(PROMPT_CLOSE_S) - left_at < PROMPT_CLOSE_S
        status = gateway.endpoints()[0]
        assert (status.in_flight, status.reason) == (0, "")
        assert status.state in {EndpointState.READY, EndpointState.UNKNOWN}
    assert good.chats == []


@pytest.mark.parametrize("name", ["slow", "hangs_in_the_middle"])
async def test_hangs_up_at_once_when_the_caller_closes_the_stream(name: str) -> None:
    async with pair(name, FIRST_TOKEN_TIMEOUT=30, IDLE_TIMEOUT=30) as (gateway, bad, _):
        events = gateway.stream(ask())
        async for event in events:
            if isinstance(event, TextDelta):
                break
        left_at = time.monotonic()
        await events.aclose()
        assert await bad.wait_for_disconnect(PROMPT_CLOSE_S) - left_at < PROMPT_CLOSE_S
        assert gateway.endpoints()[0].in_flight == 0


async def test_hangs_up_on_those_who_wait_when_the_gateway_closes() -> None:
    async with StubEndpoint("hangs_after_role") as stub:
        settings = settings_for(entry(stub), FIRST_TOKEN_TIMEOUT=30)
        async with open_gateway(settings) as gateway:
            waiting = asyncio.create_task(put(gateway, ask()))
            await stub.wait_for_requests()
        await stub.wait_for_idle()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


# ---- resting, keys, joining ----


@pytest.mark.parametrize(
    "name", ["retry_after_in_seconds", "retry_after_as_date", "retry_after_in_milliseconds"]
)
async def test_rests_an_endpoint_for_as_long_as_it_asked(name: str) -> None:
    clock = Clock()
    async with StubEndpoint(name) as bad, StubEndpoint() as good:
        entries = entry(bad, name="bad", weight=1000), entry(good, name="good")
        async with open_gateway(settings_for(*entries), clock=clock) as gateway:
            await put(gateway, ask())
            assert gateway.endpoints()[0].state is EndpointState.RESTING
            clock.now += RETRY_AFTER_S - 1.5  # a date has whole seconds
            await put(gateway, ask())
            assert len(bad.chats) == 1
            clock.now += 1.6
            await put(gateway, ask())
            assert len(bad.chats) == 2


async def test_sends_each_key_to_its_own_endpoint_only() -> None:
    async with StubEndpoint("status_500") as first, StubEndpoint(key="key-of-b-123456") as second:
        entries = (
            entry(first, name="a", weight=9, apiKey="key-of-a-123456", customHeaders={"X-A": "1"}),
            entry(second, name="b", apiKey="key-of-b-123456", customHeaders={"X-B": "2"}),
        )
        async with open_gateway(settings_for(*entries)) as gateway:
            assert (await put(gateway, ask())).receipt.endpoint == "b"
    assert {seen.headers["authorization"] for seen in first.chats} == {"Bearer key-of-a-123456"}
    assert {seen.headers["authorization"] for seen in second.chats} == {"Bearer key-of-b-123456"}
    for stub, sent in ((first, ("1", None)), (second, (None, "2"))):
        (seen,) = stub.chats
        assert (seen.headers.get("x-a"), seen.headers.get("x-b")) == sent


@pytest.mark.parametrize("name", ["redirects_302", "redirects_307"])
async def test_follows_no_endpoint_to_another_host(name: str) -> None:
    async with pair(name) as (gateway, bad, _):
        await put(gateway, ask())
    assert all("/stolen" not in seen.path for seen in bad.requests)


async def test_lets_an_endpoint_join_that_was_down_at_the_start() -> None:
    async with (
        StubEndpoint(listening=False) as late,
        open_gateway(settings_for(entry(late, models=None))) as gateway,
    ):
        with pytest.raises((NoEndpoint, UnknownModel)):
            await put(gateway, ask())
        await late.listen()
        await gateway.discover()
        assert (await put(gateway, ask())).text == wire.TEXT
        (status,) = gateway.endpoints()
    assert status.models is not None
    assert [model.id for model in status.models] == ["m"]


@pytest.mark.parametrize(
    "name", ["hangs_before_headers", "html_with_200", "broken_json", "closed_port"]
)
async def test_starts_in_spite_of_an_endpoint_that_cannot_list_its_models(name: str) -> None:
    async with StubEndpoint(name, everywhere=True) as bad, StubEndpoint() as good:
        entries = entry(bad, models=None, weight=9), entry(good, models=None)
        async with open_gateway(settings_for(*entries)) as gateway, asyncio.timeout(15):
            assert (await put(gateway, ask())).text == wire.TEXT


# ---- many at once ----


async def test_keeps_two_hundred_streams_apart() -> None:
    questions = [f"№{number} 👩‍🚀 {'abcdefghij' * 8} {number * 7919}" for number in range(200)]
    before = asyncio.all_tasks()
    async with StubEndpoint("echoes") as one, StubEndpoint("echoes") as two:
        entries = entry(one, name="one", weight=2), entry(two, name="two")
        settings = settings_for(*entries, FIRST_TOKEN_TIMEOUT=30, IDLE_TIMEOUT=30)
        async with open_gateway(settings) as gateway:
            replies = await asyncio.gather(*(put(gateway, ask(text)) for text in questions))
            assert [status.in_flight for status in gateway.endpoints()] == [0, 0]
        await one.wait_for_idle()
        await two.wait_for_idle()
        assert one.max_connections > 50
    assert [reply.text for reply in replies] == questions
    assert all(len(reply.receipt.attempts) == 1 for reply in replies)
    assert abs(len(one.chats) - 2 * len(two.chats)) <= 2
    assert asyncio.all_tasks() == before


async def test_leaves_no_task_behind_whatever_happened() -> None:
    before = asyncio.all_tasks()
    async with pair("hangs_before_headers") as (gateway, bad, _):
        task = asyncio.create_task(put(gateway, ask()))
        await bad.wait_for_requests()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await put(gateway, ask())
    assert asyncio.all_tasks() == before
