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
from akash_gradio.domain.receipt import Count, Receipt
from akash_gradio.gateway.passthrough.request import RawChunk
from akash_gradio.gateway.receipt_recorder import (
    ReceiptRecorder,
    estimate_prompt_tokens,
    tokens_per_s,
)
from tests.gateway.fakes import Clock


def new_recorder(clock: Clock | None = None) -> ReceiptRecorder:
    return ReceiptRecorder("m", lambda: 7, clock or Clock())


def answering_recorder(clock: Clock | None = None) -> ReceiptRecorder:
    recorder = new_recorder(clock)
    recorder.start_attempt("a", "m", "weighted")
    recorder.record_first_token(200)
    return recorder


def tokens_out(receipt: Receipt) -> int:
    assert receipt.tokens_out is not None
    return receipt.tokens_out.tokens


def test_a_prompt_estimate_includes_the_tokens_of_the_template() -> None:
    assert estimate_prompt_tokens(["What is it?"]) == 3 + 4
    assert estimate_prompt_tokens([]) == 0


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan, math.inf])
def test_an_unmeasurable_time_gives_no_speed(seconds: float) -> None:
    assert tokens_per_s(10, seconds) is None


def test_less_than_a_token_gives_no_speed() -> None:
    assert tokens_per_s(0.5, 2.0) is None
    assert tokens_per_s(2, 2.0) == 1.0


def test_tokens_received_with_the_first_one_do_not_count_for_the_speed() -> None:
    clock = Clock()
    recorder = answering_recorder(clock)
    recorder.record_items([TextDelta("four"), TextDelta("five")])
    for _ in range(4):
        clock.now += 0.5
        recorder.record_items([TextDelta("more")])
    recorder.record_items([Usage(completion_tokens=6)])
    assert recorder.receipt("stop").tokens_per_s == pytest.approx(2.0)


@pytest.mark.parametrize("seconds", [0.00002, -0.00002])
def test_one_packet_read_in_pieces_has_no_speed(seconds: float) -> None:
    clock = Clock()
    recorder = answering_recorder(clock)
    recorder.record_items([TextDelta("x" * 400)])
    clock.now += 0.05
    recorder.record_items([TextDelta("y" * 40_000)], lag_s=0.05 - seconds)
    assert recorder.receipt("stop").tokens_per_s is None


def test_tool_calls_without_a_name_or_arguments_have_no_speed() -> None:
    clock = Clock()
    recorder = answering_recorder(clock)
    for number in range(2):
        recorder.record_items([ToolCallDelta(number, id=f"call-{number}")])
        clock.now += 1
    assert recorder.receipt("tool_calls").tokens_per_s is None


def test_an_answer_in_one_read_has_no_speed() -> None:
    clock = Clock()
    recorder = answering_recorder(clock)
    clock.now += 0.001
    recorder.record_items([TextDelta("x" * 400), TextDelta("y" * 400)])
    assert recorder.receipt("stop").tokens_per_s is None


def test_reported_and_estimated_tokens_are_never_mixed_in_one_count() -> None:
    recorder = answering_recorder()
    recorder.record_items([ReasoningDelta("x" * 40), TextDelta("y" * 40)])
    recorder.record_items([Usage(completion_tokens=7)])
    receipt = recorder.receipt("stop")
    assert receipt.tokens_out == Count(tokens=7, reported=True)
    assert receipt.tokens_reasoning == Count(tokens=10, reported=False)
    assert receipt.tokens_in == Count(tokens=7, reported=False)


def test_text_that_turned_out_to_be_no_reasoning_counts_as_the_answer() -> None:
    recorder = answering_recorder()
    recorder.record_items([ReasoningDelta("x" * 40), NotReasoning()])
    receipt = recorder.receipt("stop")
    assert (receipt.tokens_reasoning, tokens_out(receipt)) == (None, 10)


def test_reasoning_and_tool_calls_count_as_tokens_out() -> None:
    recorder = answering_recorder()
    call = ToolCallDelta(0, name="f" * 4, arguments="{}" * 2)
    recorder.record_items([ReasoningDelta("x" * 40), call])
    assert tokens_out(recorder.receipt("stop")) == 12


