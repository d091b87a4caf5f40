"""Planted keys, headers, prompts and answers appear in no error, receipt or log line."""

from __future__ import annotations

import asyncio
import io
import logging
import traceback
from collections.abc import Callable, Coroutine, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, TypeAlias

import pytest

from akash_gradio.domain.chat import ChatRequest, Conversation, Role, Turn
from akash_gradio.domain.errors import (
    AkashGradioError,
    AllEndpointsFailed,
    EndpointRefused,
    RequestRefused,
)
from akash_gradio.domain.events import Event, ReasoningDelta, TextDelta
from akash_gradio.domain.model import ModelCard
from akash_gradio.gateway.gateway import Gateway, open_gateway
from tests.stubs import BEHAVIORS, Exchange, StubEndpoint, entry, settings_for, wire
from tests.stubs.behaviors import answer

KEY = "planted-key-without-a-shape"
HEADER = "planted-header-value-77"
CARD_HEADER = "planted-card-header-88"
PROMPT = "planted-prompt: my salary is 12345"
SYSTEM = "planted-system-prompt"
OLDER = "planted-older-turn"
ANSWER = ("planted-", "answer ", "of the endpoint")
EXTRA = "planted-extra-field"
SECRETS = (KEY, HEADER, CARD_HEADER, PROMPT, SYSTEM, OLDER, "".join(ANSWER), "planted-", EXTRA)

REQUEST = ChatRequest(
    model="m",
    conversation=Conversation(
        system=SYSTEM,
        turns=(
            Turn(role=Role.USER, content=OLDER),
            Turn(role=Role.ASSISTANT, content="planted-answer of before"),
            Turn(role=Role.USER, content=PROMPT),
        ),
    ),
    extra={"user": EXTRA},
)
Handler: TypeAlias = Callable[[Exchange], Coroutine[Any, Any, None]]
"""A behavior of a stub endpoint."""
CARD = ModelCard(id="m", name="M", custom_headers={"X-Card": CARD_HEADER})


def rejection_with_secrets(status: int) -> Handler:
    async def handle(x: Exchange) -> None:
        message = (
            f"Incorrect API key provided. {KEY} is unknown. Authorization: Bearer {KEY}, "
            f"x-planted: {HEADER}, x-card: {CARD_HEADER}"
        )
        await x.reply(wire.to_json(wire.error(message)), status)

    return handle


async def error_event_with_secrets(x: Exchange) -> None:
    await x.open_stream()
    await x.send(wire.event(wire.error(f"upstream said 401 for key {KEY}; {HEADER}")))
    await x.end()


async def interruption_with_secrets(x: Exchange) -> None:
    await x.open_stream()
    for token in ANSWER:
        await x.send(wire.text_event(token))
    await x.send(wire.event(wire.error(f"worker died: {KEY} {HEADER}")))
    await x.end()


async def rejection_event_with_secrets(x: Exchange) -> None:
    await x.open_stream()
    await x.send(wire.text_event("planted-answer"))
    await x.send(wire.event({"error": {"message": f"{KEY} {HEADER} {CARD_HEADER}", "code": 400}}))
    await x.end()


async def broken_json(x: Exchange) -> None:
    await x.open_stream()
    await x.send(b'data: {"choices": [{"delta": {"content": "planted-answer of' + b"\n\n")
    await x.end()


async def good_answer(x: Exchange) -> None:
    await answer(x, ANSWER)


@contextmanager
def capture_logs() -> Iterator[io.StringIO]:
    """Capture every log record at DEBUG, with its extra fields and traceback."""
    captured = io.StringIO()

    class CapturingHandler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            error = record.exc_info[1] if record.exc_info else None
            trace = "".join(traceback.format_exception(error)) if error else ""
            captured.write(f"{record.getMessage()} {record.__dict__!r} {trace}\n")

    root, handler = logging.getLogger(), CapturingHandler(logging.DEBUG)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield captured
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


async def visible_output(gateway: Gateway) -> str:
    """Return all output beside the answer itself: events, receipts, errors and their causes."""
    parts: list[str] = []
    try:
        async with aclosing(gateway.stream(REQUEST)) as events:
            parts.extend([without_text(event) async for event in events])
    except AkashGradioError as error:
        parts += [*traceback.format_exception(error), repr(error), repr(error.receipt)]
        parts += [repr(vars(cause)) for cause in causes(error)]
    return "\n".join([*parts, repr(gateway.endpoints()), repr(gateway)])


