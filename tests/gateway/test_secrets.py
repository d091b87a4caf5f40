"""Keys, headers, prompts and answers are planted everywhere; nothing that is shown has them."""

from __future__ import annotations

import asyncio
import io
import logging
import traceback
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from typing import Any

import pytest

from akash_gradio.domain.chat import ChatRequest, Conversation, Role, Turn
from akash_gradio.domain.errors import AkashGradioError, AllEndpointsFailed, RequestRefused
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
CARD = ModelCard(id="m", name="M", custom_headers={"X-Card": CARD_HEADER})


def refuses_loudly(status: int) -> Any:
    async def act(x: Exchange) -> None:
        told = (
            f"Incorrect API key provided. {KEY} is unknown. Authorization: Bearer {KEY}, "
            f"x-planted: {HEADER}, x-card: {CARD_HEADER}"
        )
        await x.reply(wire.to_json(wire.error(told)), status)

    return act


async def says_it_in_the_stream(x: Exchange) -> None:
    await x.open_stream()
    await x.send(wire.event(wire.error(f"upstream said 401 for key {KEY}; {HEADER}")))
    await x.end()


async def breaks_off_with_it(x: Exchange) -> None:
    await x.open_stream()
    for token in ANSWER:
        await x.send(wire.text_event(token))
    await x.send(wire.event(wire.error(f"worker died: {KEY} {HEADER}")))
    await x.end()


async def refuses_with_it_in_the_middle(x: Exchange) -> None:
    await x.open_stream()
    await x.send(wire.text_event("planted-answer"))
    await x.send(wire.event({"error": {"message": f"{KEY} {HEADER} {CARD_HEADER}", "code": 400}}))
    await x.end()


async def broken_json_around_it(x: Exchange) -> None:
    await x.open_stream()
    await x.send(b'data: {"choices": [{"delta": {"content": "planted-answer of' + b"\n\n")
    await x.end()


async def answers(x: Exchange) -> None:
    await answer(x, ANSWER)


@contextmanager
def everything_logged() -> Iterator[io.StringIO]:
    """What every logger says at DEBUG, with each record's extra fields and traceback."""
    out = io.StringIO()

    class Everything(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            error = record.exc_info[1] if record.exc_info else None
            told = "".join(traceback.format_exception(error)) if error else ""
            out.write(f"{record.getMessage()} {record.__dict__!r} {told}\n")

    root, handler = logging.getLogger(), Everything(logging.DEBUG)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield out
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


async def shown(gateway: Gateway) -> str:
    """All that comes out beside the answer itself: events, receipts, errors and their chain."""
    parts: list[str] = []
    try:
        async with aclosing(gateway.stream(REQUEST)) as events:
            async for event in events:
                parts += [without_words(event)]
    except AkashGradioError as error:
        parts += [*traceback.format_exception(error), repr(error), repr(error.receipt)]
        parts += [repr(vars(link)) for link in chain(error)]
    return "\n".join([*parts, repr(gateway.endpoints()), repr(gateway)])


def without_words(event: Event) -> str:
    return type(event).__name__ if isinstance(event, TextDelta | ReasoningDelta) else repr(event)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    if error is not None:
        yield error
        if isinstance(error, AllEndpointsFailed) and error.cause is not error.__cause__:
            yield error.cause
        yield from chain(error.__cause__)
        yield from chain(error.__context__)


def found(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


@pytest.mark.parametrize(
    "act",
    [
        answers,
        says_it_in_the_stream,
        breaks_off_with_it,
        refuses_with_it_in_the_middle,
        broken_json_around_it,
        *(refuses_loudly(status) for status in (400, 401, 404, 413, 422, 429, 500)),
        *(
            BEHAVIORS[name].handler
            for name in ("closes_at_once", "hangs_after_role", "redirects_307")
        ),
        *(BEHAVIORS[name].handler for name in ("false_gzip_encoding", "not_http", "html_with_200")),
    ],
)
async def test_shows_no_planted_secret(act: Any) -> None:
    with everything_logged() as logged:
        async with StubEndpoint(act, key=KEY) as stub:
            first = entry(stub, apiKey=KEY, customHeaders={"X-Planted": HEADER}, name="one")
            settings = settings_for(first, DEBUG="true", RETRY_ATTEMPTS=1)
            async with open_gateway(settings, cards={CARD.id: CARD}.get) as gateway:
                text = await shown(gateway)
            (seen, *_) = stub.chats
    text += repr(settings) + str(settings) + repr(settings.endpoints) + repr(CARD)
    assert found(text) == []
    assert found(logged.getvalue()) == []
    # They were sent, so there was something to leak.
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert (seen.headers["x-planted"], seen.headers["x-card"]) == (HEADER, CARD_HEADER)
    assert PROMPT.encode() in seen.body
    assert EXTRA.encode() in seen.body


async def test_shows_no_planted_secret_after_a_cancelled_question() -> None:
    with everything_logged() as logged:
        async with StubEndpoint("hangs_after_role", key=KEY) as stub:
            first = entry(stub, apiKey=KEY, customHeaders={"X-Planted": HEADER})
            settings = settings_for(first, DEBUG="true", FIRST_TOKEN_TIMEOUT=30)
            async with open_gateway(settings, cards={CARD.id: CARD}.get) as gateway:
                asking = asyncio.create_task(shown(gateway))
                await stub.wait_for_requests()
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
                text = repr(gateway.endpoints())
    assert found(text + logged.getvalue()) == []


async def test_shows_no_planted_secret_while_discovering() -> None:
    async def refuses(x: Exchange) -> None:
        await refuses_loudly(401)(x)

    with everything_logged() as logged:
        async with StubEndpoint(refuses, everywhere=True) as stub:
            first = entry(stub, models=None, apiKey=KEY, customHeaders={"X-Planted": HEADER})
            async with open_gateway(settings_for(first, DEBUG="true")) as gateway:
                await gateway.discover()
                text = await shown(gateway)
    assert stub.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert found(text + logged.getvalue()) == []


async def test_tells_the_words_of_a_refusal_without_the_key_in_them() -> None:
    async with (
        StubEndpoint(refuses_loudly(400)) as stub,
        open_gateway(settings_for(entry(stub, apiKey=KEY))) as gateway,
    ):
        with pytest.raises(RequestRefused) as raised:
            await anext(gateway.stream(REQUEST))
    assert "Incorrect API key provided" in raised.value.detail
    assert KEY not in raised.value.detail


@pytest.mark.parametrize("before", [500 - len(KEY) + 1, 480, 490])
async def test_shows_no_half_of_a_key_where_long_words_are_cut(before: int) -> None:
    async def act(x: Exchange) -> None:
        await x.reply(wire.to_json(wire.error("~" * before + KEY)), 400)

    async with (
        StubEndpoint(act) as stub,
        open_gateway(settings_for(entry(stub, apiKey=KEY))) as gateway,
    ):
        with pytest.raises(RequestRefused) as raised:
            await anext(gateway.stream(REQUEST))
    assert "~~~" in raised.value.detail
    assert KEY[:4] not in raised.value.detail


async def test_finds_what_it_looks_for() -> None:
    with everything_logged() as logged:
        logging.getLogger("somewhere").debug("sent", extra={"header": f"Bearer {KEY}"})
    assert KEY in found(logged.getvalue())
