"""Visitors use every surface at once for minutes, against shares and budgets.

`make soak MINUTES=5 VISITORS=200`. Each round is one run of `tests.quota.budget_harness` with
another seed and another budget.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.quota.budget_harness import PRICE, problems_of, spend


async def play_round(folder: Path, visitors: int, seed: int) -> list[str]:
    """Run one round, and return the budgets that were exceeded."""
    share, total = 3000, visitors * 100
    kinds: tuple[dict[str, Any], ...] = (
        {"VISITOR_TOKENS_PER_DAY": share},
        {"TOKENS_PER_DAY": total},
        {"COST_PER_DAY": total * PRICE / 1_000_000},
    )
    budgets = kinds[seed % 3]
    words = 800 if budgets is kinds[0] else 30
    ledger = await spend(folder, visitors=visitors, requests=6, seed=seed, words=words, **budgets)
    sys.stdout.write(
        f"seed {seed}: {budgets}, {ledger.requests} calls, {ledger.total} tokens, "
        f"{max(ledger.tokens.values(), default=0)} of one visitor\n"
    )
    if "VISITOR_TOKENS_PER_DAY" in budgets:
        return problems_of(ledger, share=share)
    return problems_of(ledger, total=total)


def main() -> int:
    """Run rounds until the time is over, and print the problems."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visitors", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    until, problems = time.monotonic() + arguments.minutes * 60, []
    for seed in itertools.count(arguments.seed):
        with tempfile.TemporaryDirectory() as folder:
            problems += asyncio.run(play_round(Path(folder), arguments.visitors, seed))
        if time.monotonic() >= until:
            break
    sys.stdout.writelines(f"PROBLEM: {line}\n" for line in problems)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
