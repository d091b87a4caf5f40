"""Endpoints die, hang, slow down and recover at random while clients stream through `/v1`.

`make chaos`, or `python -m tests.chaos.chaos --seconds 60 --seed 7`. Each token of an answer
carries its question's number, its own, and its endpoint's name, so that one that is lost,
doubled or from another answer is seen. One endpoint stays well, so that nobody has to be
turned away.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.api.serving import CHAT, Served, chat_body, serving
from tests.stubs import Exchange, StubEndpoint, entry, settings_for
from tests.stubs.wire import DONE, error, finish_event, role_event, text_event, to_json

MOODS = (
    "well", "well", "well", "slow", "dead", "hangs", "hangs_after_head", "breaks_off", "resets",
    "status_500", "status_429", "garbled",
)  # fmt: skip
TOKENS = 12
CLIENTS = 24
SICK = 3
LEAVES = 0.1
"""Share of the clients that leave in the middle."""
WARM_UP = 0.3
"""Share of the time before which growth isn't counted: caches fill, code compiles."""
SPARE_OBJECTS = 50
"""Each endpoint may remember its last failures, with their receipts."""
SPARE_MIB = 16
"""What an allocator keeps for itself; a leak grows with the seconds."""


@dataclass
class Tally:
    """What came of it. lost: without tokens or an end that should be there. spliced: a token of
    another answer or endpoint. turned_away: an error although one endpoint was well. The
    numbers of connections, tasks and objects (of our own classes) are those left over at the
    end, grown_mib what the process then held more than after the warm-up.
    """

    whole: int = 0
    broken_off: int = 0
    left: int = 0
    lost: int = 0
    doubled: int = 0
    spliced: int = 0
    turned_away: int = 0
    connections: int = 0
    tasks: int = 0
    objects: int = 0
    grown_mib: int = 0
    first_wrong: str = ""
    moods: Counter[str] = field(default_factory=Counter)

    @property
    def wrong(self) -> dict[str, int]:
        """What must be nought, where it isn't."""
        names = ("lost", "doubled", "spliced", "turned_away", "connections", "tasks")
        found = {name: getattr(self, name) for name in names}
        found["objects"] = max(0, self.objects - SPARE_OBJECTS)
        found["grown_mib"] = max(0, self.grown_mib - SPARE_MIB)
        return {name: count for name, count in found.items() if count}


class Sick:
    """An endpoint whose mood changes."""

    def __init__(self, name: str) -> None:
        self.name, self.mood = name, "well"
        self.stub = StubEndpoint(self.act)
        self._alive = True

    async def feel(self, mood: str) -> None:
        self.mood = mood
        if mood == "dead" and self._alive:
            self.stub.kill()
            self._alive = False
        elif mood != "dead" and not self._alive:
            with suppress(OSError):  # somebody took the port: it stays dead
                await self.stub.listen()
                self._alive = True

    async def act(self, x: Exchange) -> None:
        mood, tag = self.mood, x.request.json["messages"][-1]["content"]
        if mood in ("status_500", "status_429"):
            await x.reply(to_json(error("no")), int(mood[-3:]))
        elif mood == "hangs":
            await x.hang()
        elif mood == "garbled":
            await x.reply(b"<html>", content_type="text/html")
        else:
            await self._stream(x, mood, tag)

    async def _stream(self, x: Exchange, mood: str, tag: str) -> None:
        await x.open_stream()
        if mood == "hangs_after_head":
            await x.hang()
        await x.send(role_event())
        for number in range(TOKENS):
            if number == TOKENS // 2 and mood == "breaks_off":
                return
            if number == TOKENS // 2 and mood == "resets":
                x.reset()
                return
            await asyncio.sleep(0.03 if mood == "slow" else 0.001)
            await x.send(text_event(f"{tag}.{number}@{self.name} "))
        await x.send(finish_event() + DONE)
        await x.end()


