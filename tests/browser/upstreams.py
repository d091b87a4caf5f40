"""Models of the browser tests, each with stub endpoints that only one test uses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.stubs import Exchange, StubThread, wire
from tests.stubs.behaviors import answer, wants_stream

Behavior = Callable[[Exchange], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """One model and the endpoints that serve it.

    Attributes:
        model: The model's id.
        stubs: Its endpoints.
    """

    model: str
    stubs: tuple[StubThread, ...]

    @property
    def stub(self) -> StubThread:
        """Return the only endpoint."""
        (only,) = self.stubs
        return only

    def entries(self) -> list[dict[str, Any]]:
        names = ("north", "south")
        return [
            {"name": f"{self.model}-{name}", "url": stub.url, "models": [self.model]}
            for name, stub in zip(names, self.stubs, strict=False)
        ]


@dataclass(slots=True)
class Upstreams:
    """A supply of upstreams. Each test takes new ones, because the program remembers failures.

    Attributes:
        single: Models with one endpoint.
        pairs: Models with two endpoints.
    """

    single: list[Upstream] = field(default_factory=list)
    pairs: list[Upstream] = field(default_factory=list)

    def entries(self) -> list[dict[str, Any]]:
        return [entry for upstream in (*self.single, *self.pairs) for entry in upstream.entries()]

    def write_catalog(self, path: Path) -> Path:
        """Write a catalog with an entry for each model."""
        entries = [
            f'[[models]]\nid = "{upstream.model}"\nname = "{upstream.model.title()}"\n'
            'description = "A model of the tests"\ntemperature = 0.7\ntop_p = 0.9\n'
            'tokenLimit = 8192\nstarters = ["Say hello"]\n'
            for upstream in (*self.single, *self.pairs)
        ]
        path.write_text("\n".join(entries), encoding="utf-8")
        return path


@contextmanager
def open_upstreams(single: int, pairs: int) -> Iterator[Upstreams]:
    """Start stubs. single, pairs: the number of models with one endpoint, and with two."""
    with ExitStack() as stack:

        def upstream(kind: str, number: int, count: int) -> Upstream:
            stubs = tuple(stack.enter_context(StubThread()) for _ in range(count))
            return Upstream(model=f"{kind}-{number:02}", stubs=stubs)

        yield Upstreams(
            [upstream("single", number, 1) for number in range(single)],
            [upstream("pair", number, 2) for number in range(pairs)],
        )


def answering(*tokens: str, tokens_per_s: float | None = None) -> Behavior:
    """Answer with these tokens at this rate, and report their count."""
    usage = {"prompt_tokens": 13, "completion_tokens": len(tokens)}

    async def behavior(x: Exchange) -> None:
        if not wants_stream(x):
            await answer(x, tokens)
            return
        await x.open_stream()
        await x.send(wire.role_event())
        for token in tokens:
            await asyncio.sleep(1 / tokens_per_s if tokens_per_s else 0)
            await x.send(wire.text_event(token))
        await x.send(wire.finish_event() + wire.usage_event(usage) + wire.DONE)
        await x.end()

    return behavior


def split_tokens(text: str) -> tuple[str, ...]:
    """Split a text into the tokens in which a model would send it."""
    return tuple(word + " " for word in text.split(" "))


class Gate:
    """Blocks a behavior until the test, which runs in another thread, opens it."""

    def __init__(self) -> None:
        self._opened = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def wait(self) -> None:
        """Wait on the stub's event loop."""
        self._loop = asyncio.get_running_loop()
        await self._opened.wait()

    def open(self) -> None:
        """Unblock all behaviors that wait."""
        if self._loop is None:
            self._opened.set()
        else:
            self._loop.call_soon_threadsafe(self._opened.set)


def answering_at_gate(
    gate: Gate, before: Iterable[str] = (), after: Iterable[str] = ()
) -> Behavior:
    """Send `before`, wait for the gate, send `after` and end."""

    async def behavior(x: Exchange) -> None:
        await x.open_stream()
        await x.send(wire.role_event())
        for token in before:
            await x.send(wire.text_event(token))
        await gate.wait()
        for token in after:
            await x.send(wire.text_event(token))
        await x.send(wire.finish_event() + wire.DONE)
        await x.end()

    return behavior


def silent() -> Behavior:
    """Send headers, but never a token."""

    async def behavior(x: Exchange) -> None:
        await x.open_stream()
        await x.hang()

    return behavior


def endless(tokens_per_s: float = 10) -> Behavior:
    """Send words slowly and without end."""

    async def behavior(x: Exchange) -> None:
        await x.open_stream()
        await x.send(wire.role_event())
        number = 0
        while True:
            number += 1
            await x.send(wire.text_event(f"word{number} "))
            await asyncio.sleep(1 / tokens_per_s)

    return behavior


def thinking(thoughts: Iterable[str], text: Iterable[str], pause_s: float = 0.0) -> Behavior:
    """Send reasoning, then the answer."""

    async def behavior(x: Exchange) -> None:
        await x.open_stream()
        for thought in thoughts:
            await x.send(wire.event(wire.chunk({"reasoning_content": thought})))
            await asyncio.sleep(pause_s)
        for token in text:
            await x.send(wire.text_event(token))
        await x.send(wire.finish_event() + wire.usage_event() + wire.DONE)
        await x.end()

    return behavior


def interrupting(*tokens: str) -> Behavior:
    """Send these tokens, then reset the connection."""

    async def behavior(x: Exchange) -> None:
        await x.open_stream()
        await x.send(wire.role_event())
        for token in tokens:
            await x.send(wire.text_event(token))
        await asyncio.sleep(0.2)
        x.reset()

    return behavior


def messages(stub: StubThread, number: int = -1) -> list[tuple[str, str]]:
    """Return the messages of a chat request as (role, text)."""
    return [(m["role"], m["content"]) for m in stub.chats[number].json["messages"]]
