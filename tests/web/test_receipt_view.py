from __future__ import annotations

import re

import pytest

from akash_gradio.domain import errors
from akash_gradio.domain.receipt import Attempt, Count, Receipt
from akash_gradio.web import texts
from akash_gradio.web.receipt_view import receipt_view
from tests.web.fakes import error_classes, make_receipt


def test_a_receipt_has_a_summary_line() -> None:
    view = receipt_view(make_receipt())
    assert view["line"] == ["eu-1", "0.41 s", "87 tok/s", "512 tok"]
    assert view["flags"] == []


def test_a_receipt_flags_what_was_unusual() -> None:
    failed = Attempt(
        endpoint="eu-2", model="m", reason="weighted", outcome="EndpointRefused", elapsed_ms=90.0,
        status=503,
    )  # fmt: skip
    receipt = make_receipt(
        attempts=(failed, make_receipt().attempts[0]),
        answering_model="org/small",
        finish="length",
        tokens_out=Count(tokens=7, reported=False),
    )
    view = receipt_view(receipt, {"org/small": "Small 8B"}.__getitem__)
    assert view["flags"] == [
        "2 attempts", "fallback: Small 8B", "token limit reached", "estimated",
    ]  # fmt: skip
    assert [(a["endpoint"], a["ok"], a["seconds"]) for a in view["attempts"]] == [
        ("eu-2", False, 0.09),
        ("eu-1", True, 0.41),
    ]
    assert "503" in view["attempts"][0]["outcome"]
    assert ("Model", "org/small") in view["rows"]
    assert ("Requested model", "m") in view["rows"]


def test_a_receipt_without_attempts_has_rows() -> None:
    view = receipt_view(Receipt(requested_model="m", finish="failed"))
    assert view["line"] == []
    assert view["flags"] == []
    assert dict(view["rows"])["Total"] == "0.00 s"
    assert view["attempts"] == []


def test_the_rows_distinguish_reported_from_estimated_tokens() -> None:
    rows = dict(receipt_view(make_receipt(tokens_in=Count(tokens=1234, reported=False)))["rows"])
    assert rows["Tokens in"] == "1,234 (estimated)"
    assert rows["Tokens out"] == "512 (reported)"
    assert rows["Parameters sent"] == "temperature 0.6"
    assert rows["Speed"] == "87 tok/s"
    bare = dict(receipt_view(make_receipt(sent={}))["rows"])
    assert bare["Parameters sent"] == "none (provider defaults)"


def test_every_selection_reason_has_a_text() -> None:
    reasons = set(re.findall(r"`(\w+)`", (Attempt.__doc__ or "").partition("outcome:")[0]))
    assert reasons == set(texts.SELECTION_REASONS)


def test_every_outcome_of_an_attempt_has_a_text() -> None:
    failures = {kind.__name__ for kind in error_classes(errors.EndpointError)} - {"EndpointError"}
    assert failures | {"ok", "cancelled"} <= set(texts.OUTCOMES)
    assert set(texts.OUTCOMES) <= {k.__name__ for k in error_classes(errors.AkashGradioError)} | {
        "ok",
        "cancelled",
    }


def test_without_a_price_there_is_no_cost() -> None:
    view = receipt_view(make_receipt())
    assert "Cost" not in dict(view["rows"])
    assert view["facts"]["cost"] is None


def test_a_receipt_contains_reported_token_counts() -> None:
    facts = receipt_view(make_receipt(tokens_reasoning=Count(tokens=7, reported=False)))["facts"]
    assert (facts["model"], facts["tokens_in"], facts["tokens_in_reported"]) == ("m", 20, True)
    assert facts["tokens_reasoning"] == 7
    guessed = receipt_view(make_receipt(tokens_in=Count(tokens=20, reported=False)))["facts"]
    assert guessed["tokens_in_reported"] is False


@pytest.mark.parametrize("reason", ["stop", "STOP", "eos_token", "tool_calls", "end_turn", ""])
def test_a_normal_finish_reason_means_a_complete_answer(reason: str) -> None:
    view = receipt_view(make_receipt(finish=reason))
    assert not view["unfinished"]
    assert not [flag for flag in view["flags"] if "ended" in flag]


@pytest.mark.parametrize(
    ("reason", "flag"),
    [
        ("length", "token limit reached"), ("size_limit", "longest answer reached"),
        ("content_filter", "filtered by the endpoint"), ("abort", "ended early: abort"),
        ("error", "ended early: error"), ("network_error", "ended early: network_error"),
        ("unknown", "ended early: unknown"),
    ],
)  # fmt: skip
def test_any_other_finish_reason_means_that_the_answer_can_be_continued(
    reason: str, flag: str
) -> None:
    view = receipt_view(make_receipt(finish=reason))
    assert view["unfinished"]
    assert flag in view["flags"]
