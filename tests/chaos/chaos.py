"""Endpoints die, hang, slow down and recover at random while clients stream through `/v1`.

`make chaos`, or `python -m tests.chaos.chaos --seconds 60 --seed 7`. Each token of an answer
carries the number of its request, its own number and its endpoint's name, so that a token that
is lost, duplicated or from another answer is detected. One endpoint stays healthy, so that no
request has to be rejected.

After that the situations of `availability` run over sockets: too small a share of answered
requests is a failure.
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
from typing import Any

from tests.api.serving import CHAT, Served, chat_body, serving
from tests.chaos.availability import SITUATIONS, serve
from tests.stubs import Exchange, StubEndpoint, entry, settings_for
from tests.stubs.wire import DONE, error, finish_event, role_event, text_event, to_json

MODES = (
    "healthy", "healthy", "healthy", "slow", "dead", "hangs", "hangs_after_head", "cuts_off",
    "resets", "status_500", "status_429", "malformed",
)  # fmt: skip
TOKENS = 12
CLIENTS = 24
UNSTABLE = 3
DISCONNECT_SHARE = 0.1
"""Share of the clients that disconnect in the middle."""
WARM_UP = 0.3
"""Share of the time before which growth isn't counted: caches fill, code compiles."""
SPARE_OBJECTS = 2 * (UNSTABLE + 1)
"""Each endpoint remembers its last failure, which may have a cause."""
SPARE_MIB = 16
"""The allocator keeps some memory for itself; a leak grows with the seconds."""
MANY_TIMERS = 1000
"""Far more than a run leaves behind."""


@dataclass
class Tally:
    """The outcome of a run.

    Attributes:
        complete: Complete answers.
        interrupted: Answers that ended with an error event.
        disconnected: Answers whose client disconnected.
        lost: Answers without tokens or an end that should be there.
        duplicated: Answers with the same token twice.
        spliced: Answers with a token of another answer or endpoint.
        rejected: Requests that failed although one endpoint was healthy.
        connections: Upstream connections still open at the end.
        tasks: Tasks still running at the end.
        objects: Instances of our own classes that were added after the warm-up.
        grown_mib: Memory that the process gained after the warm-up.
        first_error: A description of the first wrong answer.
        modes: How often each mode was entered.
    """

    complete: int = 0
    interrupted: int = 0
    disconnected: int = 0
    lost: int = 0
    duplicated: int = 0
    spliced: int = 0
    rejected: int = 0
    connections: int = 0
    tasks: int = 0
    objects: int = 0
    grown_mib: int = 0
    first_error: str = ""
    modes: Counter[str] = field(default_factory=Counter)

    @property
    def errors(self) -> dict[str, int]:
        """The counts that should be zero and aren't."""
        names = ("lost", "duplicated", "spliced", "rejected", "connections", "tasks")
        counts = {name: getattr(self, name) for name in names}
        counts["objects"] = max(0, self.objects - SPARE_OBJECTS)
        counts["grown_mib"] = max(0, self.grown_mib - SPARE_MIB)
        return {name: count for name, count in counts.items() if count}


class UnstableEndpoint:
    """A stub endpoint whose mode changes."""

    def __init__(self, name: str) -> None:
        self.name, self.mode = name, "healthy"
        self.stub = StubEndpoint(self.respond)
        self._alive = True

    async def enter(self, mode: str) -> None:
        self.mode = mode
        if mode == "dead" and self._alive:
            self.stub.kill()
            self._alive = False
        elif mode != "dead" and not self._alive:
            with suppress(OSError):  # another process took the port: the endpoint stays dead
                await self.stub.listen()
                self._alive = True

    async def respond(self, x: Exchange) -> None:
        mode, tag = self.mode, x.request.json["messages"][-1]["content"]
        if mode in ("status_500", "status_429"):
            await x.reply(to_json(error("no")), int(mode[-3:]))
        elif mode == "hangs":
            await x.hang()
        elif mode == "malformed":
            await x.reply(b"<html>", content_type="text/html")
        else:
            await self._stream(x, mode, tag)

    async def _stream(self, x: Exchange, mode: str, tag: str) -> None:
        await x.open_stream()
        if mode == "hangs_after_head":
            await x.hang()
        await x.send(role_event())
        for number in range(TOKENS):
            if number == TOKENS // 2 and mode == "cuts_off":
                return
            if number == TOKENS // 2 and mode == "resets":
                x.reset()
                return
            await asyncio.sleep(0.03 if mode == "slow" else 0.001)
            await x.send(text_event(f"{tag}.{number}@{self.name} "))
        await x.send(finish_event() + DONE)
        await x.end()


