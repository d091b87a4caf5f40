"""Many visitors for minutes; then memory, open files and connections must be what they were.

`make soak MINUTES=5 VISITORS=200`. The program runs by itself over an endpoint of our own,
and every address is this machine's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.browser.servers import QUICK_RETRIES, App, running_app
from tests.browser.upstreams import answering, open_upstreams, tokens_of

WARM_S = 10.0
SETTLE_S = 8.0
"""Longer than idle connections are kept, on both sides."""
MEMORY_SLACK_MB = 40.0
FILES_SLACK = 8


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the process holds."""

    memory_mb: float
    files: int
    threads: int

    @classmethod
    def of(cls, app: App) -> Footprint:
        """Now, by /proc."""
        folder = Path(f"/proc/{app.process.pid}")
        facts = dict(
            line.split(":", 1)
            for line in (folder / "status").read_text().splitlines()
            if ":" in line
        )
        memory_mb = int(facts["VmRSS"].split()[0]) / 1024
        return cls(memory_mb, len(list((folder / "fd").iterdir())), int(facts["Threads"]))


@dataclass(slots=True)
class Tally:
    """Live. What the visitors saw."""

    whole: int = 0
    stopped: int = 0
    wrong: int = 0


async def visit(client: httpx.AsyncClient, model: str, until: float, tally: Tally) -> None:
    """Ask again and again; a fifth of the answers is stopped in the middle."""
    body = {"model": model, "turns": [{"role": "user", "text": "Hello"}]}
    while time.monotonic() < until:
        stops = random.random() < 0.2
        try:
            async with client.stream("POST", "/page/reply", json=body) as answer:
                last = ""
                async for line in answer.aiter_lines():
                    last = line or last
                    if stops and '"patch"' in line:
                        break
            if stops:
                tally.stopped += 1
            elif json.loads(last.removeprefix("data: ")).get("error") is None:
                tally.whole += 1
            else:
                tally.wrong += 1
        except (httpx.HTTPError, ValueError):
            tally.wrong += 1


async def crowd(app: App, model: str, visitors: int, seconds: float) -> Tally:
    """So many visitors at once, for so long."""
    tally, until = Tally(), time.monotonic() + seconds
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=app.url, timeout=60, limits=limits) as client:
        await asyncio.gather(*(visit(client, model, until, tally) for _ in range(visitors)))
    return tally


def soak(
    visitors: int, seconds: float, warm_s: float = WARM_S
) -> tuple[Footprint, Footprint, Tally]:
    """The footprint before and after, and what the visitors saw."""
    with open_upstreams(single=1, pairs=0) as upstreams, tempfile.TemporaryDirectory() as folder:
        (upstream,) = upstreams.single
        upstream.stub.set_behavior(
            answering(*tokens_of("An answer of some words, as they come"), tokens_per_s=40)
        )
        options = {"ENDPOINTS": upstreams.entries(), "EMBEDDED": "off", **QUICK_RETRIES}
        limits = {
            "REQUESTS_AT_ONCE": "150",
            "QUEUE_LENGTH": "10000",
            "TOKENS_PER_DAY": "1000000000",
        }
        with running_app(Path(folder), **options, **limits) as app:
            asyncio.run(crowd(app, upstream.model, visitors, warm_s))
            time.sleep(SETTLE_S)
            before = Footprint.of(app)
            tally = asyncio.run(crowd(app, upstream.model, visitors, seconds))
            time.sleep(SETTLE_S)
            return before, Footprint.of(app), tally


def complaints(before: Footprint, after: Footprint, tally: Tally) -> list[str]:
    """What did not return to where it was."""
    found = []
    if after.memory_mb > before.memory_mb + MEMORY_SLACK_MB:
        found.append(f"memory grew from {before.memory_mb:.0f} to {after.memory_mb:.0f} MB")
    if after.files > before.files + FILES_SLACK:
        found.append(f"open files grew from {before.files} to {after.files}")
    if after.threads > before.threads + FILES_SLACK:
        found.append(f"threads grew from {before.threads} to {after.threads}")
    if tally.wrong or not tally.whole:
        found.append(f"{tally.wrong} answers went wrong, {tally.whole} came whole")
    return found


def main() -> int:
    """Run it and say what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visitors", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=5.0)
    asked = parser.parse_args()
    before, after, tally = soak(asked.visitors, asked.minutes * 60)
    sys.stdout.write(f"{tally}\nbefore {before}\nafter  {after}\n")
    found = complaints(before, after, tally)
    sys.stdout.writelines(f"WRONG: {line}\n" for line in found)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