class Chaos:
    """One run. seed: what happens when; the clock of the machine still has its say."""

    def __init__(self, seconds: float, seed: int) -> None:
        self._seconds, self._chance = seconds, random.Random(seed)
        self._sick = [Sick(f"sick-{number}") for number in range(SICK)]
        self._rock = Sick("rock")
        self._asked = 0
        self.tally = Tally()

    async def run(self) -> Tally:
        before = asyncio.all_tasks()
        async with AsyncExitStack() as stack:
            endpoints = [*self._sick, self._rock]
            for each in endpoints:
                await stack.enter_async_context(each.stub)
            entries = [entry(each.stub, name=each.name) for each in endpoints]
            times = {"FIRST_TOKEN_TIMEOUT": 1.5, "IDLE_TIMEOUT": 1.5, "RETRY_DELAY": 10}
            settings = settings_for(*entries, RETRY_ATTEMPTS=8, **times)
            async with serving(settings) as served:
                await self._storm(served, self._seconds * WARM_UP)
                objects, mib = _objects(), _mib()
                await self._storm(served, self._seconds * (1 - WARM_UP))
                self.tally.objects = _objects() - objects
                self.tally.grown_mib = _mib() - mib
                in_flight = sum(each.in_flight for each in served.gateway.endpoints())
            for each in endpoints:
                with suppress(AssertionError):
                    await each.stub.wait_for_idle(2)
            still_open = sum(each.stub.open_connections for each in endpoints)
            self.tally.connections = in_flight + still_open
        self.tally.tasks = len(asyncio.all_tasks() - before)
        return self.tally

    async def _storm(self, served: Served, seconds: float) -> None:
        until = time.monotonic() + seconds
        weather = asyncio.create_task(self._weather(served))
        try:
            await asyncio.gather(*(self._client(served, until) for _ in range(CLIENTS)))
        finally:
            weather.cancel()
            await asyncio.gather(weather, return_exceptions=True)
        self._forget(served)

    def _forget(self, served: Served) -> None:
        """What the stubs and the server of the tests remember would pass for growth."""
        while not served.receipts.empty():
            served.receipts.get_nowait()
        for each in (*self._sick, self._rock):
            each.stub.requests.clear()

    async def _weather(self, served: Served) -> None:
        while True:
            await asyncio.sleep(self._chance.uniform(0.02, 0.3))
            self._forget(served)
            sick, mood = self._chance.choice(self._sick), self._chance.choice(MOODS)
            self.tally.moods[mood] += 1
            await sick.feel(mood)

    async def _client(self, served: Served, until: float) -> None:
        while time.monotonic() < until:
            self._asked += 1
            tag = f"q{self._asked}"
            leaves = self._chance.random() < LEAVES
            async with await served.connect() as connection:
                await connection.send("POST", CHAT, chat_body(tag, stream=True))
                head = await connection.head()
                if head.status != 200:
                    self.tally.turned_away += 1
                    self._tell(f"{tag}: status {head.status}")
                    continue
                body = b""
                while piece := await connection.piece():
                    body += piece
                    if leaves and body.count(b"\n\n") > 2:
                        connection.hang_up()
                        break
                self._judge(tag, body, head.headers["x-endpoint"], leaves)

    def _judge(self, tag: str, body: bytes, endpoint: str, left: bool) -> None:
        words, failed, whole = _read(body)
        wanted = [f"{tag}.{number}@{endpoint}" for number in range(TOKENS)]
        if any(word not in wanted for word in words):
            self.tally.spliced += 1
        elif len(set(words)) < len(words):
            self.tally.doubled += 1
        elif words != wanted[: len(words)] or (whole and words != wanted):
            self.tally.lost += 1
        elif whole:
            self.tally.whole += 1
            return
        elif failed or left:
            self.tally.left += left
            self.tally.broken_off += not left
            return
        else:
            self.tally.lost += 1
        self._tell(f"{tag} of {endpoint}: {' '.join(words)} {body[-80:]!r}")

    def _tell(self, what: str) -> None:
        self.tally.first_wrong = self.tally.first_wrong or what


def _read(body: bytes) -> tuple[list[str], bool, bool]:
    """The words, whether an error event came, and whether `[DONE]` did, at the end alone."""
    words, failed = "", False
    events = body.split(b"\n\n")[:-1]
    whole = bool(events) and events[-1] == b"data: [DONE]"
    for each in events[:-1] if whole else events:
        value = json.loads(each.removeprefix(b"data: "))
        failed = failed or "error" in value
        for choice in value.get("choices", ()):
            words += choice["delta"].get("content") or ""
    return words.split(), failed, whole


def _objects() -> int:
    gc.collect()
    return sum(str(type(each).__module__).startswith("akash_gradio") for each in gc.get_objects())


def _mib() -> int:
    pages = Path("/proc/self/statm")
    return int(pages.read_text().split()[1]) * 4096 >> 20 if pages.exists() else 0


def main() -> None:
    """Run it, and end with 1 when something is not nought."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    tally = asyncio.run(Chaos(asked.seconds, asked.seed).run())
    sys.stdout.write(f"{tally}\n")
    if tally.wrong:
        sys.exit(f"not nought: {tally.wrong}")


if __name__ == "__main__":
    main()
