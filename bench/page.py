"""Server CPU of a streamed token on our page and on `gr.ChatInterface`, and its lag.

Both are driven without a browser, with the requests that one makes.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from importlib.metadata import version
from statistics import quantiles
from typing import Any, Final

import httpx

from bench.processes import DidNotStart, Running, free_port
from bench.programs import ROOT

VISITORS: Final = 2
"""What `gr.ChatInterface` bears with 100 turns on one core."""
CROWD: Final = 50
TOKENS_PER_S: Final = 50
TURNS: Final = (0, 100)
READY_S: Final = 90.0

_TOKEN: Final = re.compile(r"#(\d+)\.(\d+)@(\d{16})")

Lines = Callable[[httpx.AsyncClient, str, int], AsyncGenerator[str, None]]
"""A client, a message and how many turns came before it → the lines of the answer's stream."""


class WrongPage(Exception):
    """A token came in the wrong place, or none came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A page: how it is started (port, endpoint's base URL, turns), when it is up, and asked."""

    name: str
    says: str
    start: Callable[[int, str, int], tuple[list[str], dict[str, str]]]
    ready_path: str
    lines: Lines
    crowd: bool


def measure(
    port: int, seconds: float, versions: dict[str, str], notes: list[str]
) -> dict[str, dict[str, float | None]]:
    """Page → its figures; versions and notes are added to."""
    found: dict[str, dict[str, float | None]] = {}
    upstream = f"http://127.0.0.1:{port}/v1"
    for site in SITES:
        versions[site.name] = f"{site.says}; gradio {version('gradio')}"
        found[site.name] = {}
        for turns in TURNS:
            try:
                found[site.name] |= _measure_site(site, upstream, turns, seconds)
            except (DidNotStart, WrongPage, httpx.HTTPError) as error:
                notes.append(f"`{site.name}`, {turns} turns: {type(error).__name__}: {error}")
                print(notes[-1])
        print(f"page           {site.name:16} {found[site.name]}", flush=True)
    return found


def _measure_site(site: Site, upstream: str, turns: int, seconds: float) -> dict[str, float | None]:
    port = free_port()
    command, environment = site.start(port, upstream, turns)
    environment = {"GRADIO_ANALYTICS_ENABLED": "False", **environment}
    running = Running(site.name, command, environment=environment)
    base = f"http://127.0.0.1:{port}"
    try:
        _wait_ready(running, base + site.ready_path)
        asyncio.run(_visit(site, base, turns, 1, 0.2))  # what the first visit alone costs
        running.settle()
        idle_cores = _cores(running, seconds / 2)
        before, began = running.cpu_s(), time.monotonic()
        lags_ms = asyncio.run(_visit(site, base, turns, VISITORS, seconds))
        # Gradio polls also when nobody is there, which is no token's cost.
        cpu_s = running.cpu_s() - before - idle_cores * (time.monotonic() - began)
        figures: dict[str, float | None] = {f"cpu_s_{turns}": 1000 * cpu_s / len(lags_ms)}
        figures |= _lag(lags_ms, str(turns))
        if site.crowd and not turns:
            figures |= _lag(asyncio.run(_visit(site, base, turns, CROWD, seconds)), "crowd")
    finally:
        running.stop()
    return figures


def _cores(running: Running, seconds: float) -> float:
    """How much of a core it uses while nobody asks."""
    before = running.cpu_s()
    time.sleep(seconds)
    return (running.cpu_s() - before) / seconds


def _lag(lags_ms: list[float], name: str) -> dict[str, float | None]:
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


