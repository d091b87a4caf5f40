"""Python functions as endpoints: every kind of function, through the gateway."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any

import pytest

import akash_gradio as ag
from akash_gradio.domain.chat import ChatRequest, Conversation, Role, Sampling, Turn
from akash_gradio.domain.errors import AllEndpointsFailed, ReplyInterrupted
from akash_gradio.domain.events import (
    Event,
    Finished,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from akash_gradio.domain.receipt import Receipt
from akash_gradio.gateway import Gateway, PassthroughRequest
from akash_gradio.gateway.callables.function import inspect_function


def request(model: str, text: str = "Hi", **sampling: Any) -> ChatRequest:
    conversation = Conversation(turns=(Turn(role=Role.USER, content=text),), system="Be brief.")
    return ChatRequest(model=model, conversation=conversation, sampling=Sampling(**sampling))


async def ask(target: Any, **sampling: Any) -> list[Event]:
    gateway = ag.open_gateway(target, retry_attempts=0)
    async with gateway:
        (model,) = gateway.endpoints()[0].models or ()
        return [event async for event in gateway.stream(request(model.id, **sampling))]


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def receipt_of(events: list[Event]) -> Receipt:
    (finished,) = [event for event in events if isinstance(event, Finished)]
    return finished.receipt


def returns(messages: Any) -> str:
    return f"{len(messages)} messages"


def yields(messages: Any) -> Iterator[str]:
    yield f"{len(messages)} "
    yield "messages"


async def returns_async(messages: Any) -> str:
    return f"{len(messages)} messages"


async def yields_async(messages: Any) -> AsyncIterator[str]:
    yield f"{len(messages)} "
    await asyncio.sleep(0)
    yield "messages"


def returns_iterator(messages: Any) -> Iterator[str]:
    return iter([f"{len(messages)} ", "messages"])


async def returns_async_iterator(messages: Any) -> AsyncIterator[str]:
    return yields_async(messages)


class PlainCallable:
    def __call__(self, messages: Any) -> Iterator[str]:
        return yields(messages)


class AsyncCallable:
    async def __call__(self, messages: Any) -> AsyncIterator[str]:
        for part in (f"{len(messages)} ", "messages"):
            yield part


class Bound:
    def reply(self, messages: Any) -> str:
        return returns(messages)


KINDS = [
    returns,
    yields,
    returns_async,
    yields_async,
    returns_iterator,
    returns_async_iterator,
    PlainCallable(),
    AsyncCallable(),
    Bound().reply,
    functools.partial(lambda prefix, messages: returns(messages), "x"),
    lambda messages: returns(messages),
]


@pytest.mark.parametrize("function", KINDS)
async def test_every_kind_of_function_answers(function: Any) -> None:
    events = await ask(function)
    assert text_of(events) == "2 messages"
    receipt = receipt_of(events)
    assert (receipt.finish, receipt.attempts[0].outcome) == ("stop", "ok")


async def test_only_parameters_of_the_signature_are_passed_and_on_the_receipt() -> None:
    seen: dict[str, Any] = {}

    def reply(messages: Any, *, temperature: float | None = None, seed: int | None = None) -> str:
        seen.update(temperature=temperature, seed=seed)
        return "ok"

    events = await ask(reply, temperature=0.0, top_p=0.5, max_tokens=7)
    assert seen == {"temperature": 0.0, "seed": None}
    assert dict(receipt_of(events).sent) == {"temperature": 0.0}


async def test_a_parameter_without_a_default_is_none_when_a_request_sets_none() -> None:
    def reply(messages: Any, temperature: float | None, stop: Any) -> str:
        return f"{temperature} {stop}"

    assert text_of(await ask(reply, stop=("END",))) == "None ['END']"


async def test_keyword_arguments_receive_every_field_of_the_request() -> None:
    def reply(messages: Any, **fields: Any) -> str:
        return ",".join(sorted(fields))

    assert text_of(await ask(reply, temperature=1.0, top_p=0.5)) == "model,temperature,top_p"


async def test_reasoning_usage_tools_and_finish_reason_can_be_yielded() -> None:
    def reply(messages: Any) -> Iterator[Any]:
        yield {"reasoning": "Let me see. "}
        yield None
        yield {"content": "Calling."}
        yield {"tool_calls": [{"name": "weather", "arguments": {"city": "Oslo"}}]}
        yield {"usage": {"prompt_tokens": 5, "completion_tokens": 3}}

    events = await ask(reply)
    assert ReasoningDelta("Let me see. ") in events
    calls = [event for event in events if isinstance(event, ToolCallDelta)]
    assert "".join(call.name for call in calls) == "weather"
    assert "".join(call.arguments for call in calls) == '{"city": "Oslo"}'
    assert any(isinstance(event, Usage) and event.completion_tokens == 3 for event in events)
    receipt = receipt_of(events)
    assert receipt.finish == "tool_calls"
    assert receipt.tokens_out is not None
    assert receipt.tokens_out.reported


async def test_chat_interface_functions_receive_a_history_and_yield_the_text_so_far() -> None:
    seen: list[Any] = []

    def reply(message: str, history: list[dict[str, Any]]) -> Iterator[str]:
        seen.append((message, [turn["role"] for turn in history]))
        for end in range(1, 6):
            yield "Hello"[:end]

    events = await ask(reply)
    assert text_of(events) == "Hello"
    assert seen == [("Hi", ["system"])]


async def test_a_placeholder_that_is_replaced_becomes_a_paragraph_of_its_own() -> None:
    async def reply(message: str, history: Any) -> AsyncIterator[Any]:
        yield "Thinking…"
        yield {"role": "assistant", "content": "Done"}
        yield {"role": "assistant", "content": "Done."}

    assert text_of(await ask(reply)) == "Thinking…\n\nDone."


@pytest.mark.parametrize(
    "item",
    [7, b"bytes", {"text": "x"}, object(), {"content": "x", "tool_calls": [{"id": object()}]}],
)
async def test_a_yield_that_is_no_answer_is_an_error_that_names_it(
    item: object, caplog: pytest.LogCaptureFixture
) -> None:
    def reply(messages: Any) -> Iterator[Any]:
        yield item

    with pytest.raises(AllEndpointsFailed):
        await ask(reply)
    assert "TypeError" in caplog.text


async def test_an_exception_before_the_first_yield_fails_over_in_both_directions() -> None:
    def broken(messages: Any) -> Iterator[str]:
        raise ValueError("secret detail")
        yield ""

    endpoints = [
        ag.Endpoint(broken, models=["m"], name="broken"),
        ag.Endpoint(returns, models=["m"], name="works", priority=2),
    ]
    async with ag.open_gateway(endpoints) as gateway:
        events = [event async for event in gateway.stream(request("m"))]
    assert text_of(events) == "2 messages"
    assert [a.endpoint for a in receipt_of(events).attempts] == ["broken", "works"]
    assert "secret detail" not in repr(events)


async def test_an_exception_after_the_first_yield_interrupts_the_answer() -> None:
    def reply(messages: Any) -> Iterator[str]:
        yield "Half"
        raise RuntimeError("secret detail")

    events: list[Event] = []

    async def read() -> None:
        async with ag.open_gateway(reply) as gateway:
            async for event in gateway.stream(request("reply")):
                events.append(event)  # noqa: PERF401 an error must not lose them

    with pytest.raises(ReplyInterrupted) as raised:
        await read()
    assert text_of(events) == "Half"
    assert "secret detail" not in str(raised.value) + repr(raised.value.receipt)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 threads set no asyncio.Event
            await asyncio.sleep(0.005)


async def test_stop_closes_a_sync_generator_at_its_next_yield() -> None:
    closed = threading.Event()

    def reply(messages: Any) -> Iterator[str]:
        try:
            while True:
                yield "word "
                time.sleep(0.001)
        finally:
            closed.set()

    async with ag.open_gateway(reply) as gateway:
        async with aclosing(gateway.stream(request("reply"))) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    break
        await _until(closed.is_set)


async def test_stop_cancels_an_async_generator_at_once() -> None:
    closed: list[bool] = []

    async def reply(messages: Any) -> AsyncIterator[str]:
        try:
            yield "word "
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    async with ag.open_gateway(reply) as gateway:
        async with aclosing(gateway.stream(request("reply"))) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    break
        await _until(lambda: bool(closed))


async def test_a_slot_is_occupied_until_a_stopped_function_has_ended() -> None:
    release, started = threading.Event(), threading.Event()

    def reply(messages: Any) -> str:
        started.set()
        release.wait(10)
        return "late"

    async with ag.open_gateway(ag.Endpoint(reply, max_concurrency=1)) as gateway:
        task = asyncio.create_task(_drain(gateway))
        await _until(started.is_set)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert gateway.endpoints()[0].busy
        release.set()
        await _until(lambda: not gateway.endpoints()[0].busy)


async def _drain(gateway: Gateway) -> list[Event]:
    return [event async for event in gateway.stream(request("reply"))]


async def test_a_slow_function_does_not_delay_another_visitors_tokens() -> None:
    """A blocking function runs in a thread; the loop keeps its pace meanwhile."""
    started, release = threading.Event(), threading.Event()

    def slow(messages: Any) -> str:
        started.set()
        release.wait(10)
        return "slow"

    async def quick(messages: Any) -> AsyncIterator[str]:
        for _ in range(20):
            yield "word "
            await asyncio.sleep(0)

    async with ag.open_gateway([slow, quick]) as gateway:
        waiting = asyncio.create_task(_collect(gateway.stream(request("slow"))))
        await _until(started.is_set)
        events = await _collect(gateway.stream(request("quick")))
        assert not waiting.done()
        release.set()
        assert text_of(await waiting) == "slow"
    assert text_of(events) == "word " * 20


async def _collect(stream: Any) -> list[Event]:
    return [event async for event in stream]


async def test_a_function_that_is_faster_than_its_reader_waits() -> None:
    yielded = 0

    def reply(messages: Any) -> Iterator[str]:
        nonlocal yielded
        for _ in range(5000):
            yielded += 1
            yield "word "

    async with (
        ag.open_gateway(reply) as gateway,
        aclosing(gateway.stream(request("reply"))) as events,
    ):
        async for event in events:
            if isinstance(event, TextDelta):
                break
        before = -1
        while before != yielded:
            before = yielded
            await asyncio.sleep(0.05)
        assert yielded < 5000
        rest = [event async for event in events]
    assert isinstance(rest[-1], Finished)
    assert yielded == 5000


@pytest.mark.parametrize("stream", [True, False])
async def test_v1_receives_a_stream_or_a_whole_completion(stream: bool) -> None:
    body = {"model": "yields", "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
    async with ag.open_gateway(yields) as gateway:
        passed = [
            item
            async for item in gateway.passthrough(PassthroughRequest(model="yields", body=body))
            if isinstance(item, bytes)
        ]
    assert b"messages" in b"".join(passed)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (7, "neither a URL nor a function"),
        (lambda: "x", "takes no messages"),
        (lambda messages, depth: "x", "'depth'"),
        (vars, "no signature"),
    ],
)
def test_a_function_that_cannot_be_used_is_refused_in_one_line(target: Any, message: str) -> None:
    with pytest.raises(ag.ConfigurationError) as raised:
        ag.Endpoint(target)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_functions_name_is_its_models_id() -> None:
    assert inspect_function(yields).name == "yields"
    assert inspect_function(lambda messages: "x").name == "model"
    assert inspect_function(functools.partial(yields)).name == "yields"
