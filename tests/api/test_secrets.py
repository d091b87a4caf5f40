"""Keys, headers, prompts and answers are planted everywhere, and nothing shown contains them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from akash_gradio.config.settings import Settings
from akash_gradio.domain.model import ModelCard
from akash_gradio.logs import build_log_handler
from tests.api.serving import LONG_TIMEOUTS, ReceivedResponse, serving
from tests.stubs import Exchange, StubEndpoint, entry, settings_for, wire

CALLER = "planted-key-of-a-caller"
PROXY = "planted-proxy-key-of-all"
WRONG = "planted-wrong-key"
UPSTREAM = "planted-key-of-the-endpoint"
HEADER = "planted-header-value-77"
CARD = "planted-card-header-88"
PROMPT = "planted-prompt: my salary is 12345"
ANSWER = ("planted-", "answer")
SECRETS = (CALLER, PROXY, WRONG, UPSTREAM, HEADER, CARD, PROMPT, "planted-answer", "planted-")
ALL_SECRETS_TEXT = (
    f"key {UPSTREAM}, Authorization: Bearer {UPSTREAM}, x-planted: {HEADER}, x-card: {CARD}"
)


async def answer(x: Exchange) -> None:
    await x.open_stream()
    for token in ANSWER:
        await x.send(wire.text_event(token))
    await x.send(wire.finish_event() + wire.DONE)
    await x.end()


async def refuse_with_secrets(x: Exchange) -> None:
    await x.reply(wire.to_json(wire.error(ALL_SECRETS_TEXT)), 400)


async def fail_with_secrets(x: Exchange) -> None:
    await x.reply(wire.to_json(wire.error(ALL_SECRETS_TEXT)), 401)


async def interrupt_with_secrets(x: Exchange) -> None:
    await x.open_stream()
    await x.send(wire.text_event("a"))
    await x.send(wire.event(wire.error(ALL_SECRETS_TEXT)))
    await x.end()


async def malformed_json_around_the_answer(x: Exchange) -> None:
    await x.open_stream()
    await x.send(wire.text_event("a"))
    await x.send(b'data: {"choices": [{"delta": {"content": "planted-answer of\n\n')
    await x.end()


@contextmanager
def everything_logged(settings: Settings) -> Iterator[io.StringIO]:
    """Collect all logs at DEBUG: through the server's handler, and unfiltered with all fields."""
    out = io.StringIO()

    class Unfiltered(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            out.write(f"{record.getMessage()} {record.__dict__!r}\n")

    root, handlers = (
        logging.getLogger(),
        [build_log_handler(settings, out), Unfiltered(logging.DEBUG)],
    )
    package = logging.getLogger("akash_gradio")
    before = root.level, package.level
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    package.setLevel(logging.DEBUG)
    try:
        yield out
    finally:
        for handler in handlers:
            root.removeHandler(handler)
        root.setLevel(before[0])
        package.setLevel(before[1])


@pytest.mark.parametrize(
    "handler",
    [
        answer,
        refuse_with_secrets,
        fail_with_secrets,
        interrupt_with_secrets,
        malformed_json_around_the_answer,
    ],
)
async def test_no_planted_secret_is_shown(
    handler: object, capfd: pytest.CaptureFixture[str]
) -> None:
    async with StubEndpoint(handler) as stub:
        only = entry(stub, apiKey=UPSTREAM, customHeaders={"X-Planted": HEADER})
        keys = json.dumps([{"name": "ann", "key": CALLER}])
        options = {"GATEWAY_API_KEYS": keys, "PROXY_API_KEY": PROXY, "RETRY_ATTEMPTS": 1}
        settings = settings_for(only, DEBUG=True, **options, **LONG_TIMEOUTS)
        card = ModelCard(id="m", name="M", custom_headers={"X-Card": CARD})
        shown: list[ReceivedResponse] = []
        with everything_logged(settings) as log:
            async with serving(settings, card) as served:
                body = {
                    "model": "m",
                    "stream": True,
                    "messages": [{"role": "user", "content": PROMPT}],
                    "user": PROMPT,
                }
                response = await served.ask(body, authorization=f"Bearer {CALLER}")
                shown.append(await served.ask(body, authorization=f"Bearer {WRONG}"))
                shown.append(await served.ask(b'{"' + PROMPT.encode()))
                shown.append(await served.get("/healthz"))
                shown.append(await served.get("/metrics"))
    assert stub.chats[0].headers["x-card"] == CARD  # the secrets were in use
    if handler is answer:
        assert b"planted-" in response.body
        response.chunks = []
    everything = [log.getvalue(), *capfd.readouterr()]
    for received in (response, *shown):
        everything += [received.body.decode(), repr(received.headers)]
    for secret in SECRETS:
        for text in everything:
            assert secret not in text
    assert "attempt.begun" in log.getvalue()


async def test_a_bug_is_logged_without_the_text_of_the_request() -> None:
    class Broken:
        def passthrough(self, request: object) -> object:
            raise ZeroDivisionError(PROMPT)

    async with StubEndpoint() as stub:
        settings = settings_for(entry(stub))
        with everything_logged(settings) as log:
            async with serving(settings) as served:
                served.gateway.passthrough = Broken().passthrough  # type: ignore[method-assign,assignment]
                response = await served.ask({"model": "m", "messages": [{"content": PROMPT}]})
    assert (response.status, response.error["type"]) == (500, "server_error")
    assert PROMPT not in log.getvalue()
    assert "ZeroDivisionError in passthrough" in log.getvalue()
