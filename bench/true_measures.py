"""How far the receipts' figures are from the truth, told by an endpoint that knows its times.

`measure` starts `python -m bench.true_measures PORT` on the core of the systems under test.
The endpoint (`bench/upstream.c`) waits DELAY_S before its first token and stamps each token with
the clock that all processes of the machine share. Forty answers come once APART_S after each
other, and once in the same instant, when the last one has to wait for its turn.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from akash_gradio.config.settings import read_settings
from akash_gradio.domain.chat import ChatRequest, Conversation, Role, Turn
from akash_gradio.domain.events import Finished, TextDelta
from akash_gradio.domain.receipt import Receipt
from akash_gradio.gateway import Gateway, open_gateway
from bench.processes import SYSTEM_CORE, pinned
from bench.programs import ROOT

DELAY_S: Final = 0.3
APART_S: Final = 0.01
TOKENS: Final = 60
RATE: Final = 50.0
WAYS: Final = ((1, 0.0), (40, APART_S), (40, 0.0))
"""How many at once, and how many seconds apart their first tokens are."""
ANSWERS: Final = 40
"""Of each kind, so that one lane is measured as often as forty."""
LONGEST_S: Final = 180.0

FIRST_TOKEN_ALLOWED_S: Final = 0.010
ALLOWED_PART: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One figure as it was measured and as it was."""

    measured: float
    true: float

    @property
    def error(self) -> float:
        """How far off it is."""
        return abs(self.measured - self.true)

    @property
    def first_token_share(self) -> float:
        """Of the error that a time to the first token may have: 10 ms and 2 %; 1 uses it up."""
        return self.error / (FIRST_TOKEN_ALLOWED_S + ALLOWED_PART * self.true)

    @property
    def part(self) -> float:
        """The error as a part of the truth."""
        return self.error / self.true


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One answer. speed: None where the receipt has none, as of an answer that is no stream."""

    first_token_s: Pair
    speed: Pair | None


async def ask(gateway: Gateway, tag: int, *, stream: bool, apart_s: float = APART_S) -> Measured:
    """One answer of the endpoint, and the truth about it. apart_s: between a tag and the next."""
    delay_s = DELAY_S + apart_s * tag
    question = f"tokens={TOKENS} rate={RATE:g} delay={delay_s:g} tag={tag}"
    said = Conversation(turns=(Turn(role=Role.USER, content=question),))
    request = ChatRequest(model="bench", conversation=said, stream=stream)
    asked_ns, texts, receipt = time.monotonic_ns(), list[str](), None
    async with aclosing(gateway.stream(request)) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                texts.append(event.text)
            elif isinstance(event, Finished):
                receipt = event.receipt
    assert receipt is not None
    return compared(receipt, asked_ns, "".join(texts))


def compared(receipt: Receipt, asked_ns: int, text: str) -> Measured:
    """The receipt beside what the tokens' stamps say."""
    stamps = [int(found) for found in re.findall(r"@(\d{16})", text)]
    assert len(stamps) == TOKENS
    assert receipt.first_token_s is not None
    first = Pair(measured=receipt.first_token_s, true=(stamps[0] - asked_ns) / 1e9)
    if receipt.tokens_per_s is None:
        return Measured(first_token_s=first, speed=None)
    true = (TOKENS - 1) / ((stamps[-1] - stamps[0]) / 1e9)
    return Measured(first_token_s=first, speed=Pair(measured=receipt.tokens_per_s, true=true))


@asynccontextmanager
async def gateway_to(port: int) -> AsyncIterator[Gateway]:
    """Ours, with the endpoint as its only one."""
    entry = {"url": f"http://127.0.0.1:{port}/v1", "models": ["bench"]}
    settings = read_settings({"ENDPOINTS": json.dumps([entry])}, env_file=None)
    async with open_gateway(settings) as gateway:
        await ask(gateway, 0, stream=True)  # the connection is there when the measuring begins
        yield gateway


async def ask_at_once(
    gateway: Gateway, lanes: int, *, stream: bool, apart_s: float = APART_S
) -> list[Measured]:
    """So many at the same time; apart_s: between their first tokens."""
    asked = (ask(gateway, n, stream=stream, apart_s=apart_s) for n in range(lanes))
    return list(await asyncio.gather(*asked))


async def measure_all(port: int) -> dict[str, dict[str, float | None]]:
    """Kind → the errors, the middle and the largest of ANSWERS answers."""
    found: dict[str, dict[str, float | None]] = {}
    async with gateway_to(port) as gateway:
        for stream in (True, False):
            for lanes, apart_s in WAYS:
                measured: list[Measured] = []
                while len(measured) < (ANSWERS if lanes > 1 else ANSWERS // 4):
                    measured += await ask_at_once(gateway, lanes, stream=stream, apart_s=apart_s)
                when = f"{lanes} {'in one instant' if lanes > 1 and not apart_s else 'at once'}"
                found[f"{when}, {'streamed' if stream else 'whole'}"] = errors(measured)
    return found


def errors(measured: Sequence[Measured]) -> dict[str, float | None]:
    """In milliseconds, shares of what is allowed, and percent."""
    first = [each.first_token_s for each in measured]
    speed = [each.speed for each in measured if each.speed is not None]
    return {
        "first_ms_p50": 1000 * middle(pair.error for pair in first),
        "first_ms_max": 1000 * max(pair.error for pair in first),
        "first_share": max(pair.first_token_share for pair in first),
        "speed_percent_p50": 100 * middle(pair.part for pair in speed) if speed else None,
        "speed_percent_max": 100 * max(pair.part for pair in speed) if speed else None,
    }


def middle(values: Iterable[float]) -> float:
    """The median, one of the values."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def measure(port: int, notes: list[str]) -> dict[str, dict[str, float | None]]:
    """Kind → errors, from a process of its own; notes are added to."""
    command = pinned([sys.executable, "-m", "bench.true_measures", str(port)], SYSTEM_CORE)
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=LONGEST_S)
        found: dict[str, dict[str, float | None]] = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.TimeoutExpired, IndexError, ValueError) as error:
        notes.append(f"The true measures could not be taken: {type(error).__name__}")
        print(notes[-1])
        return {}
    for kind, figures in found.items():
        print(f"true measures  {kind:24} {figures}", flush=True)
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure_all(int(sys.argv[1])))))
