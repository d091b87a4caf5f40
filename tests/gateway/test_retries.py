from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akash_gradio.gateway.retries import (
    BUDGET_FLOOR,
    RetryBudget,
    backoff_s,
    longest_backoff_s,
    rescue_refund,
)


def test_the_backoff_doubles_each_round_up_to_thirty_seconds() -> None:
    assert [longest_backoff_s(n, 1000) for n in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]
    assert longest_backoff_s(10_000, 30_000) == 30
    assert longest_backoff_s(3, 0) == 0


@given(st.integers(1, 50), st.integers(0, 30_000), st.floats(0, 1))
def test_the_pause_is_between_half_of_the_longest_and_the_whole(
    round_number: int, delay_ms: int, jitter: float
) -> None:
    longest_s = longest_backoff_s(round_number, delay_ms)
    assert longest_s / 2 <= backoff_s(round_number, delay_ms, jitter) <= longest_s <= 30
    assert backoff_s(round_number, delay_ms, 0) == longest_s / 2
    assert backoff_s(round_number, delay_ms, 1) == longest_s


def spend_all(budget: RetryBudget, now: float) -> int:
    """Spend the budget, and return the number of retries."""
    count = 0
    while budget.can_afford(now):
        budget.spend(now)
        count += 1
    return count


def test_the_budget_has_a_floor_without_requests() -> None:
    assert spend_all(RetryBudget(), 0) == BUDGET_FLOOR


@given(st.integers(0, 300))
def test_the_budget_adds_a_fifth_of_the_recent_requests(requests: int) -> None:
    budget = RetryBudget()
    for _ in range(requests):
        budget.earn(0)
    assert spend_all(budget, 1) == BUDGET_FLOOR + requests // 5


def test_the_budget_ignores_old_requests() -> None:
    budget = RetryBudget()
    for _ in range(100):
        budget.earn(0)
    assert spend_all(budget, 0) == BUDGET_FLOOR + 20
    assert not budget.can_afford(9.5)
    assert spend_all(budget, 11) == BUDGET_FLOOR


def test_an_outage_causes_at_most_a_fifth_more_calls() -> None:
    budget, repeats = RetryBudget(), 0
    for second in range(200):
        for _ in range(100):
            budget.earn(second)
        repeats += spend_all(budget, second)
    assert repeats <= 200 * 100 * 0.2 + 21 * BUDGET_FLOOR


def test_repeats_that_rescue_their_requests_are_never_refused() -> None:
    budget = RetryBudget()
    for number in range(5000):
        now = number / 1000
        budget.earn(now)
        for _ in range(3):
            assert budget.can_afford(now)
            budget.spend(now)
        budget.earn(now, rescue_refund(3))


@pytest.mark.parametrize("probability", [0.1, 0.3, 0.5, 0.7])
def test_an_endpoint_that_fails_at_random_gets_nearly_all_repeats(probability: float) -> None:
    chance, budget = random.Random(1), RetryBudget()
    refused = 0
    for number in range(5000):
        now = number / 50
        budget.earn(now)
        failed = 0
        for attempt in range(4):
            if attempt and not budget.can_afford(now):
                refused += 1
                break
            if chance.random() >= probability:
                budget.earn(now, rescue_refund(failed) if attempt else 0)
                break
            if attempt:
                budget.spend(now)
                failed += 1
    assert refused < 0.005 * 5000
