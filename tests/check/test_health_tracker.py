"""What is remembered of real answers, in a memory that doesn't grow."""

from __future__ import annotations

from typing import Any

import pytest

from akash_gradio.check.health_tracker import HALF_HOURS, MOST_MODELS, HealthTracker
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
def book(clock: Clock) -> HealthTracker:
    return HealthTracker(clock)


def receipt(
    *outcomes: str,
    model: str = "m",
    first_ms: float = 400.0,
    rate: float | None = 50.0,
    **more: Any,
) -> Receipt:
    attempts = tuple(
        Attempt(endpoint="eu-1", model=model, reason="weighted", outcome=o, elapsed_ms=first_ms)
        for o in outcomes or ("ok",)
    )
    return Receipt(requested_model=model, attempts=attempts, tokens_per_s=rate)


def test_a_model_that_nobody_asked_has_no_health(book: HealthTracker) -> None:
    assert book.of("m") is None


def test_first_token_and_speed_are_means_of_the_last_15_minutes(book, clock) -> None:
    book.observe(receipt(first_ms=200, rate=40.0))
    clock.now_s += 14 * 60
    book.observe(receipt(first_ms=400, rate=60.0))
    health = book.of("m")
    assert health.first_token_s == pytest.approx(0.3)
    assert health.tokens_per_s == pytest.approx(50.0)
    assert (health.answered, health.failed) == (2, 0)
    clock.now_s += 2 * 60
    assert book.of("m").tokens_per_s == pytest.approx(60.0)
    clock.now_s += 15 * 60
    assert book.of("m").tokens_per_s is None


def test_failed_attempts_count_and_those_that_say_nothing_do_not(book) -> None:
    book.observe(receipt("EndpointTimeout", "EndpointRefused", "ok"))
    book.observe(receipt("cancelled"))
    book.observe(receipt("RequestRefused"))
    health = book.of("m")
    assert (health.answered, health.failed) == (1, 2)


def test_an_answer_in_one_piece_tells_no_first_token(book) -> None:
    book.observe(receipt(first_ms=9000, rate=None))
    health = book.of("m")
    assert (health.first_token_s, health.tokens_per_s, health.answered) == (None, None, 1)


def test_a_fallback_counts_for_the_model_that_was_tried_and_for_the_one_that_answered(book) -> None:
    failed = receipt("EndpointTimeout", model="big").attempts
    answered = receipt("ok", model="small").attempts
    book.observe(Receipt(requested_model="big", attempts=failed + answered, tokens_per_s=10.0))
    assert (book.of("big").answered, book.of("big").failed) == (0, 1)
    assert (book.of("small").answered, book.of("small").failed) == (1, 0)


def test_a_day_is_kept_in_half_hours_and_forgotten_after_it(book, clock) -> None:
    for rate in (10.0, 20.0, 30.0):
        book.observe(receipt(rate=rate))
        clock.now_s += 1800
    day = book.of("m").day
    assert len(day) == HALF_HOURS
    assert day[-4:] == (10.0, 20.0, 30.0, None)
    assert set(day[:-4]) == {None}
    clock.now_s += 22.5 * 3600
    assert [rate for rate in book.of("m").day if rate] == [20.0, 30.0]
    clock.now_s += 3 * 24 * 3600
    assert set(book.of("m").day) == {None}


def test_the_memory_does_not_grow_with_the_models(book) -> None:
    for number in range(MOST_MODELS + 50):
        book.observe(receipt(model=f"m{number}"))
    kept = [n for n in range(MOST_MODELS + 50) if book.of(f"m{n}") is not None]
    assert (len(kept), kept[0]) == (MOST_MODELS, 50)
