"""Hostile visitors: send random attacks until the time is over.

`python -m tests.soak.attackers URL SECONDS SEED`. A process of its own, because it builds bodies of
many megabytes.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time

from tests.soak.attacks import WORST_INPUTS, send

VISITORS = 4
LONGEST_S = 5.0


async def attack(url: str, address: str, until: float, choose: random.Random) -> None:
    """Send one attack after the other, all from one address."""
    headers = {"x-forwarded-for": address}
    while time.monotonic() < until:
        route = choose.choice(list(WORST_INPUTS))
        for chosen in WORST_INPUTS[route]():
            limit_s = min(LONGEST_S, until - time.monotonic())
            await send(url, route, chosen, limit_s=max(limit_s, 0.1), headers=headers)
            await asyncio.sleep(0.1)


async def main(url: str, seconds: float, seed: int) -> None:
    """Run the hostile visitors at the same time."""
    until = time.monotonic() + seconds
    await asyncio.gather(
        *(
            attack(url, f"10.9.9.{number}", until, random.Random(seed + number))
            for number in range(VISITORS)
        )
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))
