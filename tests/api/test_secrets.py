"""Keys, headers, prompts and answers are planted everywhere; nothing that is shown has them."""

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
WRONG = "planted-wrong-key-of-nobody"
UPSTREAM = "planted-key-of-the-endpoint"
HEADER = "planted-header-value-77"
CARD = "planted-card-header-88"
PROMPT = "planted-prompt: my salary is 12345"
ANSWER = ("planted-", "answer")
SECRETS = (CALLER, PROXY, WRONG, UPSTREAM, HEADER, CARD, PROMPT, "planted-answer", "planted-")
LOUD = f"key {UPSTREAM}, Authorization: Bearer {UPSTREAM}, x-planted: {HEADER}, x-card: {CARD}"


async def answers(x: Exchange) -> None:
    await x.open_stream()
    for token in ANSWER:
        await x.send(wire.text_event(token))
    await x.send(wire.finish_event() + wire.DONE)
    await x.end()


async def refuses_loudly(x: Exchange) -> None:
    await x.reply(wire.to_json(wire.error(LOUD)), 400)


async def fails_loudly(x: Exchange) -> None:
    await x.reply(wire.to_json(wire.error(LOUD)), 401)


async def breaks_off_loudly(x: Exchange) -> None:
    await x.open_stream()
    await x.send(wire.text_event("a"))
    await x.send(wire.event(wire.error(LOUD)))
    await x.end()


async def broken_json_around_it(x: Exchange) -> None:
    await x.open_stream()
    await x.send(wire.text_event("a"))
    await x.send(b'data: {"choices": [{"delta": {"content": "planted-answer of\n\n')
    await x.end()


@contextmanager
def everything_logged(settings: Settings) -> Iterator[io.StringIO]:
    """What every logger says at DEBUG: through our own handler, and bare with all its fields."""
    out = io.StringIO()

    class Bare(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            out.write(f"{record.getMessage()} {record.__dict__!r}\n")

    root, handlers = logging.getLogger(), [build_log_handler(settings, out), Bare(logging.DEBUG)]
    ours = logging.getLogger("akash_gradio")
    before = root.level, ours.level
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    ours.setLevel(logging.DEBUG)
    try:
        yield out
    finally:
        for handler in handlers:
            root.removeHandler(handler)
        root.setLevel(before[0])
        ours.setLevel(before[1])


@pytest.mark.parametrize(
    "act", [answers, refuses_loudly, fails_loudly, breaks_off_loudly, broken_json_around_it]
)
async def test_nothing_planted_is_shown(act: object, capfd: pytest.CaptureFixture[str]) -> None:
    async with StubEndpoint(act) as stub:
        given = entry(stub, apiKey=UPSTREAM, customHeaders={"X-Planted": HEADER})
        keys = json.dumps([{"name": "ann", "key": CALLER}])
        more = {"GATEWAY_API_KEYS": keys, "PROXY_API_KEY": PROXY, "RETRY_ATTEMPTS": 1}
        settings = settings_for(given, DEBUG=True, **more, **LONG_TIMEOUTS)
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
                said = await served.ask(body, authorization=f"Bearer {CALLER}")
                shown.append(await served.ask(body, authorization=f"Bearer {WRONG}"))
                shown.append(await served.ask(b'{"' + PROMPT.encode()))
                shown.append(await served.get("/healthz"))
                shown.append(await served.get("/metrics"))
    assert stub.chats[0].headers["x-card"] == CARD  # they were there to be found
    if act is answers:
        assert b"planted-" in said.body
        said.chunks = []
    everything = [log.getvalue(), *capfd.readouterr()]
    for each in (said, *shown):
        everything += [each.body.decode(), repr(each.headers)]
    for secret in SECRETS:
        for text in everything:
            assert secret not in text
    assert "attempt.begun" in log.getvalue()


async def test_a_mistake_of_ours_is_told_without_a_word_of_what_was_asked() -> None:
    class Broken:
        def passthrough(self, request: object) -> object:
            raise ZeroDivisionError(PROMPT)

    async with StubEndpoint() as stub:
        settings = settings_for(entry(stub))
        with everything_logged(settings) as log:
            async with serving(settings) as served:
                served.gateway.passthrough = Broken().passthrough  # type: ignore[method-assign,assignment]
                said = await served.ask({"model": "m", "messages": [{"content": PROMPT}]})
    assert (said.status, said.error["type"]) == (500, "server_error")
    assert PROMPT not in log.getvalue()
    assert "ZeroDivisionError in passthrough" in log.getvalue()
