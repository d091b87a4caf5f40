"""The health of models is tracked from real requests, in bounded memory."""

from __future__ import annotations

import pytest

from akash_gradio.check.health_tracker import HALF_HOURS, MAX_MODELS, HealthTracker
from akash_gradio.domain.health import Health
from akash_gradio.domain.receipt import Attempt, Receipt


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tracker(clock: Clock) -> HealthTracker:
    return HealthTracker(clock)


def receipt(
    *outcomes: str, model: str = "m", first_ms: float = 400.0, rate: float | None = 50.0
) -> Receipt:
    attempts = tuple(
        Attempt(endpoint="eu-1", model=model, reason="weighted", outcome=o, elapsed_ms=first_ms)
        for o in outcomes or ("ok",)
    )
    return Receipt(requested_model=model, attempts=attempts, tokens_per_s=rate)


def health_of(tracker: HealthTracker, model: str = "m") -> Health:
    health = tracker.get(model)
    assert health is not None
    return health


def test_an_unused_model_has_no_health(tracker: HealthTracker) -> None:
    assert tracker.get("m") is None


def test_first_token_and_speed_are_means_of_the_last_15_minutes(
    tracker: HealthTracker, clock: Clock
) -> None:
    tracker.observe(receipt(first_ms=200, rate=40.0))
    clock.now_s += 14 * 60
    tracker.observe(receipt(first_ms=400, rate=60.0))
    health = health_of(tracker)
    assert health.first_token_s == pytest.approx(0.3)
    assert health.tokens_per_s == pytest.approx(50.0)
    assert (health.answered, health.failed) == (2, 0)
    clock.now_s += 2 * 60
    assert health_of(tracker).tokens_per_s == pytest.approx(60.0)
    clock.now_s += 15 * 60
    assert health_of(tracker).tokens_per_s is None


def test_failed_attempts_count_but_cancelled_and_refused_ones_do_not(
    tracker: HealthTracker,
) -> None:
    tracker.observe(receipt("EndpointTimeout", "EndpointRefused", "ok"))
    tracker.observe(receipt("cancelled"))
    tracker.observe(receipt("RequestRefused"))
    health = health_of(tracker)
    assert (health.answered, health.failed) == (1, 2)


def test_an_answer_without_streaming_gives_no_first_token_time(tracker: HealthTracker) -> None:
    tracker.observe(receipt(first_ms=9000, rate=None))
    health = health_of(tracker)
    assert (health.first_token_s, health.tokens_per_s, health.answered) == (None, None, 1)


def test_a_fallback_counts_for_the_failed_model_and_for_the_one_that_answered(
    tracker: HealthTracker,
) -> None:
    failed = receipt("EndpointTimeout", model="big").attempts
    answered = receipt("ok", model="small").attempts
    attempts = failed + answered
    tracker.observe(Receipt(requested_model="big", attempts=attempts, tokens_per_s=10.0))
    assert (health_of(tracker, "big").answered, health_of(tracker, "big").failed) == (0, 1)
    assert (health_of(tracker, "small").answered, health_of(tracker, "small").failed) == (1, 0)


def test_a_day_is_kept_in_half_hours_and_then_dropped(tracker: HealthTracker, clock: Clock) -> None:
    for rate in (10.0, 20.0, 30.0):
        tracker.observe(receipt(rate=rate))
        clock.now_s += 1800
    day = health_of(tracker).day
    assert len(day) == HALF_HOURS
    assert day[-4:] == (10.0, 20.0, 30.0, None)
    assert set(day[:-4]) == {None}
    clock.now_s += 22.5 * 3600
    assert [rate for rate in health_of(tracker).day if rate] == [20.0, 30.0]
    clock.now_s += 3 * 24 * 3600
    assert set(health_of(tracker).day) == {None}


def test_memory_does_not_grow_with_the_number_of_models(tracker: HealthTracker) -> None:
    for number in range(MAX_MODELS + 50):
        tracker.observe(receipt(model=f"m{number}"))
    kept = [n for n in range(MAX_MODELS + 50) if tracker.get(f"m{n}") is not None]
    assert (len(kept), kept[0]) == (MAX_MODELS, 50)
