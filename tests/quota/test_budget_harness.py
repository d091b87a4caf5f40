"""200 visitors at once through every surface never use more than their shares and the budgets."""

from __future__ import annotations

from pathlib import Path

import pytest

from akash_gradio.quota import admission, redis_counters
from tests.quota.budget_harness import PRICE, Ledger, problems_of, spend
from tests.quota.redis_server import RedisServer

SURFACES = {"chat", "continue", "lanes", "run", "stream", "whole"}


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests wait a tenth of the time for what others hold."""
    monkeypatch.setattr(admission, "HELD_WAIT_S", admission.HELD_WAIT_S / 10)
    monkeypatch.setattr(admission, "HELD_POLL_S", admission.HELD_POLL_S / 10)


def used_surfaces(ledger: Ledger) -> set[str]:
    """Return the surfaces on which requests were answered."""
    return {surface for (surface, status), count in ledger.surfaces.items() if status == 200}


async def test_no_visitor_exceeds_a_share(tmp_path: Path) -> None:
    ledger = await spend(
        tmp_path, visitors=200, requests=3, seed=1, words=800, VISITOR_TOKENS_PER_DAY=1000
    )
    assert used_surfaces(ledger) == SURFACES
    assert problems_of(ledger, share=1000) == []
    assert max(ledger.tokens.values()) > 1000 / 2  # it isn't refused either


async def test_all_visitors_together_do_not_exceed_a_budget_of_tokens(tmp_path: Path) -> None:
    ledger = await spend(tmp_path, visitors=200, requests=1, seed=2, TOKENS_PER_DAY=4000)
    assert problems_of(ledger, total=4000) == []
    assert ledger.total > 4000 / 3


async def test_all_visitors_together_do_not_exceed_a_budget_of_money(tmp_path: Path) -> None:
    dollars = 4000 * PRICE / 1_000_000
    ledger = await spend(tmp_path, visitors=200, requests=1, seed=3, COST_PER_DAY=dollars)
    assert problems_of(ledger, total=4000) == []
    assert ledger.total > 4000 / 3


async def test_two_replicas_with_one_redis_share_a_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_counters, "TIMEOUT_S", 20.0)  # a busy machine
    with RedisServer(tmp_path) as redis:
        ledger = await spend(
            tmp_path,
            visitors=100,
            requests=1,
            seed=4,
            replicas=2,
            TOKENS_PER_DAY=4000,
            REDIS_URL=redis.url,
        )
    assert problems_of(ledger, total=4000) == []
    assert ledger.total > 4000 / 3