def without_text(event: Event) -> str:
    return type(event).__name__ if isinstance(event, TextDelta | ReasoningDelta) else repr(event)


def causes(error: BaseException | None) -> Iterator[BaseException]:
    if error is not None:
        yield error
        if isinstance(error, AllEndpointsFailed) and error.cause is not error.__cause__:
            yield error.cause
        yield from causes(error.__cause__)
        yield from causes(error.__context__)


def secrets_in(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


@pytest.mark.parametrize(
    "handler",
    [
        good_answer,
        error_event_with_secrets,
        interruption_with_secrets,
        rejection_event_with_secrets,
        broken_json,
        *(rejection_with_secrets(status) for status in (400, 401, 404, 413, 422, 429, 500)),
        *(
            BEHAVIORS[name].handler
            for name in ("closes_at_once", "hangs_after_role", "redirects_307")
        ),
        *(BEHAVIORS[name].handler for name in ("false_gzip_encoding", "not_http", "html_with_200")),
    ],
)
async def test_no_planted_secret_is_shown(handler: Handler) -> None:
    with capture_logs() as logged:
        async with StubEndpoint(handler, key=KEY) as stub:
            first = entry(stub, apiKey=KEY, customHeaders={"X-Planted": HEADER}, name="one")
            settings = settings_for(first, DEBUG="true", RETRY_ATTEMPTS=1)
            async with open_gateway(settings, cards={CARD.id: CARD}.get) as gateway:
                text = await visible_output(gateway)
            (seen, *_) = stub.chats
    text += repr(settings) + str(settings) + repr(settings.endpoints) + repr(CARD)
    assert secrets_in(text) == []
    assert secrets_in(logged.getvalue()) == []
    # They were sent, so they could have leaked.
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert (seen.headers["x-planted"], seen.headers["x-card"]) == (HEADER, CARD_HEADER)
    assert PROMPT.encode() in seen.body
    assert EXTRA.encode() in seen.body


async def test_no_planted_secret_is_shown_after_a_cancelled_request() -> None:
    with capture_logs() as logged:
        async with StubEndpoint("hangs_after_role", key=KEY) as stub:
            first = entry(stub, apiKey=KEY, customHeaders={"X-Planted": HEADER})
            settings = settings_for(first, DEBUG="true", FIRST_TOKEN_TIMEOUT=30)
            async with open_gateway(settings, cards={CARD.id: CARD}.get) as gateway:
                running = asyncio.create_task(visible_output(gateway))
                await stub.wait_for_requests()
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                text = repr(gateway.endpoints())
    assert secrets_in(text + logged.getvalue()) == []


async def test_no_planted_secret_is_shown_during_discovery() -> None:
    with capture_logs() as logged:
        async with StubEndpoint(rejection_with_secrets(401), everywhere=True) as stub:
            first = entry(stub, models=None, apiKey=KEY, customHeaders={"X-Planted": HEADER})
            async with open_gateway(settings_for(first, DEBUG="true")) as gateway:
                await gateway.discover()
                text = await visible_output(gateway)
    assert stub.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert secrets_in(text + logged.getvalue()) == []


async def test_the_text_of_a_rejection_is_shown_without_the_key() -> None:
    async with (
        StubEndpoint(rejection_with_secrets(400)) as stub,
        open_gateway(settings_for(entry(stub, apiKey=KEY))) as gateway,
    ):
        with pytest.raises(AllEndpointsFailed) as raised:
            _ = [event async for event in gateway.stream(REQUEST)]
    cause = raised.value.cause
    assert isinstance(cause, EndpointRefused)
    assert "Incorrect API key provided" in cause.detail
    assert KEY not in cause.detail


@pytest.mark.parametrize("before", [500 - len(KEY) + 1, 480, 490])
async def test_no_part_of_a_key_is_shown_where_a_long_text_is_cut(before: int) -> None:
    async def handle(x: Exchange) -> None:
        await x.reply(wire.to_json(wire.error("~" * before + KEY)), 400)

    async with (
        StubEndpoint(handle) as stub,
        open_gateway(settings_for(entry(stub, apiKey=KEY))) as gateway,
    ):
        with pytest.raises(RequestRefused) as raised:
            await anext(gateway.stream(REQUEST))
    assert "~~~" in raised.value.detail
    assert KEY[:4] not in raised.value.detail


async def test_the_search_finds_a_planted_secret() -> None:
    with capture_logs() as logged:
        logging.getLogger("somewhere").debug("sent", extra={"header": f"Bearer {KEY}"})
    assert KEY in secrets_in(logged.getvalue())
