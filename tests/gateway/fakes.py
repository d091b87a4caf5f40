"""A network, a clock and a chance that do as they are told, and remember what was done to them."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from akash_gradio.config.endpoints import EndpointSettings
from akash_gradio.config.settings import Settings, read_settings
from akash_gradio.domain.chat import ChatRequest, Conversation, Role, Sampling, Turn
from akash_gradio.domain.errors import AkashGradioError
from akash_gradio.domain.events import Event, Finished, TextDelta
from akash_gradio.domain.receipt import Receipt
from akash_gradio.gateway import Gateway
from akash_gradio.gateway.passthrough.sink import Sink


class Clock:
    """Stands still until somebody sleeps. slept: every pause, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


HANGS = object()
"""In the place of bytes: nothing more comes."""


@dataclass
class FakeReply:
    """An answer. parts: bytes, an async function that gives them, an error to raise, or HANGS.

    lag_s: how long each of them had lain there when it was read.
    """

    parts: Sequence[Any] = ()
    status: int = 200
    headers: Mapping[str, str] = field(
        default_factory=lambda: {"content-type": "text/event-stream"}
    )
    lag_s: float = 0.0


def event(**fields: Any) -> bytes:
    return b"data: " + json.dumps({"object": "chat.completion.chunk", **fields}).encode() + b"\n\n"


def delta(text: str = "", *, finish: str | None = None, **more: Any) -> bytes:
    content = {"content": text} if text else {}
    return event(
        id="up-1",
        system_fingerprint="fp",
        choices=[{"index": 0, "delta": {**content, **more}, "finish_reason": finish}],
    )


def usage(prompt: int, completion: int) -> bytes:
    return event(choices=[], usage={"prompt_tokens": prompt, "completion_tokens": completion})


ROLE = delta(role="assistant", content="")
DONE = b"data: [DONE]\n\n"


def says(*words: str, finish: str = "stop", tail: Sequence[Any] = (DONE,)) -> FakeReply:
    """A good streamed answer."""
    return FakeReply(parts=(ROLE, *(delta(word) for word in words), delta(finish=finish), *tail))


def whole(text: str) -> FakeReply:
    """A good answer that is no stream."""
    body = {"id": "up-2", "choices": [{"message": {"content": text}, "finish_reason": "stop"}]}
    return FakeReply(
        parts=(json.dumps(body).encode(),), headers={"content-type": "application/json"}
    )


def refuses(status: int, message: str = "no", **headers: str) -> FakeReply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = json.dumps({"error": {"message": message}}).encode()
    return FakeReply(
        parts=(body,), status=status, headers={"content-type": "application/json", **named}
    )


class FakeAnswer:
    def __init__(self, network: FakeTransport, alias: str, script: FakeReply) -> None:
        self.status, self.headers, self.lag_s = script.status, script.headers, script.lag_s
        self._network, self._alias = network, alias
        self._parts: Iterator[Any] = iter(script.parts)

    async def read(self) -> bytes:
        part = next(self._parts, b"")
        if part is HANGS:
            self._network.hanging.set()
            await asyncio.get_running_loop().create_future()
        if isinstance(part, Exception):
            raise part
        said: bytes = await part() if callable(part) else part
        return said

    async def pipe_to(self, sink: Sink) -> None:
        for part in self._parts:
            if not isinstance(part, bytes) or not sink.try_write(part):
                self._parts = chain((part,), self._parts)
                return
            await asyncio.sleep(0)

    async def aclose(self) -> None:
        self._network.closed.append(self._alias)


class FakeTransport:
    """opened, closed: aliases in order. bodies, headers: what was sent. hanging: set when one is.

    An endpoint says what was enqueued for it; when nothing is left it says `otherwise`.
    """

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.closed: list[str] = []
        self.paths: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.otherwise: dict[str, Any] = {}
        self.lists: dict[str, Any] = {}
        self.started = self.ended = 0
        self.hanging = asyncio.Event()
        self._queues: dict[str, deque[Any]] = defaultdict(deque)

    def enqueue(self, alias: str, *scripts: Any) -> None:
        self._queues[alias].extend(scripts)

    async def start(self, _urls: Iterable[str]) -> None:
        self.started += 1

    async def open(
        self,
        entry: EndpointSettings,
        path: str,
        body: bytes | None,
        *,
        headers: Mapping[str, str],
        connect_timeout_s: float,
    ) -> FakeAnswer:
        alias = entry.name
        if body is None:
            script = self.lists[alias]
        else:
            self.opened.append(alias)
            self.bodies.append(json.loads(body))
            self.headers.append(headers)
            queue = self._queues[alias]
            script = queue.popleft() if queue else self.otherwise.get(alias, says("hello"))
        if script is HANGS:
            self.hanging.set()
            await asyncio.get_running_loop().create_future()
        if isinstance(script, Exception):
            raise script
        return FakeAnswer(self, alias, script)

    async def aclose(self) -> None:
        self.ended += 1


def settings_of(*entries: Mapping[str, Any], **variables: object) -> Settings:
    """Settings with these endpoints; RETRY_DELAY and such by their names."""
    listed = [{"url": f"http://{entry['name']}.test/v1", **entry} for entry in entries]
    named = {"ENDPOINTS": json.dumps(listed)} if listed else {}
    named |= {name: str(value) for name, value in variables.items()}
    settings = read_settings(named, None)
    assert not settings.problems, settings.problems
    return settings


def named(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "models": ["m"], **more}


def request(model: str = "m", **more: Any) -> ChatRequest:
    said = Conversation(turns=(Turn(role=Role.USER, content="What is it?"),))
    return ChatRequest(**{"model": model, "conversation": said, "sampling": Sampling(), **more})


async def collect(gateway: Gateway, asked: ChatRequest, into: list[Event] | None = None) -> Any:
    """Every event, as far as they came; `into` keeps them when it raises."""
    events = [] if into is None else into
    async with aclosing(gateway.stream(asked)) as stream:
        async for each in stream:
            events.append(each)
    return events


async def error_of(gateway: Gateway, asked: ChatRequest) -> AkashGradioError:
    try:
        await collect(gateway, asked)
    except AkashGradioError as error:
        return error
    raise AssertionError("it was answered")


def text_of(events: Sequence[Event]) -> str:
    return "".join(each.text for each in events if isinstance(each, TextDelta))


def receipt_of(events: Sequence[Event]) -> Receipt:
    finished = events[-1]
    assert isinstance(finished, Finished)
    return finished.receipt
