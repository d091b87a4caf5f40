"""Endpoints that do all that is asked of them but for one thing, which `finds` names.

`tests.stubs.behaviors` has those whose streams are odd; these are odd in what they do.
"""

from __future__ import annotations

import asyncio
import html
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from akash_gradio.check.probes.concurrency import AT_ONCE, AT_ONCE_TOKENS
from akash_gradio.domain.model import ModelCard
from tests.check.helpers import Clock
from tests.stubs.compliant import MARK, answer_to, compliant
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

Act = Callable[[Exchange], Coroutine[Any, Any, None]]
WELL = compliant().handler


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirk:
    """finds: the one code that is blamed. stub, target, card: how they are set up for it."""

    handler: Act
    finds: str
    stub: dict[str, Any] = field(default_factory=dict)
    target: dict[str, Any] = field(default_factory=dict)
    card: ModelCard | None = None


QUIRKS: dict[str, Quirk] = {}


def quirk(finds: str, **more: Any) -> Callable[[Act], Act]:
    def add(act: Act) -> Act:
        QUIRKS[act.__name__] = Quirk(handler=act, finds=finds, **more)
        return act

    return add


def refuses(finds: str, when: Callable[[dict[str, Any]], bool], status: int = 400) -> None:
    """An endpoint that says no to such requests and is well otherwise."""

    async def act(x: Exchange) -> None:
        if x.request.method == "POST" and when(x.request.json):
            await x.reply(to_json(error("not like this", "invalid_request_error")), status)
        else:
            await WELL(x)

    QUIRKS[f"refuses {finds}"] = Quirk(handler=act, finds=finds)


