from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akash_gradio.gateway.breaker import Breaker, Outcomes, is_outlier


def fail(breaker: Breaker, times: int, now: float = 0.0, *, others: bool = True) -> None:
    for _ in range(times):
        breaker.found_down(now, breaker.begin(), others=others)
        breaker.end()


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    fail(breaker, 3, now)
    return breaker


def pause(breaker: Breaker, now: float, *, alone: bool = False) -> int:
    """Return the whole seconds until it is ready."""
    return next(s for s in range(1000) if breaker.ready(now + s, alone=alone))


def test_a_new_breaker_is_ready() -> None:
    assert Breaker().ready(0)


def test_opens_when_three_requests_in_a_row_found_it_down() -> None:
    breaker = Breaker()
    fail(breaker, 2)
    assert breaker.ready(0)
    fail(breaker, 1)
    assert not breaker.ready(0)
    assert pause(breaker, 1) == 4


def test_any_response_ends_the_row() -> None:
    breaker = Breaker()
    fail(breaker, 2)
    breaker.alive(False)
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
    assert breaker.alive(breaker.begin()) is True
    assert breaker.ready(5)
    assert not breaker.open
    assert breaker.begin() is False


def test_a_failed_probe_doubles_the_pause_up_to_five_minutes() -> None:
    breaker, now, pauses = opened(), 0, []
    for _ in range(8):
        pauses.append(pause(breaker, now))
        now += pauses[-1]
        fail(breaker, 1, now)
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300]
    assert breaker.opened_at == 0


def test_the_pause_does_not_grow_where_no_other_endpoint_serves() -> None:
    breaker, now = Breaker(), 0
    fail(breaker, 3, others=False)
    for _ in range(8):
        assert pause(breaker, now) == 5
        now += 5
        fail(breaker, 1, now, others=False)


def test_a_pause_is_five_seconds_at_most_once_no_other_endpoint_serves() -> None:
    breaker = opened()
    fail(breaker, 1, 5)
    fail(breaker, 1, 15)
    assert (pause(breaker, 15), pause(breaker, 15, alone=True)) == (20, 5)


def test_a_complete_answer_resets_the_pause() -> None:
    breaker = opened()
    fail(breaker, 1, 5)
    breaker.alive(breaker.begin())
    breaker.succeeded()
    fail(breaker, 3, 100)
    assert pause(breaker, 100) == 5


def test_a_first_token_alone_does_not_reset_the_pause() -> None:
    breaker = opened()
    breaker.alive(breaker.begin())
    fail(breaker, 3, 100)
    assert pause(breaker, 100) == 10


def test_an_abandoned_probe_allows_the_next_one() -> None:
    breaker = opened()
    assert breaker.begin() is True
    breaker.end()
    assert breaker.ready(5)
    assert breaker.begin() is True


def test_calls_sent_before_it_opened_neither_close_nor_prolong_it() -> None:
    breaker = Breaker()
    late = breaker.begin()
    fail(breaker, 3)
    breaker.found_down(4, late)
    breaker.succeeded()
    breaker.alive(late)
    assert breaker.open
    assert pause(breaker, 4) == 1


def test_calls_sent_during_the_pause_close_it_but_do_not_prolong_it() -> None:
    """They are sent when breakers are ignored, perhaps many at once."""
    breaker = opened()
    calls = [breaker.begin() for _ in range(9)]
    for call in calls[1:]:
        breaker.found_down(4, call)
        breaker.end()
    assert pause(breaker, 4) == 1
    breaker.alive(calls[0])
    assert not breaker.open


@pytest.mark.parametrize("pause_s", [None, 60])
def test_some_failures_open_it_at_once(pause_s: float | None) -> None:
    breaker = Breaker()
    breaker.found_down(0, breaker.begin(), at_once=True, pause_s=pause_s)
    assert pause(breaker, 0) == (pause_s or 5)
    assert pause(breaker, 0, alone=True) == 5


# ---- outliers ----


def outcomes(requests: int, failures: int) -> Outcomes:
    """The outcomes of some requests, the failures spread over them."""
    made = Outcomes()
    for number in range(requests):
        before, after = (n * failures // requests for n in (number, number + 1))
        made.add(failed=after > before)
    return made


def test_only_about_the_last_fifty_requests_count() -> None:
    made = outcomes(100, 100)
    assert made.failure_share == 1
    for _ in range(50):
        made.add(failed=False)
    assert 0.3 < made.failure_share < 0.4
    for _ in range(200):
        made.add(failed=False)
    assert made.failure_share < 0.01


@pytest.mark.parametrize(
    ("own", "peer", "outlier"),
    [
        ((2, 2), (100, 0), False),  # too few failures
        ((4, 4), (8, 0), True),
        ((50, 15), (50, 0), True),
        ((50, 5), (50, 0), False),  # not well above
        ((50, 50), (50, 50), False),
        ((50, 30), (50, 20), False),
        ((50, 25), (50, 5), True),
        ((50, 50), (0, 0), False),  # nothing is known of the peer
    ],
)
def test_an_outlier_fails_significantly_more_often_than_its_peers(
    own: tuple[int, int], peer: tuple[int, int], outlier: bool
) -> None:
    assert is_outlier(outcomes(*own), [outcomes(*peer)]) is outlier


def test_without_peers_there_is_no_outlier() -> None:
    assert not is_outlier(outcomes(50, 50), [])


@pytest.mark.parametrize("probability", [0.1, 0.3, 0.5, 0.8])
def test_endpoints_that_all_fail_at_random_are_rarely_outliers(probability: float) -> None:
    chance = random.Random(1)
    own, peer = Outcomes(), Outcomes()
    found = 0
    for _ in range(5000):
        for each in (own, peer):
            each.add(failed=chance.random() < probability)
        found += is_outlier(own, [peer])
    assert found / 5000 < 0.02


@given(st.lists(st.booleans()), st.lists(st.booleans(), min_size=1))
def test_an_endpoint_that_fails_no_more_often_than_its_peer_is_no_outlier(
    own: list[bool], peer: list[bool]
) -> None:
    mine, other = Outcomes(), Outcomes()
    for failed in own:
        mine.add(failed=failed)
    for failed in peer:
        other.add(failed=failed)
    assert not (is_outlier(mine, [other]) and is_outlier(other, [mine]))
    if mine.failure_share <= other.failure_share:
        assert not is_outlier(mine, [other])


def test_an_interruption_turns_a_success_into_a_failure() -> None:
    made = Outcomes()
    made.add(failed=False)
    made.fail_last()
    assert (made.requests, made.failure_share) == (1, 1)
