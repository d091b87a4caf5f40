"""Load the page for minutes with honest and hostile visitors.

`make soak MINUTES=10 VISITORS=200`. Honest answers must be complete, their tokens in time, memory
below its bound; afterwards memory, open files and threads must return to their start values. The
program runs in a process of its own, with stub endpoints on the loopback interface.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.browser.servers import QUICK_RETRIES, ROOT, App, running_app
from tests.browser.upstreams import answering, open_upstreams, split_tokens
from tests.soak.attacks import TEXTS, answering_with
from tests.soak.latency import Measurement, Server, measure, problems_of
from tests.soak.listener import ticking

WARM_UP_S = 12.0
SETTLE_S = 8.0
"""Longer than idle connections are kept, on both sides."""
SPARE_MEMORY_MB = 80.0
"""The allocator keeps what large bodies needed."""
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
    failures: Counter[str] = field(default_factory=Counter)


async def visit(client: httpx.AsyncClient, model: str, until: float, tally: Tally) -> None:
    """Send one request after the other, and stop a fifth of the answers in the middle."""
    body = {"model": model, "turns": [{"role": "user", "text": "Hello"}]}
    headers = {"x-forwarded-for": f"10.0.{random.randrange(1, 255)}.{random.randrange(1, 255)}"}
    while time.monotonic() < until:
        stops = random.random() < 0.2
        try:
            async with client.stream("POST", "/page/reply", json=body, headers=headers) as response:
                last = ""
                async for line in response.aiter_lines():
                    last = line or last
                    if stops and '"patch"' in line:
                        break
            if stops:
                tally.stopped += 1
            elif (error := json.loads(last.removeprefix("data: ")).get("error")) is None:
                tally.complete += 1
            else:
                tally.failed += 1
                tally.failures[error["code"]] += 1
        except (httpx.HTTPError, ValueError) as problem:
            tally.failed += 1
            tally.failures[type(problem).__name__] += 1


async def visit_all(app: App, model: str, visitors: int, seconds: float) -> Tally:
    """Run so many visitors concurrently."""
    tally, until = Tally(), time.monotonic() + seconds
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=app.url, timeout=60, limits=limits) as client:
        await asyncio.gather(*(visit(client, model, until, tally) for _ in range(visitors)))
    return tally


def visit_in_thread(app: App, model: str, visitors: int, seconds: float) -> Callable[[], Tally]:
    """Start the honest visitors, and return a function that waits for their tally."""
    tallies: list[Tally] = []

    def run() -> None:
        tallies.append(asyncio.run(visit_all(app, model, visitors, seconds)))

    thread = threading.Thread(target=run)
    thread.start()

    def wait() -> Tally:
        thread.join()
        return tallies[0]

    return wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a soak measured.

    Attributes:
        before: The resources after a warm-up.
        after: The resources at the end.
        tally: The outcomes of the honest requests.
        quiet_s: The delay of tokens among honest visitors alone, in seconds.
        attacked: The delays and the memory during the attacks.
    """

    before: Footprint
    after: Footprint
    tally: Tally
    quiet_s: float
    attacked: Measurement


def soak(visitors: int, seconds: float, warm_up_s: float = WARM_UP_S) -> Result:
    """Run honest visitors, then honest and hostile ones."""
    with open_upstreams(single=3, pairs=0) as upstreams, tempfile.TemporaryDirectory() as folder:
        listened, hostile, honest = upstreams.single
        listened.stub.set_behavior(ticking())
        hostile.stub.set_behavior(answering_with(TEXTS["list"], 1_000_000, 4000))
        honest.stub.set_behavior(
            answering(*split_tokens("An answer of some words, as they come"), tokens_per_s=40)
        )
        variables: dict[str, Any] = {
            "ENDPOINTS": upstreams.entries(),
            "EMBEDDED": "off",
            "REQUESTS_AT_ONCE": "250",
            "QUEUE_LENGTH": "10000",
            "TOKENS_PER_DAY": "1000000000",
            "TRUSTED_PROXIES": "1",
            **QUICK_RETRIES,
            "CONNECT_TIMEOUT": "20",
        }
        with running_app(Path(folder), **variables) as app:
            server = Server(app, upstreams)
            wait = visit_in_thread(app, honest.model, visitors, warm_up_s)
            quiet_s = measure(server, [], warm_up_s - 2).p99_s
            wait()
            time.sleep(SETTLE_S)
            before = Footprint.of(app)
            attackers = subprocess.Popen(
                [sys.executable, "-m", "tests.soak.attackers", app.url, str(seconds), "1"], cwd=ROOT
            )
            wait = visit_in_thread(app, honest.model, visitors, seconds)
            attacked = measure(server, [], seconds - 2)
            tally = wait()
            attackers.wait()
            time.sleep(2 * SETTLE_S)
            after = Footprint.of(app)
            return Result(
                before=before, after=after, tally=tally, quiet_s=quiet_s, attacked=attacked
            )


def leaks_of(before: Footprint, after: Footprint, tally: Tally) -> list[str]:
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
    result = soak(arguments.visitors, arguments.minutes * 60)
    attacked = result.attacked
    sys.stdout.write(
        f"{result.tally}\nbefore {result.before}\nafter  {result.after}\n"
        f"99th percentile of the delay: {result.quiet_s * 1000:.0f} ms among honest visitors, "
        f"{attacked.p99_s * 1000:.0f} ms during attacks ({len(attacked.delays_s)} patches)\n"
        f"memory at most {attacked.memory_mb:.0f} MB in {attacked.by_process_mb}\n"
    )
    problems = leaks_of(result.before, result.after, result.tally)
    problems += problems_of(attacked, result.quiet_s)
    sys.stdout.writelines(f"PROBLEM: {line}\n" for line in problems)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
