"""Endpoints that are correct except for one fault, and the finding that reports it.

`tests.stubs.behaviors` has unusual streams and failures; these differ in how they handle requests.
"""

from __future__ import annotations

import asyncio
import html
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from akash_gradio.check.probes.concurrency import PARALLEL_REQUESTS, PARALLEL_TOKENS
from akash_gradio.domain.model import ModelCard
from tests.check.helpers import Clock
from tests.stubs.behavior import Handler
from tests.stubs.compliant import REPEAT_PROMPT, answer_to, compliant
from tests.stubs.endpoint import Exchange
from tests.stubs.wire import (
    DONE,
    completion,
    error,
    finish_event,
    model_list,
    role_event,
    text_event,
    to_json,
)

COMPLIANT = compliant().handler


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirk:
    """An endpoint with one fault.

    Attributes:
        handler: Responds to chat requests.
        finding: The only code that a check must report.
        stub: Arguments for `StubEndpoint`.
        target: Arguments for `target`.
        card: The model's catalog entry.
    """

    handler: Handler
    finding: str
    stub: dict[str, Any] = field(default_factory=dict)
    target: dict[str, Any] = field(default_factory=dict)
    card: ModelCard | None = None


QUIRKS: dict[str, Quirk] = {}


def quirk(finding: str, **options: Any) -> Callable[[Handler], Handler]:
    def add(handler: Handler) -> Handler:
        QUIRKS[handler.__name__] = Quirk(handler=handler, finding=finding, **options)
        return handler

    return add


def refuses(finding: str, when: Callable[[dict[str, Any]], bool], status: int = 400) -> None:
    """Add an endpoint that refuses certain requests."""

    async def handler(x: Exchange) -> None:
        if x.request.method == "POST" and when(x.request.json):
            await x.reply(to_json(error("unsupported request", "invalid_request_error")), status)
        else:
            await COMPLIANT(x)

    QUIRKS[f"refuses {finding}"] = Quirk(handler=handler, finding=finding)


