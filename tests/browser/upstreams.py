"""Endpoints for the browser tests: stubs that a test has for itself, behind one program."""

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
    """One model and the endpoints that serve it, for one test alone."""

    model: str
    stubs: tuple[StubThread, ...]

    @property
    def stub(self) -> StubThread:
        """The only endpoint."""
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
    """A supply of them: each test takes fresh ones, since endpoints remember failures."""

    single: list[Upstream] = field(default_factory=list)
    pairs: list[Upstream] = field(default_factory=list)

    def entries(self) -> list[dict[str, Any]]:
        return [entry for upstream in (*self.single, *self.pairs) for entry in upstream.entries()]

    def write_catalog(self, path: Path) -> Path:
        """A catalog with an entry for each model."""
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
    """So many models with one endpoint, and so many with two."""
    with ExitStack() as stack:

        def upstream(kind: str, number: int, count: int) -> Upstream:
            stubs = tuple(stack.enter_context(StubThread()) for _ in range(count))
            return Upstream(model=f"{kind}-{number:02}", stubs=stubs)

        yield Upstreams(
            [upstream("single", number, 1) for number in range(single)],
            [upstream("pair", number, 2) for number in range(pairs)],
        )


def answering(*tokens: str, tokens_per_s: float | None = None) -> Behavior:
    """Answers with this text, at a pace, and counts its tokens."""
    usage = {"prompt_tokens": 13, "completion_tokens": len(tokens)}

    async def act(x: Exchange) -> None:
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

    return act


def tokens_of(text: str) -> tuple[str, ...]:
    """A text in the pieces in which a model would send it."""
    return tuple(word + " " for word in text.split(" "))


class Gate:
    """What a behavior waits for until the test, in another thread, opens it."""

    def __init__(self) -> None:
        self._opened = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def passed(self) -> None:
        """Wait for it, on the stub's loop."""
        self._loop = asyncio.get_running_loop()
        await self._opened.wait()

    def open(self) -> None:
        """Let everybody pass."""
        if self._loop is None:
            self._opened.set()
        else:
            self._loop.call_soon_threadsafe(self._opened.set)


def answering_after(gate: Gate, before: Iterable[str] = (), after: Iterable[str] = ()) -> Behavior:
    """Says `before`, waits for the gate, says `after` and ends."""

    async def act(x: Exchange) -> None:
        await x.open_stream()
        await x.send(wire.role_event())
        for token in before:
            await x.send(wire.text_event(token))
        await gate.passed()
        for token in after:
            await x.send(wire.text_event(token))
        await x.send(wire.finish_event() + wire.DONE)
        await x.end()

    return act


def silent() -> Behavior:
    """Sends headers, and no token ever."""

    async def act(x: Exchange) -> None:
        await x.open_stream()
        await x.hang()

    return act


def endless(tokens_per_s: float = 10) -> Behavior:
    """Slow words that never end."""

    async def act(x: Exchange) -> None:
        await x.open_stream()
        await x.send(wire.role_event())
        number = 0
        while True:
            number += 1
            await x.send(wire.text_event(f"word{number} "))
            await asyncio.sleep(1 / tokens_per_s)

    return act


def thinking(thoughts: Iterable[str], text: Iterable[str], pause_s: float = 0.0) -> Behavior:
    """Reasons, then answers."""

    async def act(x: Exchange) -> None:
        await x.open_stream()
        for thought in thoughts:
            await x.send(wire.event(wire.chunk({"reasoning_content": thought})))
            await asyncio.sleep(pause_s)
        for token in text:
            await x.send(wire.text_event(token))
        await x.send(wire.finish_event() + wire.usage_event() + wire.DONE)
        await x.end()

    return act


def breaking_off(*tokens: str) -> Behavior:
    """Says this, and the connection is lost."""

    async def act(x: Exchange) -> None:
        await x.open_stream()
        await x.send(wire.role_event())
        for token in tokens:
            await x.send(wire.text_event(token))
        await asyncio.sleep(0.2)
        x.reset()

    return act


def messages(stub: StubThread, number: int = -1) -> list[tuple[str, str]]:
    """What a request for an answer carried, as (role, text)."""
    return [(m["role"], m["content"]) for m in stub.chats[number].json["messages"]]
