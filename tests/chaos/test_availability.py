"""The situations of `availability` in virtual time."""

from __future__ import annotations

import pytest

from akash_gradio.gateway.retries import BUDGET_FLOOR
from tests.chaos.availability import (
    SITUATIONS,
    Fault,
    Situation,
    one_broken,
    random_failures,
    recovery,
    run,
    serve,
)
from tests.virtual_time import run_in_virtual_time


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
def test_as_many_requests_are_answered_as_by_independent_retries(situation: Situation) -> None:
    outcome = run_in_virtual_time(run(situation))
    assert not outcome.fell_short, outcome


def test_a_hanging_endpoint_is_waited_for_once_by_a_request() -> None:
    outcome = run_in_virtual_time(run(one_broken(Fault.HANGS, of=3)))
    assert outcome.longest_s < 61
    assert outcome.calls - outcome.answered < 40, outcome  # then its breaker is open


def test_an_only_endpoint_that_hangs_costs_a_request_one_timeout() -> None:
    outcome = run_in_virtual_time(run(recovery(Fault.HANGS), RETRY_ATTEMPTS=3))
    assert (outcome.fell_short, outcome.longest_s) == (False, 60)


def test_an_outage_is_not_doubled() -> None:
    situation = random_failures(1.0, 2, Fault.STATUS_500)
    outcome = run_in_virtual_time(run(situation))
    failovers = 2 * situation.requests
    assert outcome.answered == 0
    assert outcome.calls <= failovers + 0.2 * situation.requests + 3 * BUDGET_FLOOR, outcome


async def test_the_same_over_sockets() -> None:
    for situation in (one_broken(Fault.CLOSES), random_failures(0.3, 2, Fault.STATUS_500)):
        outcome = await serve(situation)
        assert not outcome.fell_short, outcome
