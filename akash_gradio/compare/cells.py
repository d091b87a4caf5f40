"""Rows and figures as people read them, the same in every report and on the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from akash_gradio.compare.checks import CheckKind, CheckResult
from akash_gradio.compare.rows import Row
from akash_gradio.compare.summary import Summary
from akash_gradio.domain.receipt import Count, Receipt

LETTERS: Final = "ABCDEFGHIJKL"
COLORS: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
"""Of the lanes, told apart by people who see fewer colors (Okabe and Ito 2008)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptLine:
    """One line of a receipt."""

    name: str
    value: str


def seconds(value: float | None) -> str:
    """`0.41 s`; a dash for what was not measured."""
    if value is None:
        return "–"
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def duration(value: float) -> str:
    """`about 3 min`, for times that nobody knows to the second."""
    if value < 60:
        return f"about {max(1, round(value))} s"
    if value < 5400:
        return f"about {round(value / 60)} min"
    return f"about {value / 3600:.1f} h"


def speed(value: float | None, *, estimated: bool = False) -> str:
    """`87 tok/s`; `≈ 87 tok/s` where nobody counted the tokens."""
    if value is None:
        return "–"
    return _about(f"{value:.0f} tok/s" if value >= 10 else f"{value:.1f} tok/s", estimated)


def dollars(value: float | None, *, estimated: bool = False) -> str:
    """`$0.0012`, with two figures of a small sum; `≈ $0.0012` where nobody counted the tokens."""
    if value is None:
        return "–"
    if value == 0 or value >= 0.1:
        return _about(f"${value:,.2f}", estimated)
    return _about(f"${value:.2g}" if value >= 0.0001 else f"${value:.8f}".rstrip("0"), estimated)


def _about(figure: str, estimated: bool) -> str:
    return f"≈ {figure}" if estimated else figure


def receipt_speed(receipt: Receipt) -> str:
    """Its tokens per second, marked where its tokens are estimated."""
    return speed(receipt.tokens_per_s, estimated=_is_estimated(receipt.tokens_out))


def lane_speed(summary: Summary) -> str:
    """The median of its answers, marked where tokens of some are estimated."""
    median = summary.tokens_per_s.median if summary.tokens_per_s else None
    return speed(median, estimated=summary.estimated)


def _is_estimated(count: Count | None) -> bool:
    return count is not None and not count.reported


def tokens(count: Count | None) -> str:
    """`512 tok`, and `estimated` where the endpoint did not say."""
    if count is None:
        return "–"
    return f"{count.tokens:,} tok" if count.reported else f"{count.tokens:,} tok, estimated"


def describe_check(checked: CheckResult) -> str:
    """`contains “Paris”`."""
    value = checked.check.value
    return {
        CheckKind.CONTAINS: f"contains “{value}”",
        CheckKind.REGEX: f"matches {value}",
        CheckKind.JSON: "is JSON",
        CheckKind.MAX_LENGTH: f"has at most {value} characters",
        CheckKind.NOT_EMPTY: "is not empty",
    }[checked.check.kind]


def summary_line(row: Row) -> str:
    """The quiet line under an answer: endpoint, first token, speed, tokens, cost."""
    receipt = row.receipt
    if receipt is None or not receipt.endpoint:
        return ""
    parts = [receipt.endpoint, seconds(receipt.first_token_s), receipt_speed(receipt)]
    parts += [tokens(receipt.tokens_out), dollars(row.cost, estimated=_is_estimated_cost(receipt))]
    parts += [f"{len(receipt.attempts)} attempts"] if len(receipt.attempts) > 1 else []
    parts += [f"fallback: {receipt.answering_model}"] if receipt.fallback else []
    return " · ".join(part for part in parts if part != "–")


def _is_estimated_cost(receipt: Receipt) -> bool:
    return _is_estimated(receipt.tokens_in) or _is_estimated(receipt.tokens_out)


def receipt_facts(receipt: Receipt) -> Iterator[ReceiptLine]:
    """All that the receipt says, line by line."""
    yield ReceiptLine(name="endpoint", value=receipt.endpoint or "none answered")
    if receipt.fallback:
        yield ReceiptLine(name="model that answered", value=receipt.answering_model)
    yield ReceiptLine(name="first token", value=seconds(receipt.first_token_s))
    yield ReceiptLine(name="total", value=seconds(receipt.total_s))
    yield ReceiptLine(name="speed", value=receipt_speed(receipt))
    yield ReceiptLine(name="tokens in", value=tokens(receipt.tokens_in))
    yield ReceiptLine(name="tokens out", value=tokens(receipt.tokens_out))
    if receipt.tokens_reasoning is not None:
        yield ReceiptLine(name="of them reasoning", value=tokens(receipt.tokens_reasoning))
    sent = json.dumps(dict(receipt.sent), ensure_ascii=False) if receipt.sent else "none"
    yield ReceiptLine(name="parameters sent", value=sent)
    yield ReceiptLine(name="finish", value=receipt.finish)
    for number, attempt in enumerate(receipt.attempts, 1):
        status = f", status {attempt.status}" if attempt.status else ""
        told = f"{attempt.endpoint}, {attempt.reason}: {attempt.outcome}{status}"
        after = seconds(attempt.elapsed_ms / 1000)
        yield ReceiptLine(name=f"attempt {number}", value=f"{told} after {after}")
    if receipt.fingerprint:
        yield ReceiptLine(name="fingerprint", value=receipt.fingerprint)
