from __future__ import annotations

import pytest

from akash_gradio.gateway.breaker import Breaker


def fail(breaker: Breaker, times: int, now: float = 0.0) -> None:
    for _ in range(times):
        breaker.failed(now, breaker.begin())


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    fail(breaker, 3, now)
    return breaker


def test_a_new_breaker_is_ready() -> None:
    assert Breaker().ready(0)


def test_opens_after_three_failures_in_a_row() -> None:
    breaker = Breaker()
    fail(breaker, 2)
    assert breaker.ready(0)
    fail(breaker, 1)
    assert not breaker.ready(0)
    assert breaker.ready_in_s(1) == 4


def test_a_success_resets_the_failures_in_a_row() -> None:
    breaker = Breaker()
    fail(breaker, 2)
    breaker.succeeded()
    fail(breaker, 2)
    assert breaker.ready(0)


def test_opens_when_half_of_the_last_twenty_failed() -> None:
    breaker = Breaker()
    for _ in range(9):
        fail(breaker, 1)
        breaker.succeeded()
    assert breaker.ready(0)
    fail(breaker, 1)
    assert not breaker.ready(0)


def test_only_the_last_twenty_count() -> None:
    breaker = Breaker()
    for _ in range(9):
        fail(breaker, 1)
        breaker.succeeded()
    for _ in range(20):
        breaker.succeeded()
    fail(breaker, 2)
    assert breaker.ready(0)


def test_one_probe_is_allowed_after_the_pause() -> None:
    breaker = opened()
    assert breaker.ready(5)
    assert breaker.begin() is True
    assert not breaker.ready(5)
    assert breaker.open


def test_the_probes_first_token_closes_it() -> None:
    breaker = opened()
    breaker.first_token(breaker.begin())
    assert breaker.ready(5)
    assert not breaker.open
    assert breaker.begin() is False


def test_a_failed_probe_doubles_the_pause_up_to_five_minutes() -> None:
    breaker, now, pauses = opened(), 0.0, []
    for _ in range(8):
        pauses.append(breaker.ready_in_s(now))
        now += pauses[-1]
        breaker.failed(now, breaker.begin())
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300]


def test_a_complete_answer_resets_the_pause() -> None:
    breaker = opened()
    breaker.failed(5, breaker.begin())
    breaker.first_token(breaker.begin())
    breaker.succeeded()
    fail(breaker, 3, 100)
    assert breaker.ready_in_s(100) == 5


def test_a_first_token_alone_does_not_reset_the_pause() -> None:
    breaker = opened()
    breaker.first_token(breaker.begin())
    fail(breaker, 3, 100)
    assert breaker.ready_in_s(100) == 10


def test_an_abandoned_probe_allows_the_next_one() -> None:
    breaker = opened()
    breaker.abandoned(breaker.begin())
    assert breaker.ready(5)
    assert breaker.begin() is True


def test_calls_sent_before_it_opened_neither_close_nor_prolong_it() -> None:
    breaker = Breaker()
    late = breaker.begin()
    fail(breaker, 3)
    breaker.failed(4, late)
    breaker.succeeded()
    breaker.first_token(late)
    assert breaker.open
    assert breaker.ready_in_s(4) == 1


def test_a_requested_pause_does_not_open_it() -> None:
    breaker = Breaker()
    breaker.rest(0, 7)
    assert not breaker.ready(6.9)
    assert breaker.resting(6.9)
    assert not breaker.open
    assert breaker.ready(7)
    assert breaker.begin() is False


def test_a_shorter_pause_does_not_shorten_a_longer_one() -> None:
    breaker = Breaker()
    breaker.rest(0, 7)
    breaker.rest(0, 1)
    assert breaker.ready_in_s(0) == 7


def test_a_wrong_key_opens_it_at_once() -> None:
    breaker = Breaker()
    breaker.failed(0, breaker.begin(), at_once=True)
    assert breaker.ready_in_s(0) == 5


@pytest.mark.parametrize("probe", [True, False])
def test_a_probe_that_is_rate_limited_closes_it(probe: bool) -> None:
    breaker = opened()
    breaker.begin()
    breaker.alive(probe)
    assert breaker.open is not probe
