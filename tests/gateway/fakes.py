"""A fake network and clock for the gateway, which record how they are used."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final, NoReturn, TypeAlias

from akash_gradio.config.endpoints import EndpointSettings
from akash_gradio.config.settings import Settings, read_settings
from akash_gradio.domain.chat import ChatRequest, Conversation, Role, Sampling, Turn
from akash_gradio.domain.errors import AkashGradioError
from akash_gradio.domain.events import Event, Finished, TextDelta
from akash_gradio.domain.receipt import Receipt
from akash_gradio.gateway import Gateway
from akash_gradio.gateway.passthrough.sink import Sink


class Clock:
    """A clock that advances only by `sleep`.

    Attributes:
        now: The current time, in seconds.
        slept: Every pause, in seconds.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class Hang:
    """A marker in place of bytes or of a reply: nothing more is received."""


HANGS: Final = Hang()

Part: TypeAlias = bytes | Callable[[], Awaitable[bytes]] | Exception | Hang
"""Bytes, an async function that returns them, an error to raise, or HANGS."""


@dataclass
class FakeReply:
    """A response of an endpoint.

    Attributes:
        parts: What each read returns.
        lag_s: How long before the read each part was received.
    """

    parts: Sequence[Part] = ()
    status: int = 200
    headers: Mapping[str, str] = field(
        default_factory=lambda: {"content-type": "text/event-stream"}
    )
    lag_s: float = 0.0


async def wait_forever() -> NoReturn:
    await asyncio.Event().wait()
    raise AssertionError("nothing sets the event")


Script: TypeAlias = FakeReply | Exception | Hang
"""What a request results in."""


def event(**fields: Any) -> bytes:
    return b"data: " + json.dumps({"object": "chat.completion.chunk", **fields}).encode() + b"\n\n"


def delta(text: str = "", *, finish: str | None = None, **fields: Any) -> bytes:
    content = {"content": text} if text else {}
    return event(
        id="up-1",
        system_fingerprint="fp",
        choices=[{"index": 0, "delta": {**content, **fields}, "finish_reason": finish}],
    )


def usage(prompt: int, completion: int) -> bytes:
    return event(choices=[], usage={"prompt_tokens": prompt, "completion_tokens": completion})


ROLE = delta(role="assistant", content="")
DONE = b"data: [DONE]\n\n"


def json_reply(body: object, status: int = 200, **headers: str) -> FakeReply:
    return FakeReply(
        parts=(json.dumps(body).encode(),),
        status=status,
        headers={"content-type": "application/json", **headers},
    )


def streamed_reply(*texts: str, finish: str = "stop", tail: Sequence[Part] = (DONE,)) -> FakeReply:
    """Return a complete stream of these texts."""
    return FakeReply(parts=(ROLE, *(delta(text) for text in texts), delta(finish=finish), *tail))


GREETING = streamed_reply("hello")
"""What an endpoint without a script and a default replies."""


def whole_reply(text: str) -> FakeReply:
    """Return a complete answer that isn't streamed."""
    choice = {"message": {"content": text}, "finish_reason": "stop"}
    return json_reply({"id": "up-2", "choices": [choice]})


def error_reply(status: int, message: str = "no", *, retry_after: str = "") -> FakeReply:
    headers = {"retry-after": retry_after} if retry_after else {}
    return json_reply({"error": {"message": message}}, status, **headers)


class FakeResponse:
    """The response to a request, read part by part."""

    def __init__(self, network: FakeTransport, alias: str, reply: FakeReply) -> None:
        self.status, self.headers, self.lag_s = reply.status, reply.headers, reply.lag_s
        self._network, self._alias = network, alias
        self._parts: Iterator[Part] = iter(reply.parts)

    async def read(self) -> bytes:
        part = next(self._parts, b"")
        if isinstance(part, Hang):
            self._network.hanging.set()
            await wait_forever()
        if isinstance(part, Exception):
            raise part
        return part if isinstance(part, bytes) else await part()

    async def pipe_to(self, sink: Sink) -> None:
        for part in self._parts:
            if not isinstance(part, bytes) or not sink.try_write(part):
                self._parts = chain((part,), self._parts)
                return
            await asyncio.sleep(0)

    async def aclose(self) -> None:
        self._network.closed.append(self._alias)


class FakeTransport:
    """A network whose endpoints reply as scripted.

    An endpoint replies with what was enqueued for it, then with its default.

    Attributes:
        opened: The aliases called, in order.
        closed: The aliases whose responses were closed, in order.
        bodies: The bodies sent.
        headers: The headers sent.
        defaults: What an endpoint replies when nothing is enqueued.
        model_lists: What an endpoint replies to `/v1/models`.
        hanging: Set when a request or a response hangs.
    """

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.closed: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.defaults: dict[str, Script] = {}
        self.model_lists: dict[str, Script] = {}
        self.starts = self.closings = 0
        self.hanging = asyncio.Event()
        self._queues: dict[str, deque[Script]] = defaultdict(deque)

    def enqueue(self, alias: str, *scripts: Script) -> None:
        self._queues[alias].extend(scripts)

    async def start(self, _urls: Iterable[str]) -> None:
        self.starts += 1

    async def open(
        self,
        entry: EndpointSettings,
        path: str,
        body: bytes | None,
        *,
        headers: Mapping[str, str],
        connect_timeout_s: float,
    ) -> FakeResponse:
        alias = entry.name
        if body is None:
            script = self.model_lists[alias]
        else:
            self.opened.append(alias)
            self.bodies.append(json.loads(body))
            self.headers.append(headers)
            queue = self._queues[alias]
            script = queue.popleft() if queue else self.defaults.get(alias) or GREETING
        if isinstance(script, Hang):
            self.hanging.set()
            await wait_forever()
        if isinstance(script, Exception):
            raise script
        return FakeResponse(self, alias, script)

    async def aclose(self) -> None:
        self.closings += 1


def make_settings(*entries: Mapping[str, Any], **variables: object) -> Settings:
    """Return settings with these endpoints, and with variables like RETRY_DELAY."""
    endpoints = [{"url": f"http://{entry['name']}.test/v1", **entry} for entry in entries]
    environment = {"ENDPOINTS": json.dumps(endpoints)} if endpoints else {}
    environment |= {name: str(value) for name, value in variables.items()}
    settings = read_settings(environment, None)
    assert not settings.problems, settings.problems
    return settings


def entry_for(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "models": ["m"], **fields}


def prompt(text: str) -> Conversation:
    """Return a conversation with one message."""
    return Conversation(turns=(Turn(role=Role.USER, content=text),))


def chat_request(model: str = "m", **fields: Any) -> ChatRequest:
    defaults = {"model": model, "conversation": prompt("What is it?"), "sampling": Sampling()}
    return ChatRequest(**{**defaults, **fields})


async def collect(
    gateway: Gateway, request: ChatRequest, into: list[Event] | None = None
) -> list[Event]:
    """Return every event; `into` keeps those before an error."""
    events = [] if into is None else into
    async with aclosing(gateway.stream(request)) as stream:
        async for event in stream:
            events.append(event)
    return events


async def error_from(gateway: Gateway, request: ChatRequest) -> AkashGradioError:
    """Return the error that a request raises."""
    try:
        await collect(gateway, request)
    except AkashGradioError as error:
        return error
    raise AssertionError("the request succeeded")


def text_of(events: Sequence[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def receipt_of(events: Sequence[Event]) -> Receipt:
    finished = events[-1]
    assert isinstance(finished, Finished)
    return finished.receipt