def plainly(finds: str, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
    """An endpoint whose plain answers differ by a change of (answer, request)."""

    async def act(x: Exchange) -> None:
        body = x.request.json
        if body.get("stream") or len(x.request.body) > 10_000:
            return await WELL(x)
        answer = answer_to(body)
        change(answer, body)
        return await x.reply(to_json(answer))

    QUIRKS[f"plainly {finds}"] = Quirk(handler=act, finds=finds)


def said(body: dict[str, Any]) -> str:
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else ""


def says_instead(change: Callable[[str], str]) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    def swap(answer: dict[str, Any], body: dict[str, Any]) -> None:
        if "emoji" not in said(body) and "👩" in said(body):
            answer["choices"][0]["message"]["content"] = change(said(body).removeprefix(MARK))

    return swap


refuses("temperature-0.refused", lambda b: b.get("temperature") == 0 and MARK not in said(b))
refuses("top-p.refused", lambda b: b.get("top_p") == 0)
refuses("system-role.refused", lambda b: b["messages"][0]["role"] == "system")
refuses("turns.refused", lambda b: len(b["messages"]) == 3)
refuses("seed.refused", lambda b: "seed" in b)
refuses("stop.refused", lambda b: "stop" in b)
refuses("unknown-field.refused", lambda b: "akash_gradio_check" in b)
refuses("control-characters.refused", lambda b: "\u0001" in said(b))
refuses("long-message.too_large", lambda b: len(said(b)) > 100_000, 413)
refuses("long-message.failed", lambda b: len(said(b)) > 100_000, 502)
refuses("overflow.unclear", lambda b: said(b).startswith("1 2 3"))
refuses("overflow.failed", lambda b: said(b).startswith("1 2 3"), 500)
refuses("max-tokens.failed", lambda b: b.get("max_tokens") == 4 and not b["stream"], 500)
refuses("usage-unasked.failed", lambda b: b.get("max_tokens") == 8 and b["stream"], 500)

plainly("plain-shape.role", lambda a, _: a["choices"][0]["message"].update(role="bot"))
plainly("plain-shape.no_finish", lambda a, _: a["choices"][0].update(finish_reason=None))
plainly("plain-shape.fields", lambda a, _: a.pop("id"))
plainly("plain-usage.missing", lambda a, _: a.pop("usage"))
plainly("emoji.misread", says_instead(lambda text: text.encode().decode("latin-1")))
plainly("emoji.lost", says_instead(lambda text: text.encode("ascii", "replace").decode()))


def unstopped(answer: dict[str, Any], body: dict[str, Any]) -> None:
    if body.get("stop"):
        answer.update(answer_to({**body, "stop": []}))


def unlimited(answer: dict[str, Any], body: dict[str, Any]) -> None:
    if body.get("max_tokens") == 4:
        answer.update(completion())


def escaped(answer: dict[str, Any], body: dict[str, Any]) -> None:
    message = answer["choices"][0]["message"]
    if MARK in said(body):
        message["content"] = html.escape(message["content"], quote=False)


plainly("stop.ignored", unstopped)
plainly("max-tokens.ignored", unlimited)
plainly("code-fences.escaped", escaped)
_rolls = iter(range(1000))
plainly(
    "seed.differs",
    lambda a, b: (
        "seed" in b and a["choices"][0]["message"].update(content=f"The lighthouse {next(_rolls)}")
    ),
)


@quirk("plain.streamed_unasked")
async def streams_always(x: Exchange) -> None:
    x.request.json["stream"] = True
    await compliant().handler(_streaming(x))


def _streaming(x: Exchange) -> Exchange:
    """The same exchange, as if a stream had been asked."""
    body = {**x.request.json, "stream": True}
    seen = type(x.request)(
        method=x.request.method, path=x.request.path, headers=x.request.headers, body=to_json(body)
    )
    x.request = seen
    return x


@quirk("usage-unasked.unasked")
async def counts_unasked(x: Exchange) -> None:
    body = x.request.json
    if body.get("stream"):
        body = {**body, "stream_options": {"include_usage": True}}
        x.request = type(x.request)(
            method=x.request.method,
            path=x.request.path,
            headers=x.request.headers,
            body=to_json(body),
        )
    await WELL(x)


@quirk("model-listed.not_listed", stub={"models": ("other",)})
async def lists_another_model(x: Exchange) -> None:
    await WELL(x)


@quirk("model-listed.near", stub={"models": ("m-7b",)}, target={"models": ["m"]})
async def lists_a_longer_name(x: Exchange) -> None:
    await WELL(x)


def at_models(finds: str, body: object, status: int = 200) -> None:
    async def act(x: Exchange) -> None:
        if x.request.path.endswith("/models"):
            await x.reply(to_json(body), status)
        else:
            await WELL(x)

    QUIRKS[f"at models {finds} {status}"] = Quirk(
        handler=act, finds=finds, stub={"everywhere": True}
    )


at_models("models.missing", error("not found"), 404)
at_models("models.failed", error("broken"), 500)
at_models("models.shape", {"hello": "world"})
at_models("models.other_shape", [{"id": "m", "context_length": 8192}])
at_models("models.empty", {"object": "list", "data": []})


@quirk("overflow.answered")
async def leaves_out_words(x: Exchange) -> None:
    if said(x.request.json).startswith("1 2 3"):
        await x.reply(to_json(completion("Yes.")))
    else:
        await WELL(x)


@quirk("overflow.catalog", card=ModelCard(id="m", name="M", token_limit=32_768))
async def has_less_context_than_promised(x: Exchange) -> None:
    await WELL(x)


@quirk("pictures.promised", card=ModelCard(id="m", name="M", vision=True))
async def sees_nothing(x: Exchange) -> None:
    if isinstance(x.request.json["messages"][-1]["content"], list):
        await x.reply(to_json(error("no image input", "invalid_request_error")), 400)
    else:
        await WELL(x)


@quirk("key.missing", target={"apiKey": None})
async def wants_a_key(x: Exchange) -> None:
    await WELL(x)


@quirk("base-url.website", stub={"everywhere": True, "key": None})
async def is_a_website(x: Exchange) -> None:
    await x.reply(b"<!doctype html><title>Hi</title>", content_type="text/html")


@quirk("base-url.nowhere", stub={"everywhere": True, "key": None})
async def has_no_api(x: Exchange) -> None:
    await x.reply(to_json({"detail": "Not Found"}), 404)


@quirk("base-url.elsewhere", stub={"everywhere": True})
async def lies_deeper(x: Exchange) -> None:
    if not x.request.path.startswith("/api/v1/"):
        await x.reply(to_json({"detail": "Not Found"}), 404)
    elif x.request.path.endswith("/models"):
        await x.reply(to_json(model_list(x.stub.models)))
    else:
        await WELL(x)


@quirk("plain.model_unknown", target={"models": ["m"]})
async def knows_no_such_model(x: Exchange) -> None:
    await x.reply(to_json(error("The model `m` does not exist", "invalid_request_error")), 404)


@quirk("plain.starting")
async def loads_its_model(x: Exchange) -> None:
    await x.reply(to_json(error("Loading model", "unavailable_error")), 503)


@quirk("answers.no_http", stub={"everywhere": True, "key": None})
async def answers_in_tls(x: Exchange) -> None:
    await x.write(b"\x15\x03\x01\x00\x02\x02\x28\r\n\r\n")


class AtOnce:
    """Takes five of eight at once, and tells the others to come later."""

    def __init__(self) -> None:
        self.arrived, self.all_here = 0, asyncio.Event()

    async def __call__(self, x: Exchange) -> None:
        if not (x.request.json["stream"] and x.request.json["max_tokens"] == AT_ONCE_TOKENS):
            return await WELL(x)
        self.arrived += 1
        if self.arrived == AT_ONCE:
            self.all_here.set()
        if self.arrived > 5:
            return await x.reply(to_json(error("Rate limit reached")), 429)
        await self.all_here.wait()
        return await WELL(x)


QUIRKS["takes five at once"] = Quirk(handler=AtOnce(), finds="at-once.busy")


def slowly(clock: Clock, first_s: float, each_s: float, *, lump: bool = False) -> Act:
    """Streams at a pace of the clock that it moves itself; as a lump, all of it at the end."""

    async def act(x: Exchange) -> None:
        body = x.request.json
        if not body["stream"]:
            return await WELL(x)
        count = min(body.get("max_tokens", 16), 256)
        await x.open_stream()
        clock.now_s += first_s + (each_s * count if lump else 0)
        for number in range(count):
            clock.now_s += 0 if lump else each_s
            await x.send(text_event(f"{number} "))
            if not lump:
                await asyncio.sleep(0.001)  # so that each is read by itself
        await x.send(role_event() + finish_event() + DONE)
        return await x.end()

    return act


def works_on(clock: Clock) -> Act:
    """Goes on with an answer that was left, and answers nobody else meanwhile."""

    async def act(x: Exchange) -> None:
        if x.request.json.get("max_tokens") == 400:
            await x.open_stream()
            await x.send(text_event("1"))
            clock.now_s += 1
            await x.hang()
        if x.request.json.get("max_tokens") == 4 and x.request.json["stream"]:
            clock.now_s += 5
        await WELL(x)

    return act
