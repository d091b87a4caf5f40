"""An honest visitor: streams an answer whose tokens are timestamps, and reports their delays.

`python -m tests.soak.listener URL MODEL SECONDS` prints the delays in seconds as JSON. It is a
process of its own, so that the load of the attackers doesn't delay it.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time

import httpx

from tests.browser.upstreams import Behavior
from tests.stubs import Exchange, wire
from tests.stubs.behaviors import wants_stream

TOKENS_PER_S = 50.0
FROM = {"x-forwarded-for": "10.0.0.1"}
_TIME = re.compile(r"t(\d+\.\d{4})")


def clock_text() -> str:
    """Return the time as a token."""
    return f"t{time.monotonic():.4f} "


def ticking(seconds: float = 3600.0) -> Behavior:
    """Send the time, `TOKENS_PER_S` times a second, in paragraphs of some lines."""

    async def behavior(x: Exchange) -> None:
        if not wants_stream(x):
            await x.reply(wire.to_json(wire.completion("t0.0000")))
            return
        await x.open_stream()
        await x.send(wire.role_event())
        for number in range(int(seconds * TOKENS_PER_S)):
            ending = "\n\n" if number % 60 == 59 else ""
            await x.send(wire.text_event(clock_text() + ending))
            await asyncio.sleep(1 / TOKENS_PER_S)
        await x.send(wire.finish_event() + wire.usage_event() + wire.DONE)
        await x.end()

    return behavior


async def listen(url: str, model: str, seconds: float) -> list[float]:
    """Return the delay of the newest token of each patch, from the endpoint to this process."""
    body = {"model": model, "turns": [{"role": "user", "text": "What time is it?"}]}
    delays: list[float] = []
    end = time.monotonic() + seconds
    async with (
        httpx.AsyncClient(base_url=url, timeout=120, headers=FROM) as client,
        client.stream("POST", "/page/reply", json=body) as response,
    ):
        response.raise_for_status()
        async for line in response.aiter_lines():
            now = time.monotonic()
            if line.startswith("data: "):
                times = _TIME.findall(json.loads(line[6:]).get("text", ""))
                if times:
                    delays.append(now - float(times[-1]))
            if now > end:
                break
    return delays


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(listen(sys.argv[1], sys.argv[2], float(sys.argv[3])))))
