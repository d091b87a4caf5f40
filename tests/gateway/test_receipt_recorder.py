from __future__ import annotations

import math

import pytest

from akash_gradio.domain.events import (
    NotReasoning,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from akash_gradio.gateway.receipt_recorder import (
    Record,
    prompt_tokens,
    tokens_per_s,
)
from tests.gateway.fakes import Clock, request


def begun(clock: Clock) -> Record:
    record = Record(request(), clock)
    record.asks("a", "m", "weighted")
    record.begins(200)
    return record


def test_a_prompt_counts_its_messages_too() -> None:
    assert prompt_tokens(request().conversation) == 3 + 4


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan, math.inf])
def test_no_time_is_no_speed(seconds: float) -> None:
    assert tokens_per_s(10, seconds) is None


def test_less_than_a_token_has_no_speed() -> None:
    assert tokens_per_s(0.5, 2.0) is None
    assert tokens_per_s(2, 2.0) == 1.0


def test_what_came_with_the_first_token_is_no_part_of_the_speed() -> None:
    clock = Clock()
    record = begun(clock)
    record.hears([TextDelta("four"), TextDelta("five")])
    for _ in range(4):
        clock.now += 0.5
        record.hears([TextDelta("more")])
    record.hears([Usage(completion_tokens=6)])
    assert record.receipt("stop").tokens_per_s == pytest.approx(2.0)


@pytest.mark.parametrize("seconds", [0.00002, -0.00002])
def test_one_packet_read_in_pieces_has_no_speed(seconds: float) -> None:
    clock = Clock()
    record = begun(clock)
    record.hears([TextDelta("x" * 400)])
    clock.now += 0.05
    record.hears([TextDelta("y" * 40_000)], lag_s=0.05 - seconds)
    assert record.receipt("stop").tokens_per_s is None


def test_all_in_one_lump_has_no_speed() -> None:
    clock = Clock()
    record = begun(clock)
    clock.now += 0.001
    record.hears([TextDelta("x" * 400), TextDelta("y" * 400)])
    assert record.receipt("stop").tokens_per_s is None


def test_reported_and_estimated_are_never_mixed_in_one_count() -> None:
    clock = Clock()
    record = begun(clock)
    record.hears([ReasoningDelta("x" * 40), TextDelta("y" * 40)])
    record.hears([Usage(completion_tokens=7)])
    receipt = record.receipt("stop")
    assert (receipt.tokens_out.tokens, receipt.tokens_out.reported) == (7, True)
    assert (receipt.tokens_reasoning.tokens, receipt.tokens_reasoning.reported) == (10, False)
    assert receipt.tokens_in.reported is False


def test_what_was_no_reasoning_is_counted_as_the_answer() -> None:
    record = begun(Clock())
    record.hears([ReasoningDelta("x" * 40), NotReasoning()])
    receipt = record.receipt("stop")
    assert (receipt.tokens_reasoning, receipt.tokens_out.tokens) == (None, 10)


def test_reasoning_and_tool_calls_are_tokens_out() -> None:
    record = begun(Clock())
    record.hears([ReasoningDelta("x" * 40), ToolCallDelta(0, name="f" * 4, arguments="{}" * 2)])
    assert record.receipt("stop").tokens_out.tokens == 12


def test_a_later_report_completes_an_earlier_one() -> None:
    record = begun(Clock())
    record.hears([Usage(prompt_tokens=5, completion_tokens=1)])
    record.hears([Usage(completion_tokens=9)])
    receipt = record.receipt("stop")
    assert (receipt.tokens_in.tokens, receipt.tokens_out.tokens) == (5, 9)


def test_times_count_from_the_arrival_failed_attempts_included() -> None:
    clock = Clock()
    record = Record(request(), clock)
    record.asks("a", "m", "weighted")
    clock.now += 2
    failed = record.fails("EndpointTimeout")
    record.asks("b", "m", "failover")
    clock.now += 1
    assert record.begins(200) == 1
    clock.now += 4
    receipt = record.receipt("stop")
    assert failed is not None
    assert failed.elapsed_ms == 2000
    assert (receipt.first_token_s, receipt.total_s) == (3, 7)
    assert [attempt.elapsed_ms for attempt in receipt.attempts] == [2000, 1000]


def test_nobody_answered_means_no_endpoint_and_no_counts() -> None:
    record = Record(request(), Clock())
    record.asks("a", "m", "weighted")
    record.fails("EndpointSilent", 200)
    receipt = record.receipt("failed")
    assert (receipt.endpoint, receipt.answering_model, receipt.first_token_s) == ("", "", None)
    assert (receipt.tokens_in, receipt.tokens_out, receipt.tokens_per_s) == (None, None, None)


def test_one_who_leaves_in_the_middle_leaves_a_cancelled_attempt() -> None:
    record = begun(Clock())
    record.is_left()
    assert [attempt.outcome for attempt in record.attempts] == ["cancelled"]


def test_what_had_to_wait_for_a_turn_is_dated_back() -> None:
    clock = Clock()
    record = Record(request(), clock)
    record.asks("a", "m", "weighted")
    clock.now += 3
    assert record.begins(200, 1.0) == 2
    record.hears([TextDelta("first")], 1.0)
    clock.now += 4
    record.hears([TextDelta("later")], 2.0)
    receipt = record.receipt("stop")
    assert (receipt.first_token_s, receipt.total_s) == (2, 7)
    assert receipt.attempts[0].elapsed_ms == 2000
    assert receipt.tokens_per_s == pytest.approx(receipt.tokens_out.tokens / 2 / 3)