def test_a_later_usage_report_completes_an_earlier_one() -> None:
    recorder = answering_recorder()
    recorder.record_items([Usage(prompt_tokens=5, completion_tokens=1)])
    recorder.record_items([Usage(completion_tokens=9)])
    receipt = recorder.receipt("stop")
    assert receipt.tokens_in == Count(tokens=5, reported=True)
    assert tokens_out(receipt) == 9


def test_times_count_from_the_arrival_with_failed_attempts_included() -> None:
    clock = Clock()
    recorder = new_recorder(clock)
    recorder.start_attempt("a", "m", "weighted")
    clock.now += 2
    failed = recorder.fail_attempt("EndpointTimeout")
    recorder.start_attempt("b", "m", "failover")
    clock.now += 1
    assert recorder.record_first_token(200) == 1
    clock.now += 4
    receipt = recorder.receipt("stop")
    assert failed is not None
    assert failed.elapsed_ms == 2000
    assert (receipt.first_token_s, receipt.total_s) == (3, 7)
    assert [attempt.elapsed_ms for attempt in receipt.attempts] == [2000, 1000]


def test_a_receipt_without_an_answer_has_no_endpoint_and_no_counts() -> None:
    recorder = new_recorder()
    recorder.start_attempt("a", "m", "weighted")
    recorder.fail_attempt("EndpointSilent", 200)
    receipt = recorder.receipt("failed")
    assert (receipt.endpoint, receipt.answering_model, receipt.first_token_s) == ("", "", None)
    assert (receipt.tokens_in, receipt.tokens_out, receipt.tokens_per_s) == (None, None, None)


def test_a_cancellation_during_an_answer_marks_its_attempt() -> None:
    recorder = answering_recorder()
    recorder.cancel()
    assert [attempt.outcome for attempt in recorder.attempts] == ["cancelled"]


def test_forwarded_text_counts_as_tokens_of_four_bytes() -> None:
    clock = Clock()
    recorder = answering_recorder(clock)
    for _ in range(3):
        clock.now += 1
        recorder.record_forwarded(RawChunk(b"", text_bytes=8))
    receipt = recorder.receipt("stop")
    assert tokens_out(receipt) == 6
    assert receipt.tokens_per_s == pytest.approx(4 / 3)


def test_the_lag_of_the_reader_does_not_count() -> None:
    clock = Clock()
    recorder = new_recorder(clock)
    recorder.start_attempt("a", "m", "weighted")
    clock.now += 3
    assert recorder.record_first_token(200, 1.0) == 2
    recorder.record_items([TextDelta("first")], 1.0)
    clock.now += 4
    recorder.record_items([TextDelta("later")], 2.0)
    receipt = recorder.receipt("stop")
    assert (receipt.first_token_s, receipt.total_s) == (2, 7)
    assert receipt.attempts[0].elapsed_ms == 2000
    assert receipt.tokens_per_s == pytest.approx(tokens_out(receipt) / 2 / 3)


@pytest.mark.parametrize("finish", ["cancelled", "interrupted", "failed"])
def test_a_report_older_than_the_last_tokens_is_not_the_whole_answer(finish: str) -> None:
    recorder = answering_recorder()
    recorder.record_items([Usage(prompt_tokens=3, completion_tokens=0), TextDelta("x" * 400)])
    receipt = recorder.receipt(finish)
    assert receipt.tokens_out == Count(tokens=100, reported=False)
    assert receipt.tokens_in == Count(tokens=3, reported=True)
    recorder.record_items([Usage(completion_tokens=120)])
    assert recorder.receipt(finish).tokens_out == Count(tokens=120, reported=True)


def test_the_report_of_a_complete_answer_counts() -> None:
    recorder = answering_recorder()
    recorder.record_items([Usage(completion_tokens=5), TextDelta("x" * 400)])
    assert recorder.receipt("stop").tokens_out == Count(tokens=5, reported=True)


def test_each_read_has_at_least_one_token() -> None:
    recorder = answering_recorder()
    for _ in range(50):
        recorder.record_items([TextDelta("1")])
    assert tokens_out(recorder.receipt("cancelled")) == 50
