"""Load the page for minutes; then memory, open files and threads must return to their start values.

`make soak MINUTES=5 VISITORS=200`. The program runs in a process of its own, with a stub endpoint
on the loopback interface.
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
from typing import Any

import httpx

from tests.browser.servers import QUICK_RETRIES, App, running_app
from tests.browser.upstreams import answering, open_upstreams, split_tokens

WARM_UP_S = 10.0
SETTLE_S = 8.0
"""Longer than idle connections are kept, on both sides."""
SPARE_MEMORY_MB = 40.0
SPARE_FILES = 8


@dataclass(frozen=True, slots=True)
class Footprint:
    """The resources that a process holds."""

    memory_mb: float
    files: int
    threads: int

    @classmethod
    def of(cls, app: App) -> Footprint:
        """Measure it now, from /proc."""
        folder = Path(f"/proc/{app.process.pid}")
        fields = dict(
            line.split(":", 1)
            for line in (folder / "status").read_text().splitlines()
            if ":" in line
        )
        memory_mb = int(fields["VmRSS"].split()[0]) / 1024
        return cls(memory_mb, len(list((folder / "fd").iterdir())), int(fields["Threads"]))


@dataclass(slots=True)
class Tally:
    """The outcomes of the visitors' requests."""

    complete: int = 0
    stopped: int = 0
    failed: int = 0


async def visit(client: httpx.AsyncClient, model: str, until: float, tally: Tally) -> None:
    """Send one request after the other, and stop a fifth of the answers in the middle."""
    body = {"model": model, "turns": [{"role": "user", "text": "Hello"}]}
    while time.monotonic() < until:
        stops = random.random() < 0.2
        try:
            async with client.stream("POST", "/page/reply", json=body) as response:
                last = ""
                async for line in response.aiter_lines():
                    last = line or last
                    if stops and '"patch"' in line:
                        break
            if stops:
                tally.stopped += 1
            elif json.loads(last.removeprefix("data: ")).get("error") is None:
                tally.complete += 1
            else:
                tally.failed += 1
        except (httpx.HTTPError, ValueError):
            tally.failed += 1


async def visit_all(app: App, model: str, visitors: int, seconds: float) -> Tally:
    """Run so many visitors concurrently."""
    tally, until = Tally(), time.monotonic() + seconds
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=app.url, timeout=60, limits=limits) as client:
        await asyncio.gather(*(visit(client, model, until, tally) for _ in range(visitors)))
    return tally


def soak(
    visitors: int, seconds: float, warm_up_s: float = WARM_UP_S
) -> tuple[Footprint, Footprint, Tally]:
    """Return the footprint before and after, and the outcomes of the requests."""
    with open_upstreams(single=1, pairs=0) as upstreams, tempfile.TemporaryDirectory() as folder:
        (upstream,) = upstreams.single
        upstream.stub.set_behavior(
            answering(*split_tokens("An answer of some words, as they come"), tokens_per_s=40)
        )
        variables: dict[str, Any] = {
            "ENDPOINTS": upstreams.entries(),
            "EMBEDDED": "off",
            "REQUESTS_AT_ONCE": "150",
            "QUEUE_LENGTH": "10000",
            "TOKENS_PER_DAY": "1000000000",
            **QUICK_RETRIES,
        }
        with running_app(Path(folder), **variables) as app:
            asyncio.run(visit_all(app, upstream.model, visitors, warm_up_s))
            time.sleep(SETTLE_S)
            before = Footprint.of(app)
            tally = asyncio.run(visit_all(app, upstream.model, visitors, seconds))
            time.sleep(SETTLE_S)
            return before, Footprint.of(app), tally


def problems_of(before: Footprint, after: Footprint, tally: Tally) -> list[str]:
    """List what grew, and whether answers failed."""
    problems = []
    if after.memory_mb > before.memory_mb + SPARE_MEMORY_MB:
        problems.append(f"memory grew from {before.memory_mb:.0f} to {after.memory_mb:.0f} MB")
    if after.files > before.files + SPARE_FILES:
        problems.append(f"open files grew from {before.files} to {after.files}")
    if after.threads > before.threads + SPARE_FILES:
        problems.append(f"threads grew from {before.threads} to {after.threads}")
    if tally.failed or not tally.complete:
        problems.append(f"{tally.failed} answers failed, {tally.complete} were complete")
    return problems


def main() -> int:
    """Run it and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visitors", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=5.0)
    arguments = parser.parse_args()
    before, after, tally = soak(arguments.visitors, arguments.minutes * 60)
    sys.stdout.write(f"{tally}\nbefore {before}\nafter  {after}\n")
    problems = problems_of(before, after, tally)
    sys.stdout.writelines(f"PROBLEM: {line}\n" for line in problems)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