class Chaos:
    """One run.

    Args:
        seconds: How long clients send requests.
        seed: Of the modes and disconnects; the timing still varies with the machine.
    """

    def __init__(self, seconds: float, seed: int) -> None:
        self._seconds, self._random = seconds, random.Random(seed)
        self._unstable = [UnstableEndpoint(f"unstable-{number}") for number in range(UNSTABLE)]
        self._stable = UnstableEndpoint("stable")
        self._endpoints = (*self._unstable, self._stable)
        self._requests = 0
        self.tally = Tally()

    async def run(self) -> Tally:
        before = asyncio.all_tasks()
        async with AsyncExitStack() as stack:
            for endpoint in self._endpoints:
                await stack.enter_async_context(endpoint.stub)
            entries = [entry(endpoint.stub, name=endpoint.name) for endpoint in self._endpoints]
            times = {"FIRST_TOKEN_TIMEOUT": 1.5, "IDLE_TIMEOUT": 1.5, "RETRY_DELAY": 10}
            settings = settings_for(*entries, RETRY_ATTEMPTS=8, **times)
            async with serving(settings) as served:
                idle = asyncio.all_tasks()
                await self._stream_from_all(served, self._seconds * WARM_UP)
                await self._settle(served, idle)
                objects, mib = _count_objects(), _memory_mib()
                await self._stream_from_all(served, self._seconds * (1 - WARM_UP))
                await self._settle(served, idle)
                self.tally.objects = _count_objects() - objects
                self.tally.grown_mib = _memory_mib() - mib
                in_flight = sum(status.in_flight for status in served.gateway.endpoints())
            for endpoint in self._endpoints:
                with suppress(AssertionError):
                    await endpoint.stub.wait_for_idle(2)
            still_open = sum(endpoint.stub.open_connections for endpoint in self._endpoints)
            self.tally.connections = in_flight + still_open
        self.tally.tasks = len(asyncio.all_tasks() - before)
        return self.tally

    async def _stream_from_all(self, served: Served, seconds: float) -> None:
        until = time.monotonic() + seconds
        changing = asyncio.create_task(self._change_modes(served))
        try:
            await asyncio.gather(*(self._client(served, until) for _ in range(CLIENTS)))
        finally:
            changing.cancel()
            await asyncio.gather(changing, return_exceptions=True)

    async def _settle(self, served: Served, idle: set[asyncio.Task[Any]]) -> None:
        """Bring the process into a state in which two counts of its objects are comparable.

        Between requests it legitimately holds a varying number of objects: each idle upstream
        connection keeps its handler and its last body, the pool keeps dead connections until the
        next request to the same endpoint, and asyncio keeps a cancelled timer, with the context
        and so the visitor of its request, until cancelled timers are the majority.
        """
        for endpoint in self._endpoints:
            await endpoint.enter("healthy")
            endpoint.stub.drop_connections()
            await endpoint.stub.wait_for_idle(5)
            await served.gateway.probe_endpoint(endpoint.name)
            endpoint.stub.drop_connections()
        if leftover := asyncio.all_tasks() - idle:
            await asyncio.wait(leftover, timeout=5)
        loop = asyncio.get_running_loop()
        for _ in range(MANY_TIMERS):
            loop.call_later(3600, gc.collect).cancel()
        await asyncio.sleep(0)  # now the loop removes all cancelled timers
        self._clear_recordings(served)

    def _clear_recordings(self, served: Served) -> None:
        """Drop what the stubs and the test server record: it would count as growth."""
        while not served.receipts.empty():
            served.receipts.get_nowait()
        for endpoint in self._endpoints:
            endpoint.stub.requests.clear()

    async def _change_modes(self, served: Served) -> None:
        while True:
            await asyncio.sleep(self._random.uniform(0.02, 0.3))
            self._clear_recordings(served)
            endpoint, mode = self._random.choice(self._unstable), self._random.choice(MODES)
            self.tally.modes[mode] += 1
            await endpoint.enter(mode)

    async def _client(self, served: Served, until: float) -> None:
        while time.monotonic() < until:
            self._requests += 1
            tag = f"q{self._requests}"
            disconnects = self._random.random() < DISCONNECT_SHARE
            async with await served.connect() as connection:
                await connection.send("POST", CHAT, chat_body(tag, stream=True))
                head = await connection.read_head()
                if head.status != 200:
                    self.tally.rejected += 1
                    self._note_error(f"{tag}: status {head.status}")
                    continue
                body = b""
                while piece := await connection.read_chunk():
                    body += piece
                    if disconnects and body.count(b"\n\n") > 2:
                        connection.disconnect()
                        break
                self._judge(tag, body, head.headers["x-endpoint"], disconnects)

    def _judge(self, tag: str, body: bytes, endpoint: str, disconnected: bool) -> None:
        tokens, failed, complete = _parse(body)
        expected = [f"{tag}.{number}@{endpoint}" for number in range(TOKENS)]
        if any(token not in expected for token in tokens):
            self.tally.spliced += 1
        elif len(set(tokens)) < len(tokens):
            self.tally.duplicated += 1
        elif tokens != expected[: len(tokens)] or (complete and tokens != expected):
            self.tally.lost += 1
        elif complete:
            self.tally.complete += 1
            return
        elif failed or disconnected:
            self.tally.disconnected += disconnected
            self.tally.interrupted += not disconnected
            return
        else:
            self.tally.lost += 1
        self._note_error(f"{tag} of {endpoint}: {' '.join(tokens)} {body[-80:]!r}")

    def _note_error(self, description: str) -> None:
        self.tally.first_error = self.tally.first_error or description


