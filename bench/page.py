"""Server CPU of a streamed token on our page and on `gr.ChatInterface`, its lag, and its bytes.

Both are driven without a browser, with the requests that one makes. How they begin in a browser:
`page_load.py`.
"""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import aclosing
from dataclasses import dataclass, field
from importlib.metadata import version
from statistics import quantiles
from typing import Final

import httpx

from bench.page_load import NoBrowser, measure_load
from bench.page_sites import SITES, Site, WrongPage
from bench.processes import DidNotStart, Running, free_port

Figures = dict[str, float | None]

VISITORS: Final = 2
"""What `gr.ChatInterface` bears with 100 turns on one core."""
CROWDS: Final = (1, 10, 50)
HELD: Final = (10, 20, 40, 80, 120, 160, 240)
"""Visitors at once; more and more, until they are not held any more."""
HELD_LAG_MS: Final = 150.0
TOKENS_PER_S: Final = 50
TURNS: Final = (0, 100)
READY_S: Final = 90.0
PATIENCE: Final = 3.0
PATIENCE_S: Final = 2.0
"""So many times as long as the tokens take, and this; who is slower than that has shown it."""

_TOKEN: Final = re.compile(r"#(\d+)\.(\d+)@(\d{16})")


@dataclass(slots=True)
class Heard:
    """What came to all visitors: the lag of each token, in milliseconds, and bytes. Live state."""

    lags_ms: list[float] = field(default_factory=list)
    received_bytes: int = 0


def measure(
    port: int, seconds: float, versions: dict[str, str], notes: list[str]
) -> dict[str, Figures]:
    """Page → its figures; versions and notes are added to."""
    found: dict[str, Figures] = {}
    upstream = f"http://127.0.0.1:{port}/v1"
    for site in SITES:
        versions[site.name] = f"{site.says}; gradio {version('gradio')}"
        found[site.name] = {}
        for turns in TURNS:
            try:
                found[site.name] |= _measure_site(site, upstream, turns, seconds)
            except (DidNotStart, WrongPage, NoBrowser, httpx.HTTPError) as error:
                notes.append(f"`{site.name}`, {turns} turns: {type(error).__name__}: {error}")
                print(notes[-1])
        print(f"page           {site.name:16} {found[site.name]}", flush=True)
    return found


def _measure_site(site: Site, upstream: str, turns: int, seconds: float) -> Figures:
    port = free_port()
    command, environment = site.start(port, upstream, turns)
    environment = {"GRADIO_ANALYTICS_ENABLED": "False", **environment}
    running = Running(site.name, command, environment=environment)
    base = f"http://127.0.0.1:{port}"
    try:
        _wait_ready(running, base + site.ready_path)
        _visited(site, base, turns, 1, 0.2)  # what the first visit alone costs
        running.settle()
        figures = _costs(running, site, base, turns, seconds)
        if not turns:
            figures |= _crowds(site, base, seconds / 2)
            figures |= measure_load(base, site.usable)
    finally:
        running.stop()
    return figures


def _costs(running: Running, site: Site, base: str, turns: int, seconds: float) -> Figures:
    """CPU seconds of a thousand tokens, their lag, and the bytes of each."""
    idle_cores = _cores(running, seconds / 2)
    before, began = running.cpu_s(), time.monotonic()
    heard = _visited(site, base, turns, VISITORS, seconds)
    # Gradio polls also when nobody is there, which is no token's cost.
    cpu_s = running.cpu_s() - before - idle_cores * (time.monotonic() - began)
    tokens = len(heard.lags_ms)
    if not tokens:
        raise WrongPage("no token came in time")
    figures: Figures = {f"cpu_s_{turns}": 1000 * cpu_s / tokens}
    figures[f"bytes_{turns}"] = heard.received_bytes / tokens
    return figures | _lag(heard.lags_ms, str(turns))


def _crowds(site: Site, base: str, seconds: float) -> Figures:
    """The lag among so many visitors, and how many visitors one process holds."""
    figures: Figures = {}
    for visitors in CROWDS:
        heard = _visited(site, base, 0, visitors, seconds)
        figures |= _lag(heard.lags_ms, f"crowd_{visitors}")
    held = 0
    for visitors in HELD:
        heard = _visited(site, base, 0, visitors, seconds)
        whole = len(heard.lags_ms) == visitors * int(seconds * TOKENS_PER_S)
        if not whole or quantiles(heard.lags_ms, n=100)[98] > HELD_LAG_MS:
            break
        held = visitors
    return figures | {"held": held}


def _cores(running: Running, seconds: float) -> float:
    """How much of a core it uses while nobody asks."""
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
            raise DidNotStart(running.last_words())
        try:
            if httpx.get(url, timeout=10).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise DidNotStart(f"not ready in {READY_S:g} s")


def _visited(site: Site, base: str, turns: int, visitors: int, seconds: float) -> Heard:
    """So many visitors ask at once for `seconds` of tokens; what came while there was patience."""
    heard = Heard()

    async def all_of_them() -> None:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=base, limits=limits, timeout=60) as client:
            visits = (
                _visit(client, site, turns, n, n / visitors, seconds, heard)
                for n in range(visitors)
            )
            try:
                async with asyncio.timeout(PATIENCE_S + PATIENCE * seconds):
                    await asyncio.gather(*visits)
            except TimeoutError:
                pass

    asyncio.run(all_of_them())
    return heard


async def _visit(
    client: httpx.AsyncClient,
    site: Site,
    turns: int,
    number: int,
    after_s: float,
    seconds: float,
    heard: Heard,
) -> None:
    """One visitor's answer, token by token. Raises WrongPage."""
    await asyncio.sleep(after_s)
    tokens, expected = int(seconds * TOKENS_PER_S), 0
    message = f"tokens={tokens} rate={TOKENS_PER_S} tag={number}"
    async with aclosing(site.lines(client, message, turns)) as lines:
        async for line in lines:
            now_ns = time.monotonic_ns()
            heard.received_bytes += len(line.encode()) + 1
            for tag, place, made_ns in _TOKEN.findall(line) if site.shows(line) else ():
                if int(tag) != number or int(place) > expected:
                    raise WrongPage(f"token {place} of {tag} in place of {expected}")
                if int(place) == expected:
                    expected += 1
                    heard.lags_ms.append((now_ns - int(made_ns)) / 1e6)
    if expected != tokens:
        raise WrongPage(f"{expected} of {tokens} tokens came")
