"""Endpoints for the browser tests: stubs that a test has for itself, behind one program."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.stubs import Exchange, StubThread, wire
from tests.stubs.zoo import answer, streamed

Act = Callable[[Exchange], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pen:
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
class Pens:
    """A supply of them: each test takes fresh ones, since endpoints remember failures."""

    lone: list[Pen] = field(default_factory=list)
    pairs: list[Pen] = field(default_factory=list)

    def entries(self) -> list[dict[str, Any]]:
        return [entry for pen in (*self.lone, *self.pairs) for entry in pen.entries()]

    def write_catalog(self, path: Path) -> Path:
        """A catalog with an entry for each model."""
        entries = [
            f'[[models]]\nid = "{pen.model}"\nname = "{pen.model.title()}"\n'
            'description = "A model of the tests"\ntemperature = 0.7\ntop_p = 0.9\n'
            'tokenLimit = 8192\nstarters = ["Say hello"]\n'
            for pen in (*self.lone, *self.pairs)
        ]
        path.write_text("\n".join(entries), encoding="utf-8")
        return path


@contextmanager
def open_pens(lone: int, pairs: int) -> Iterator[Pens]:
    """So many models with one endpoint, and so many with two."""
    with ExitStack() as stack:

        def pen(kind: str, number: int, count: int) -> Pen:
            stubs = tuple(stack.enter_context(StubThread()) for _ in range(count))
            return Pen(model=f"{kind}-{number:02}", stubs=stubs)

        yield Pens(
            [pen("lone", number, 1) for number in range(lone)],
            [pen("pair", number, 2) for number in range(pairs)],
        )


def saying(*tokens: str, tokens_per_s: float | None = None) -> Act:
    """Answers with this text, at a pace, and counts its tokens."""
    usage = {"prompt_tokens": 13, "completion_tokens": len(tokens)}

    async def act(x: Exchange) -> None:
        if not streamed(x):
            await answer(x, tokens)
            return
        await x.open_stream()
        await x.piece(wire.opening())
        for token in tokens:
            await asyncio.sleep(1 / tokens_per_s if tokens_per_s else 0)
            await x.piece(wire.says(token))
        await x.piece(wire.ending() + wire.usage_event(usage) + wire.DONE)
        await x.end()

    return act


def words_of(text: str) -> tuple[str, ...]:
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


def held(gate: Gate, before: Iterable[str] = (), after: Iterable[str] = ()) -> Act:
    """Says `before`, waits for the gate, says `after` and ends."""

    async def act(x: Exchange) -> None:
        await x.open_stream()
        await x.piece(wire.opening())
        for token in before:
            await x.piece(wire.says(token))
        await gate.passed()
        for token in after:
            await x.piece(wire.says(token))
        await x.piece(wire.ending() + wire.DONE)
        await x.end()

    return act


def silent() -> Act:
    """Sends headers, and no token ever."""

    async def act(x: Exchange) -> None:
        await x.open_stream()
        await x.for_ever()

    return act


def endless(tokens_per_s: float = 10) -> Act:
    """Slow words that never end."""

    async def act(x: Exchange) -> None:
        await x.open_stream()
        await x.piece(wire.opening())
        number = 0
        while True:
            number += 1
            await x.piece(wire.says(f"word{number} "))
            await asyncio.sleep(1 / tokens_per_s)

    return act


def thinking(thoughts: Iterable[str], text: Iterable[str], pause_s: float = 0.0) -> Act:
    """Reasons, then answers."""

    async def act(x: Exchange) -> None:
        await x.open_stream()
        for thought in thoughts:
            await x.piece(wire.event(wire.chunk({"reasoning_content": thought})))
            await asyncio.sleep(pause_s)
        for token in text:
            await x.piece(wire.says(token))
        await x.piece(wire.ending() + wire.usage_event() + wire.DONE)
        await x.end()

    return act


def breaking_off(*tokens: str) -> Act:
    """Says this, and the connection is lost."""

    async def act(x: Exchange) -> None:
        await x.open_stream()
        await x.piece(wire.opening())
        for token in tokens:
            await x.piece(wire.says(token))
        await asyncio.sleep(0.2)
        x.reset()

    return act


def messages(stub: StubThread, number: int = -1) -> list[tuple[str, str]]:
    """What a request for an answer carried, as (role, text)."""
    return [(m["role"], m["content"]) for m in stub.chats[number].json["messages"]]
