"""Behaviors that deviate from the protocol in ways that a person would still understand.

Each answers in its own way with and without `stream`. `tests/gateway/wire_corpus.py` has the
shapes of whole servers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from tests.stubs.behavior import BEHAVIORS, Behavior, Ending, Handler
from tests.stubs.endpoint import Exchange
from tests.stubs.wire import (
    DONE,
    REASONING,
    TEXT,
    TOKENS,
    chunk,
    completion,
    event,
    finish_event,
    role_event,
    stream_body,
    text_event,
    to_json,
)

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * (2 << 20)}}
ARGUMENTS = '{"text":"' + "x" * (3 << 20) + '"}'
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
LONG_CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": ARGUMENTS}}
PAUSE_S = 2.3
"""Longer than a call waits for the end after a finish reason."""


NAMES: set[str] = set()
"""The names of these behaviors: a strict client can't read them."""


def register(name: str, handler: Handler, **fields: Any) -> None:
    NAMES.add(name)
    BEHAVIORS[name] = Behavior(name=name, handler=handler, **fields)


def shape(
    *, whole: Callable[[], Mapping[str, Any]] = completion, ending: Ending = Ending.COMPLETE,
    **fields: Any,
) -> Callable[[Handler], Handler]:  # fmt: skip
    """Register a handler of streams; without `stream` the endpoint sends the JSON of `whole`."""

    def add(handler: Handler) -> Handler:
        async def respond(x: Exchange) -> None:
            if x.request.json.get("stream"):
                await handler(x)
            else:
                await x.reply(to_json(whole()))

        register(handler.__name__, respond, ending=ending, **fields)
        return handler

    return add


async def send(x: Exchange, *parts: bytes) -> None:
    """Send a stream, each part in a chunk of its own."""
    await x.open_stream()
    for part in parts:
        await x.send(part)
    await x.end()


def with_choice(**fields: Any) -> dict[str, Any]:
    """Return a completion with these fields in its choice."""
    value = completion()
    value["choices"][0] |= fields
    return value


# ---- kind 1: finish reasons beside or before the text ----


@shape()
async def finish_reason_beside_every_token(x: Exchange) -> None:
    await x.open_stream()
    for token in TOKENS:
        await x.send(event(chunk({"content": token}, "stop")))
        await asyncio.sleep(PAUSE_S / len(TOKENS))
    await x.send(DONE)
    await x.end()


@shape()
async def finish_reason_before_the_text(x: Exchange) -> None:
    await x.open_stream()
    await x.send(event(chunk({"role": "assistant", "content": ""}, "stop")))
    await asyncio.sleep(PAUSE_S)
    await x.send(stream_body())
    await x.end()


# ---- kind 2: other JSON than expected ----


@shape(whole=lambda: {**completion(), "choices": None}, ending=Ending.NO_FIRST_TOKEN,
       error="EndpointSilent")  # fmt: skip
async def null_choices(x: Exchange) -> None:
    await x.reply(to_json({**chunk({}), "choices": None}))


@shape()
async def choices_of_another_type(x: Exchange) -> None:
    values: tuple[Any, ...] = (
        None,
        5,
        {"a": 1},
        [None],
        ["x"],
        [{"delta": None}],
        [{"delta": {}}],
        [[]],
    )
    odd = [event({**chunk({}), "choices": choices}) for choices in values]
    await send(x, role_event(), *odd, *map(text_event, TOKENS), *odd, finish_event(), DONE)


# ---- kind 4: values of another type ----


@shape(text="4 + 2 = 6", whole_text="6", whole=lambda: with_choice(message={"content": 6}))
async def numbers_as_content(x: Exchange) -> None:
    tokens = [text_event("4 + "), event(chunk({"content": 2})), text_event(" = ")]
    await send(x, role_event(), *tokens, event(chunk({"content": 6})), finish_event(), DONE)


@shape(whole_text="6", whole=lambda: with_choice(message={"content": 6}), text="6")
async def number_alone(x: Exchange) -> None:
    await send(x, role_event(), event(chunk({"content": 6})), finish_event(), DONE)


@shape(text="", whole_text="", finish="tool_calls", calls=(("f", '{"a":1}'),),
       whole=lambda: with_choice(message={"content": None, "tool_calls": [CALL]},
                                 finish_reason="tool_calls"))  # fmt: skip
