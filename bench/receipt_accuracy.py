"""Measures how far the figures of the receipts are from the actual times of an endpoint.

`measure` starts `python -m bench.receipt_accuracy PORT` on the core of the systems under test.
The endpoint (`bench/upstream.c`) waits DELAY_S before its first token and stamps each token with
the clock that all processes of the machine share. Forty answers start APART_S after each other,
and again in the same instant, when the last one has to wait for the reader.
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
LOADS: Final = ((1, 0.0), (40, APART_S), (40, 0.0))
"""The number of concurrent answers, and the seconds between their first tokens."""
ANSWERS: Final = 40
"""Answers of each load, so that single ones are measured as often as concurrent ones."""
TIMEOUT_S: Final = 180.0

FIRST_TOKEN_TOLERANCE_S: Final = 0.010
TOLERANCE_SHARE: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A figure as measured, and its true value."""

    measured: float
    true: float

    @property
    def error(self) -> float:
        """The absolute error."""
        return abs(self.measured - self.true)

    @property
    def first_token_share(self) -> float:
        """The error of a time to the first token as a share of the tolerance: 10 ms and 2 %."""
        return self.error / (FIRST_TOKEN_TOLERANCE_S + TOLERANCE_SHARE * self.true)

    @property
    def relative_error(self) -> float:
        """The error as a share of the true value."""
        return self.error / self.true


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The figures of one answer.

    Attributes:
        first_token_s: The time to the first token.
        speed: Tokens per second; None if the receipt has none, as without a stream.
    """

    first_token_s: Pair
    speed: Pair | None


async def run_request(
    gateway: Gateway, tag: int, *, stream: bool, apart_s: float = APART_S
) -> Measured:
    """Request an answer and compare its receipt with the truth.

    Args:
        gateway: The gateway under test.
        tag: The number of the answer among concurrent ones.
        stream: Whether to request a stream.
        apart_s: The seconds between the first tokens of two tags.
    """
    delay_s = DELAY_S + apart_s * tag
    prompt = f"tokens={TOKENS} rate={RATE:g} delay={delay_s:g} tag={tag}"
    conversation = Conversation(turns=(Turn(role=Role.USER, content=prompt),))
    request = ChatRequest(model="bench", conversation=conversation, stream=stream)
    sent_ns, texts, receipt = time.monotonic_ns(), list[str](), None
    async with aclosing(gateway.stream(request)) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                texts.append(event.text)
            elif isinstance(event, Finished):
                receipt = event.receipt
    assert receipt is not None
    return compare(receipt, sent_ns, "".join(texts))


def compare(receipt: Receipt, sent_ns: int, text: str) -> Measured:
    """Compare a receipt with the stamps of the tokens."""
    stamps = [int(stamp) for stamp in re.findall(r"@(\d{16})", text)]
    assert len(stamps) == TOKENS
    assert receipt.first_token_s is not None
    first = Pair(measured=receipt.first_token_s, true=(stamps[0] - sent_ns) / 1e9)
    if receipt.tokens_per_s is None:
        return Measured(first_token_s=first, speed=None)
    true = (TOKENS - 1) / ((stamps[-1] - stamps[0]) / 1e9)
    return Measured(first_token_s=first, speed=Pair(measured=receipt.tokens_per_s, true=true))


@asynccontextmanager
async def gateway_to(port: int) -> AsyncIterator[Gateway]:
    """Open a gateway whose only endpoint is at the port."""
    entry = {"url": f"http://127.0.0.1:{port}/v1", "models": ["bench"]}
    settings = read_settings({"ENDPOINTS": json.dumps([entry])}, env_file=None)
    async with open_gateway(settings) as gateway:
        await run_request(gateway, 0, stream=True)  # opens the connection before the measurement
        yield gateway


async def run_concurrently(
    gateway: Gateway, count: int, *, stream: bool, apart_s: float = APART_S
) -> list[Measured]:
    """Run concurrent requests, whose first tokens are `apart_s` apart."""
    requests = (run_request(gateway, n, stream=stream, apart_s=apart_s) for n in range(count))
    return list(await asyncio.gather(*requests))


async def measure_all(port: int) -> dict[str, dict[str, float | None]]:
    """Return the median and the largest errors of ANSWERS answers, for each kind of load."""
    figures: dict[str, dict[str, float | None]] = {}
    async with gateway_to(port) as gateway:
        for stream in (True, False):
            for count, apart_s in LOADS:
                measured: list[Measured] = []
                while len(measured) < (ANSWERS if count > 1 else ANSWERS // 4):
                    measured += await run_concurrently(
                        gateway, count, stream=stream, apart_s=apart_s
                    )
                when = f"{count} {'in one instant' if count > 1 and not apart_s else 'at once'}"
                figures[f"{when}, {'streamed' if stream else 'whole'}"] = errors(measured)
    return figures


def errors(measured: Sequence[Measured]) -> dict[str, float | None]:
    """Return the errors in milliseconds, as shares of the tolerance, and in percent."""
    first = [each.first_token_s for each in measured]
    speed = [each.speed.relative_error for each in measured if each.speed is not None]
    return {
        "first_ms_p50": 1000 * high_median(pair.error for pair in first),
        "first_ms_max": 1000 * max(pair.error for pair in first),
        "first_share": max(pair.first_token_share for pair in first),
        "speed_percent_p50": 100 * high_median(speed) if speed else None,
        "speed_percent_max": 100 * max(speed) if speed else None,
    }


def high_median(values: Iterable[float]) -> float:
    """Return the median, of an even number of values the upper one."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def measure(port: int, notes: list[str]) -> dict[str, dict[str, float | None]]:
    """Measure in a process of its own and return the errors by kind of load; add to notes."""
    command = pinned([sys.executable, "-m", "bench.receipt_accuracy", str(port)], SYSTEM_CORE)
    try:
        completed = subprocess.run(
            command, capture_output=True, text=True, cwd=ROOT, timeout=TIMEOUT_S
        )
        figures: dict[str, dict[str, float | None]] = json.loads(completed.stdout.splitlines()[-1])
    except (subprocess.TimeoutExpired, IndexError, ValueError) as error:
        notes.append(f"The accuracy of the receipts could not be measured: {type(error).__name__}")
        print(notes[-1])
        return {}
    for kind, errors_of_kind in figures.items():
        print(f"receipts       {kind:24} {errors_of_kind}", flush=True)
    return figures


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure_all(int(sys.argv[1])))))