def changes_answer(finding: str, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
    """Add an endpoint whose answers without streaming are changed by `change(answer, request)`."""

    async def handler(x: Exchange) -> None:
        body = x.request.json
        if body.get("stream") or len(x.request.body) > 10_000:
            return await COMPLIANT(x)
        answer = answer_to(body)
        change(answer, body)
        return await x.reply(to_json(answer))

    QUIRKS[f"changes answer {finding}"] = Quirk(handler=handler, finding=finding)


def last_text(body: dict[str, Any]) -> str:
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else ""


def changes_emoji(change: Callable[[str], str]) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    def apply(answer: dict[str, Any], body: dict[str, Any]) -> None:
        if "emoji" not in last_text(body) and "👩" in last_text(body):
            answer["choices"][0]["message"]["content"] = change(
                last_text(body).removeprefix(REPEAT_PROMPT)
            )

    return apply


refuses(
    "temperature-0.refused",
    lambda b: b.get("temperature") == 0 and REPEAT_PROMPT not in last_text(b),
)
refuses("top-p.refused", lambda b: b.get("top_p") == 0)
refuses("system-role.refused", lambda b: b["messages"][0]["role"] == "system")
refuses("turns.refused", lambda b: len(b["messages"]) == 3)
refuses("seed.refused", lambda b: "seed" in b)
refuses("stop.refused", lambda b: "stop" in b)
refuses("unknown-field.refused", lambda b: "akash_gradio_check" in b)
refuses("control-characters.refused", lambda b: "\u0001" in last_text(b))
refuses("long-message.too_large", lambda b: len(last_text(b)) > 100_000, 413)
refuses("long-message.failed", lambda b: len(last_text(b)) > 100_000, 502)
refuses("overflow.unclear", lambda b: last_text(b).startswith("1 2 3"))
refuses("overflow.failed", lambda b: last_text(b).startswith("1 2 3"), 500)
refuses("max-tokens.failed", lambda b: b.get("max_tokens") == 4 and not b["stream"], 500)
refuses("usage-unasked.failed", lambda b: b.get("max_tokens") == 8 and b["stream"], 500)

changes_answer("plain-shape.role", lambda a, _: a["choices"][0]["message"].update(role="bot"))
changes_answer("plain-shape.no_finish", lambda a, _: a["choices"][0].update(finish_reason=None))
changes_answer("plain-shape.fields", lambda a, _: a.pop("id"))
changes_answer("plain-usage.missing", lambda a, _: a.pop("usage"))
changes_answer("emoji.misread", changes_emoji(lambda text: text.encode().decode("latin-1")))
changes_answer("emoji.lost", changes_emoji(lambda text: text.encode("ascii", "replace").decode()))


def ignore_stop(answer: dict[str, Any], body: dict[str, Any]) -> None:
    if body.get("stop"):
        answer.update(answer_to({**body, "stop": []}))


def ignore_max_tokens(answer: dict[str, Any], body: dict[str, Any]) -> None:
    if body.get("max_tokens") == 4:
        answer.update(completion())


def escape_html(answer: dict[str, Any], body: dict[str, Any]) -> None:
    message = answer["choices"][0]["message"]
    if REPEAT_PROMPT in last_text(body):
        message["content"] = html.escape(message["content"], quote=False)


_numbers = itertools.count()


def ignore_seed(answer: dict[str, Any], body: dict[str, Any]) -> None:
    if "seed" in body:
        answer["choices"][0]["message"]["content"] = f"The lighthouse {next(_numbers)}"


changes_answer("stop.ignored", ignore_stop)
changes_answer("max-tokens.ignored", ignore_max_tokens)
changes_answer("code-fences.escaped", escape_html)
changes_answer("seed.differs", ignore_seed)


@quirk("plain.streamed_unasked")
async def streams_always(x: Exchange) -> None:
    await compliant().handler(_streaming(x))


def _streaming(x: Exchange) -> Exchange:
    """Change the request as if it had asked for a stream."""
    return _with_body(x, {**x.request.json, "stream": True})


def _with_body(x: Exchange, body: dict[str, Any]) -> Exchange:
    x.request = replace(x.request, body=to_json(body))
    return x


@quirk("usage-unasked.unasked")
async def counts_unasked(x: Exchange) -> None:
    body = x.request.json
    if body.get("stream"):
        x = _with_body(x, {**body, "stream_options": {"include_usage": True}})
    await COMPLIANT(x)


@quirk("model-listed.not_listed", stub={"models": ("other",)})
async def has_another_model(x: Exchange) -> None:
    await COMPLIANT(x)


@quirk("model-listed.near", stub={"models": ("m-7b",)}, target={"models": ["m"]})
async def has_a_longer_model_name(x: Exchange) -> None:
    await COMPLIANT(x)


def lists(finding: str, body: object, status: int = 200) -> None:
    """Add an endpoint with this response to `/models`."""

    async def handler(x: Exchange) -> None:
        if x.request.path.endswith("/models"):
            await x.reply(to_json(body), status)
        else:
            await COMPLIANT(x)

    QUIRKS[f"lists {finding} {status}"] = Quirk(
        handler=handler, finding=finding, stub={"everywhere": True}
    )


lists("models.missing", error("not found"), 404)
lists("models.failed", error("broken"), 500)
lists("models.shape", {"hello": "world"})
lists("models.other_shape", [{"id": "m", "context_length": 8192}])
lists("models.empty", {"object": "list", "data": []})


@quirk("overflow.answered")
async def truncates_silently(x: Exchange) -> None:
    if last_text(x.request.json).startswith("1 2 3"):
        await x.reply(to_json(completion("Yes.")))
    else:
        await COMPLIANT(x)


@quirk("overflow.catalog", card=ModelCard(id="m", name="M", token_limit=32_768))
async def has_less_context_than_the_catalog(x: Exchange) -> None:
    await COMPLIANT(x)


@quirk("pictures.promised", card=ModelCard(id="m", name="M", vision=True))
async def accepts_no_pictures(x: Exchange) -> None:
    if isinstance(x.request.json["messages"][-1]["content"], list):
        await x.reply(to_json(error("no image input", "invalid_request_error")), 400)
    else:
        await COMPLIANT(x)


@quirk("key.missing", target={"apiKey": None})
async def requires_a_key(x: Exchange) -> None:
    await COMPLIANT(x)


@quirk("base-url.website", stub={"everywhere": True, "key": None})
async def is_a_website(x: Exchange) -> None:
    await x.reply(b"<!doctype html><title>Hi</title>", content_type="text/html")


@quirk("base-url.nowhere", stub={"everywhere": True, "key": None})
async def has_no_api(x: Exchange) -> None:
    await x.reply(to_json({"detail": "Not Found"}), 404)


@quirk("base-url.elsewhere", stub={"everywhere": True})
async def has_another_base_path(x: Exchange) -> None:
    if not x.request.path.startswith("/api/v1/"):
        await x.reply(to_json({"detail": "Not Found"}), 404)
    elif x.request.path.endswith("/models"):
        await x.reply(to_json(model_list(x.stub.models)))
    else:
        await COMPLIANT(x)


@quirk("plain.model_unknown", target={"models": ["m"]})
async def does_not_have_the_model(x: Exchange) -> None:
    await x.reply(to_json(error("The model `m` does not exist", "invalid_request_error")), 404)


@quirk("plain.starting")
async def is_loading_its_model(x: Exchange) -> None:
    await x.reply(to_json(error("Loading model", "unavailable_error")), 503)


@quirk("answers.no_http", stub={"everywhere": True, "key": None})
async def responds_with_tls(x: Exchange) -> None:
    await x.write(b"\x15\x03\x01\x00\x02\x02\x28\r\n\r\n")


class FiveInParallel:
    """Answers five of eight parallel requests and rejects the others."""

    def __init__(self) -> None:
        self.received, self.all_received = 0, asyncio.Event()

    async def __call__(self, x: Exchange) -> None:
        if not (x.request.json["stream"] and x.request.json["max_tokens"] == PARALLEL_TOKENS):
            return await COMPLIANT(x)
        self.received += 1
        if self.received == PARALLEL_REQUESTS:
            self.all_received.set()
        if self.received > 5:
            return await x.reply(to_json(error("Rate limit reached")), 429)
        await self.all_received.wait()
        return await COMPLIANT(x)


QUIRKS["answers five in parallel"] = Quirk(handler=FiveInParallel(), finding="at-once.busy")


def streams_at(clock: Clock, first_s: float, each_s: float, *, buffered: bool = False) -> Handler:
    """Stream at a speed by moving the clock; buffered, all text arrives at the end."""

    async def handler(x: Exchange) -> None:
        body = x.request.json
        if not body["stream"]:
            return await COMPLIANT(x)
        count = min(body.get("max_tokens", 16), 256)
        await x.open_stream()
        clock.now_s += first_s + (each_s * count if buffered else 0)
        for number in range(count):
            clock.now_s += 0 if buffered else each_s
            await x.send(text_event(f"{number} "))
            if not buffered:
                await asyncio.sleep(0.001)  # so that each is read separately
        await x.send(role_event() + finish_event() + DONE)
        return await x.end()

    return handler


def continues_after_disconnect(clock: Clock) -> Handler:
    """Continue an abandoned answer, and delay the next one meanwhile."""

    async def handler(x: Exchange) -> None:
        if x.request.json.get("max_tokens") == 400:
            await x.open_stream()
            await x.send(text_event("1"))
            clock.now_s += 1
            await x.hang()
        if x.request.json.get("max_tokens") == 4 and x.request.json["stream"]:
            clock.now_s += 5
        await COMPLIANT(x)

    return handler