async def _visit(site: Site, base: str, turns: int, visitors: int, seconds: float) -> list[float]:
    """So many visitors ask at once for `seconds` of tokens; the lag of each, in milliseconds."""
    tokens = int(seconds * TOKENS_PER_S)
    limits = httpx.Limits(max_connections=None)
    lags_ms: list[float] = []

    async def visit(number: int) -> None:
        await asyncio.sleep(number / visitors)
        expected, message = 0, f"tokens={tokens} rate={TOKENS_PER_S} tag={number}"
        async with aclosing(site.lines(client, message, turns)) as lines:
            async for line in lines:
                now_ns = time.monotonic_ns()
                for tag, place, made_ns in _TOKEN.findall(line):
                    if int(tag) != number or int(place) > expected:
                        raise WrongPage(f"token {place} of {tag} in place of {expected}")
                    if int(place) == expected:
                        expected += 1
                        lags_ms.append((now_ns - int(made_ns)) / 1e6)
        if expected != tokens:
            raise WrongPage(f"{expected} of {tokens} tokens came")

    async with httpx.AsyncClient(base_url=base, limits=limits, timeout=60) as client:
        await asyncio.gather(*(visit(number) for number in range(visitors)))
    return lags_ms


def _start_ours(port: int, upstream: str, _turns: int) -> tuple[list[str], dict[str, str]]:
    endpoints = [{"url": upstream, "models": ["bench"]}]
    environment = {
        "ENDPOINTS": json.dumps(endpoints),
        "EMBEDDED": "off",
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
    }
    return [sys.executable, str(ROOT / "app.py")], environment


async def _ours(client: httpx.AsyncClient, message: str, turns: int) -> AsyncGenerator[str, None]:
    said = [
        {"role": ("user", "assistant")[number % 2], "text": f"Turn {number}. " + "word " * 80}
        for number in range(turns)
    ]
    body = {"model": "bench", "turns": [*said, {"role": "user", "text": message}]}
    async with client.stream("POST", "/page/reply", json=body) as answer:
        async for line in answer.aiter_lines():
            yield line


def _start_chat_interface(port: int, upstream: str, turns: int) -> tuple[list[str], dict[str, str]]:
    command = [sys.executable, "-m", "bench.peers.chat_interface", "--port", str(port)]
    return [*command, "--upstream", upstream, "--turns", str(turns)], {}


async def _chat_interface(
    client: httpx.AsyncClient, message: str, _turns: int
) -> AsyncGenerator[str, None]:
    """What its own script does: keep the message, then run the answer's event."""
    config = (await client.get("/config")).json()
    keep, answer = _events(config)
    session = uuid.uuid4().hex
    for event, data in ((keep, [message]), (answer, [None, None])):
        joined = {"fn_index": event, "data": data, "session_hash": session}
        (await client.post("/gradio_api/queue/join", json=joined)).raise_for_status()
        parameters = {"session_hash": session}
        async with client.stream("GET", "/gradio_api/queue/data", params=parameters) as stream:
            async for line in stream.aiter_lines():
                yield line if event == answer and '"process_generating"' in line else ""
                if '"process_completed"' in line:
                    break


def _events(config: dict[str, Any]) -> tuple[int, int]:
    """The events of the text box's Enter and of the answer that follows it."""
    dependencies = config["dependencies"]
    boxes = {part["id"] for part in config["components"] if part["type"] == "textbox"}
    for entry in dependencies:
        targets = {tuple(target) for target in entry["targets"]}
        if any((box, "submit") in targets for box in boxes):
            keep = int(entry["id"])
            break
    else:
        raise WrongPage("no event of the text box")
    echo = next(e for e in dependencies if e["trigger_after"] == keep)
    answer = next(e for e in dependencies if e["trigger_after"] == echo["id"])
    return keep, int(answer["id"])


SITES: Final = (
    Site(
        name="page",
        says="ours, POST /page/reply",
        start=_start_ours,
        ready_path="/page/boot",
        lines=_ours,
        crowd=True,
    ),
    Site(
        name="chat_interface",
        says="gr.ChatInterface, each token yielded",
        start=_start_chat_interface,
        ready_path="/config",
        lines=_chat_interface,
        crowd=False,
    ),
)