def _parse(body: bytes) -> tuple[list[str], bool, bool]:
    """Return the tokens, whether there was an error event, and whether `[DONE]` was last."""
    text, failed = "", False
    events = body.split(b"\n\n")[:-1]
    complete = bool(events) and events[-1] == b"data: [DONE]"
    for event in events[:-1] if complete else events:
        value = json.loads(event.removeprefix(b"data: "))
        failed = failed or "error" in value
        for choice in value.get("choices", ()):
            text += choice["delta"].get("content") or ""
    return text.split(), failed, complete


def _count_objects() -> int:
    gc.collect()
    return sum(
        str(type(instance).__module__).startswith("akash_gradio") for instance in gc.get_objects()
    )


def _memory_mib() -> int:
    pages = Path("/proc/self/statm")
    return int(pages.read_text().split()[1]) * 4096 >> 20 if pages.exists() else 0


def main() -> None:
    """Run it, and exit with 1 when a count isn't zero that should be, or too few are answered."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    tally = asyncio.run(Chaos(arguments.seconds, arguments.seed).run())
    sys.stdout.write(f"{tally}\n")
    problems = [f"should be zero: {tally.errors}"] if tally.errors else []
    for situation in SITUATIONS:
        outcome = asyncio.run(serve(situation))
        sys.stdout.write(f"{outcome}\n")
        if outcome.fell_short:
            problems.append(f"too few answers: {outcome}")
    if problems:
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