async def tool_call_with_index_minus_one(x: Exchange) -> None:
    first = {
        "index": -1,
        "id": "c1",
        "type": "function",
        "function": {"name": "f", "arguments": ""},
    }
    more = [{"index": -1, "function": {"arguments": part}} for part in ('{"a"', ":1}")]
    calls = [event(chunk({"tool_calls": [call]})) for call in (first, *more)]
    await send(x, role_event(), *calls, finish_event("tool_calls"), DONE)


# ---- kind 5: events that are no chunks ----


@shape()
async def pings_and_statuses_between_events(x: Exchange) -> None:
    status = event({"type": "status", "message": "Searching"})
    await x.open_stream()
    await x.send(status)
    for token in TOKENS:
        await x.send(b"data: ping\n\n" + text_event(token) + status)
    await x.send(finish_event() + DONE)
    await x.end()


async def done_after_a_completion(x: Exchange) -> None:
    content_type = "text/event-stream" if x.request.json.get("stream") else "application/json"
    await x.reply(to_json(completion()) + DONE, content_type=content_type)


register("done_after_a_completion", done_after_a_completion, ending=Ending.COMPLETE)


@shape()
async def no_empty_lines_between_events(x: Exchange) -> None:
    await send(x, stream_body().replace(b"\n\n", b"\n"))


# ---- kind 6: output that isn't text, and events of several MB ----


@shape(text="", whole_text="", media=True,
       whole=lambda: with_choice(message={"content": "", "images": [PICTURE]}))  # fmt: skip
async def picture_of_two_megabytes(x: Exchange) -> None:
    await send(x, role_event(), event(chunk({"images": [PICTURE]})), finish_event(), DONE)


@shape(text="", whole_text="", finish="tool_calls", calls=(("f", ARGUMENTS),),
       whole=lambda: with_choice(message={"content": None, "tool_calls": [LONG_CALL]},
                                 finish_reason="tool_calls"))  # fmt: skip
async def tool_call_of_three_megabytes(x: Exchange) -> None:
    call = event(chunk({"tool_calls": [{"index": 0, **LONG_CALL}]}))
    await send(x, role_event(), call, finish_event("tool_calls"), DONE)


# ---- kind 7: other fields of reasoning ----


@shape(reasoning="".join(REASONING))
async def reasoning_details(x: Exchange) -> None:
    thoughts = [
        event(chunk({"reasoning_details": [{"type": "reasoning.text", "text": text, "index": 0}]}))
        for text in REASONING
    ]
    await send(x, role_event(), *thoughts, *map(text_event, TOKENS), finish_event(), DONE)


# ---- kind 8: repetition ----


@shape()
async def message_after_the_deltas(x: Exchange) -> None:
    whole = {**chunk({}), "choices": [completion()["choices"][0]]}
    await send(x, role_event(), *map(text_event, TOKENS), event(whole), DONE)


@shape()
async def completion_after_the_deltas(x: Exchange) -> None:
    message = {"role": "assistant", "content": "\n" + TEXT}  # white space may differ
    whole = with_choice(message=message)
    await send(x, role_event(), *map(text_event, TOKENS), event(whole), DONE)


# ---- kind 9: finish reasons ----


@shape(finish="abort", whole=lambda: with_choice(finish_reason="abort"))
async def finish_reason_abort(x: Exchange) -> None:
    await send(x, role_event(), *map(text_event, TOKENS), finish_event("abort"), DONE)


@shape(finish="error", whole=lambda: with_choice(finish_reason="error"))
async def finish_reason_error(x: Exchange) -> None:
    await send(x, role_event(), *map(text_event, TOKENS), finish_event("error"), DONE)


@shape(ending=Ending.NO_FIRST_TOKEN, error="EndpointMalformed",
       whole=lambda: with_choice(message={"content": ""}, finish_reason="error"))  # fmt: skip
async def finish_reason_error_alone(x: Exchange) -> None:
    await send(x, role_event(), finish_event("error"), DONE)


# ---- kind 14: headers ----


async def encoding_utf_8(x: Exchange) -> None:
    if x.request.json.get("stream"):
        await x.open_stream(content_encoding="UTF-8")
        await x.send(stream_body())
        await x.end()
    else:
        await x.reply(to_json(completion()), content_encoding="UTF-8")


async def long_response_header(x: Exchange) -> None:
    long = "x" * 50_000
    if x.request.json.get("stream"):
        await x.open_stream(x_long=long)
        await x.send(stream_body())
        await x.end()
    else:
        await x.reply(to_json(completion()), x_long=long)


for _handler in (encoding_utf_8, long_response_header):
    register(_handler.__name__, _handler, ending=Ending.COMPLETE)
