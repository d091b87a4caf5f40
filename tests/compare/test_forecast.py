from __future__ import annotations

import pytest

from akash_gradio.compare.forecast import ANSWER_TOKENS, REASONING_ANSWER_TOKENS, Forecast, forecast
from akash_gradio.compare.plan import Lane, Plan
from akash_gradio.domain.chat import Sampling
from akash_gradio.domain.model import ModelCard
from tests.compare.fakes import endpoint, plan

CARDS = {
    "a": ModelCard(id="a", name="A", prompt_price=1.0, completion_price=2.0),
    "b": ModelCard(id="b", name="B", reasoning=True),
}


def estimate(
    run_plan: Plan, *, per_endpoint: int = 1, known: frozenset[int] = frozenset()
) -> Forecast:
    endpoints = [endpoint("eu-1", "a", "b")]
    return forecast(run_plan, CARDS.get, endpoints, per_endpoint=per_endpoint, known=known)


def test_calls_and_tokens_are_counted_per_task() -> None:
    result = estimate(plan("x" * 400, "y" * 40, repeats=3))
    assert result.calls == 12
    assert result.tokens_in == 2 * 3 * (100 + 4 + 10 + 4)
    assert result.tokens_out == 6 * ANSWER_TOKENS + 6 * REASONING_ANSWER_TOKENS


def test_the_cost_covers_the_lanes_with_prices_and_the_others_are_listed() -> None:
    result = estimate(plan("x" * 400))
    assert result.cost == pytest.approx((104 * 1.0 + ANSWER_TOKENS * 2.0) / 1_000_000)
    assert result.unpriced == ("b",)
    assert estimate(plan(models="b")).cost is None


def test_a_token_limit_and_a_system_prompt_count() -> None:
    lane = Lane(model="a", sampling=Sampling(max_tokens=50), system="s" * 80)
    result = estimate(plan("x" * 40, lanes=(lane,)))
    assert (result.tokens_in, result.tokens_out) == (10 + 4 + 20 + 4, 50)


def test_more_concurrent_calls_take_less_time() -> None:
    assert estimate(plan(), per_endpoint=4).duration_s == pytest.approx(
        estimate(plan()).duration_s / 4
    )


def test_tasks_with_a_row_are_not_counted() -> None:
    assert estimate(plan("one", "two"), known=frozenset({0, 1, 2})).calls == 1
    nothing = estimate(plan("one"), known=frozenset({0, 1}))
    assert (nothing.calls, nothing.duration_s, nothing.cost) == (0, 0.0, None)
