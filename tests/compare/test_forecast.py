from __future__ import annotations

import pytest

from akash_gradio.compare.forecast import ANSWER_TOKENS, THINKING_TOKENS, Forecast, forecast
from akash_gradio.compare.plan import Lane, Plan
from akash_gradio.domain.chat import Sampling
from akash_gradio.domain.model import ModelCard
from tests.compare.fakes import plan, serving

CARDS = {
    "a": ModelCard(id="a", name="A", prompt_price=1.0, completion_price=2.0),
    "b": ModelCard(id="b", name="B", reasoning=True),
}


def told(asked: Plan, *, per_endpoint: int = 1, known: frozenset[int] = frozenset()) -> Forecast:
    endpoints = [serving("eu-1", "a", "b")]
    return forecast(asked, CARDS.get, endpoints, per_endpoint=per_endpoint, known=known)


def test_calls_and_tokens_are_counted_of_each_task() -> None:
    each = told(plan("x" * 400, "y" * 40, repeats=3))
    assert each.calls == 12
    assert each.tokens_in == 2 * 3 * (100 + 4 + 10 + 4)
    assert each.tokens_out == 6 * ANSWER_TOKENS + 6 * THINKING_TOKENS


def test_the_cost_is_of_the_lanes_with_prices_and_the_others_are_named() -> None:
    each = told(plan("x" * 400))
    assert each.cost == pytest.approx((104 * 1.0 + ANSWER_TOKENS * 2.0) / 1_000_000)
    assert each.unpriced == ("b",)
    assert told(plan(models="b")).cost is None


def test_a_limit_of_tokens_and_a_system_prompt_count() -> None:
    lane = Lane(model="a", sampling=Sampling(max_tokens=50), system="s" * 80)
    each = told(plan("x" * 40, lanes=(lane,)))
    assert (each.tokens_in, each.tokens_out) == (10 + 4 + 20 + 4, 50)


def test_more_calls_at_a_time_take_less_time() -> None:
    assert told(plan(), per_endpoint=4).duration_s == pytest.approx(told(plan()).duration_s / 4)


def test_what_is_answered_already_is_not_counted() -> None:
    assert told(plan("one", "two"), known=frozenset({0, 1, 2})).calls == 1
    nothing = told(plan("one"), known=frozenset({0, 1}))
    assert (nothing.calls, nothing.duration_s, nothing.cost) == (0, 0.0, None)
