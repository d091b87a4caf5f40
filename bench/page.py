"""Measures server CPU, lag and bytes of a streamed token on the page and on `gr.ChatInterface`.

Both are driven without a browser, with the requests that one makes. `page_load.py` measures how
they load in a browser.
"""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import aclosing
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import quantiles
from typing import Final

import httpx

from bench.page_load import NoBrowser, measure_load
from bench.page_targets import PAGES, PageTarget, WrongPage, earlier_pages
from bench.processes import DidNotStart, Running, free_port

Figures = dict[str, float | None]

VISITORS: Final = 2
"""The most that `gr.ChatInterface` can serve with 100 turns on one core."""
CROWDS: Final = (1, 10, 50)
HELD_STEPS: Final = (10, 20, 40, 80, 120, 160, 240)
"""Numbers of concurrent visitors to try, until they aren't held any more."""
HELD_LAG_MS: Final = 150.0
TOKENS_PER_S: Final = 50
TURNS: Final = (0, 100)
READY_S: Final = 90.0
TIMEOUT_FACTOR: Final = 3.0
TIMEOUT_EXTRA_S: Final = 2.0
"""The time limit of a measurement: a multiple of the streams' length, and some seconds."""

_TOKEN: Final = re.compile(r"#(\d+)\.(\d+)@(\d{16})")


@dataclass(slots=True)
class Received:
    """What all visitors received: the lag of each token in milliseconds, and bytes."""

    lags_ms: list[float] = field(default_factory=list)
    received_bytes: int = 0


def measure(
    port: int,
    seconds: float,
    versions: dict[str, str],
    notes: list[str],
    against: Path | None = None,
) -> dict[str, Figures]:
    """Measure all pages.

    Args:
        port: The port of the stand-in endpoint.
        seconds: The length of each measurement.
        versions: The versions of the pages are added to it.
        notes: What could not be measured is added to it.
        against: Another checkout of this project, whose page is measured too.

    Returns:
        The figures of each page.
    """
    figures: dict[str, Figures] = {}
    upstream = f"http://127.0.0.1:{port}/v1"
    for page in (*PAGES, *earlier_pages(against)):
        versions[page.name] = f"{page.description}; gradio {version('gradio')}"
        figures[page.name] = {}
        for turns in TURNS:
            try:
                figures[page.name] |= _measure_page(page, upstream, turns, seconds)
            except (DidNotStart, WrongPage, NoBrowser, httpx.HTTPError) as error:
                notes.append(f"`{page.name}`, {turns} turns: {type(error).__name__}: {error}")
                print(notes[-1])
        print(f"page           {page.name:16} {figures[page.name]}", flush=True)
    return figures


def _measure_page(page: PageTarget, upstream: str, turns: int, seconds: float) -> Figures:
    port = free_port()
    command, environment = page.start(port, upstream, turns)
    environment = {"GRADIO_ANALYTICS_ENABLED": "False", **environment}
    running = Running(page.name, command, environment=environment)
    base = f"http://127.0.0.1:{port}"
    try:
        _wait_ready(running, base + page.ready_path)
        _visited(page, base, turns, 1, 0.2)  # the first visit costs more
        running.settle()
        figures = _costs(running, page, base, turns, seconds)
        if not turns:
            figures |= _crowds(page, base, seconds / 2)
            figures |= measure_load(base, page.usable)
    finally:
        running.stop()
    return figures


def _costs(running: Running, page: PageTarget, base: str, turns: int, seconds: float) -> Figures:
    """Measure the CPU seconds of a thousand tokens, their lag, and the bytes of each."""
    idle_cores = _cores(running, seconds / 2)
    before, started_at = running.cpu_s(), time.monotonic()
    received = _visited(page, base, turns, VISITORS, seconds)
    # Gradio polls without visitors too, which isn't a cost of the tokens.
    cpu_s = running.cpu_s() - before - idle_cores * (time.monotonic() - started_at)
    tokens = len(received.lags_ms)
    if not tokens:
        raise WrongPage("no token was received in time")
    figures: Figures = {f"cpu_s_{turns}": 1000 * cpu_s / tokens}
    figures[f"bytes_{turns}"] = received.received_bytes / tokens
    return figures | _lag(received.lags_ms, str(turns))


def _crowds(page: PageTarget, base: str, seconds: float) -> Figures:
    """Measure the lag for several numbers of visitors, and how many one process holds."""
    figures: Figures = {}
    for visitors in CROWDS:
        received = _visited(page, base, 0, visitors, seconds)
        figures |= _lag(received.lags_ms, f"crowd_{visitors}")
    held = 0
    for visitors in HELD_STEPS:
        received = _visited(page, base, 0, visitors, seconds)
        complete = len(received.lags_ms) == visitors * int(seconds * TOKENS_PER_S)
        if not complete or quantiles(received.lags_ms, n=100)[98] > HELD_LAG_MS:
            break
        held = visitors
    return figures | {"held": held}


def _cores(running: Running, seconds: float) -> float:
    """Measure how much of a core the page uses without requests."""
    before = running.cpu_s()
    time.sleep(seconds)
    return (running.cpu_s() - before) / seconds


def _lag(lags_ms: list[float], name: str) -> Figures:
    if len(lags_ms) < 2:
        return {f"lag_p50_{name}": None, f"lag_p99_{name}": None}
    cuts = quantiles(lags_ms, n=100)
    return {f"lag_p50_{name}": cuts[49], f"lag_p99_{name}": cuts[98]}


def _wait_ready(running: Running, url: str) -> None:
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        if not running.alive:
            raise DidNotStart(running.last_log_line())
        try:
            if httpx.get(url, timeout=10).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise DidNotStart(f"not ready in {READY_S:g} s")


def _visited(page: PageTarget, base: str, turns: int, visitors: int, seconds: float) -> Received:
    """Let visitors request `seconds` of tokens concurrently, and return what they received."""
    received = Received()

    async def visit_all() -> None:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=base, limits=limits, timeout=60) as client:
            visits = (
                _visit(client, page, turns, n, n / visitors, seconds, received)
                for n in range(visitors)
            )
            try:
                async with asyncio.timeout(TIMEOUT_EXTRA_S + TIMEOUT_FACTOR * seconds):
                    await asyncio.gather(*visits)
            except TimeoutError:
                pass

    asyncio.run(visit_all())
    return received


async def _visit(
    client: httpx.AsyncClient,
    page: PageTarget,
    turns: int,
    number: int,
    delay_s: float,
    seconds: float,
    received: Received,
) -> None:
    """Request one answer and check it token by token. Raises WrongPage."""
    await asyncio.sleep(delay_s)
    tokens, expected = int(seconds * TOKENS_PER_S), 0
    message = f"tokens={tokens} rate={TOKENS_PER_S} tag={number}"
    async with aclosing(page.lines(client, message, turns)) as lines:
        async for line in lines:
            now_ns = time.monotonic_ns()
            received.received_bytes += len(line.encode()) + 1
            for tag, place, made_ns in _TOKEN.findall(line) if page.has_tokens(line) else ():
                if int(tag) != number or int(place) > expected:
                    raise WrongPage(f"token {place} of {tag} instead of {expected}")
                if int(place) == expected:
                    expected += 1
                    received.lags_ms.append((now_ns - int(made_ns)) / 1e6)
    if expected != tokens:
        raise WrongPage(f"received {expected} of {tokens} tokens")
