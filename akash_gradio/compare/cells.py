"""Text of table cells and receipts, the same in every report and on the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from akash_gradio.compare.checks import CheckKind, CheckResult
from akash_gradio.compare.rows import Row
from akash_gradio.compare.summary import Summary
from akash_gradio.domain.receipt import Count, Receipt
from akash_gradio.formatting import (
    NOT_AVAILABLE,
    format_cost,
    format_seconds,
    format_speed,
    format_tokens,
)

LETTERS: Final = "ABCDEFGHIJKL"
"""Names of the lanes, in order."""
COLORS: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
"""Colors of the lanes that color-blind readers can distinguish. Source: Okabe and Ito 2008."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptLine:
    """One line of a receipt."""

    name: str
    value: str


def receipt_speed(receipt: Receipt) -> str:
    """Return the answer's speed, marked if its token count is estimated."""
    return format_speed(receipt.tokens_per_s, estimated=_is_estimated(receipt.tokens_out))


def lane_speed(summary: Summary) -> str:
    """Return the median speed of a lane, marked if any of its token counts is estimated."""
    median = summary.tokens_per_s.median if summary.tokens_per_s else None
    return format_speed(median, estimated=summary.estimated)


def lane_first_token(summary: Summary) -> str:
    """Return the median time to the first token of a lane."""
    return format_seconds(summary.first_token_s.median if summary.first_token_s else None)


def describe_check(result: CheckResult) -> str:
    """Describe a check in words, as `contains “Paris”`."""
    value = result.check.value
    return {
        CheckKind.CONTAINS: f"contains “{value}”",
        CheckKind.REGEX: f"matches {value}",
        CheckKind.JSON: "is JSON",
        CheckKind.MAX_LENGTH: f"has at most {value} characters",
        CheckKind.NOT_EMPTY: "is not empty",
    }[result.check.kind]


def summary_line(row: Row) -> str:
    """Return the line under an answer: endpoint, first token, speed, tokens, cost."""
    receipt = row.receipt
    if receipt is None or not receipt.endpoint:
        return ""
    cost_is_estimated = _is_estimated(receipt.tokens_in) or _is_estimated(receipt.tokens_out)
    parts = [
        receipt.endpoint,
        format_seconds(receipt.first_token_s),
        receipt_speed(receipt),
        _tokens(receipt.tokens_out),
        format_cost(row.cost, estimated=cost_is_estimated),
    ]
    parts += [f"{len(receipt.attempts)} attempts"] if len(receipt.attempts) > 1 else []
    parts += [f"fallback: {receipt.answering_model}"] if receipt.fallback else []
    return " · ".join(part for part in parts if part != NOT_AVAILABLE)


def receipt_facts(receipt: Receipt) -> Iterator[ReceiptLine]:
    """Yield a receipt line by line."""
    yield ReceiptLine(name="endpoint", value=receipt.endpoint or "none")
    if receipt.fallback:
        yield ReceiptLine(name="model that answered", value=receipt.answering_model)
    yield ReceiptLine(name="first token", value=format_seconds(receipt.first_token_s))
    yield ReceiptLine(name="total", value=format_seconds(receipt.total_s))
    yield ReceiptLine(name="speed", value=receipt_speed(receipt))
    yield ReceiptLine(name="tokens in", value=_tokens(receipt.tokens_in))
    yield ReceiptLine(name="tokens out", value=_tokens(receipt.tokens_out))
    if receipt.tokens_reasoning is not None:
        yield ReceiptLine(name="of these, reasoning", value=_tokens(receipt.tokens_reasoning))
    sent = json.dumps(dict(receipt.sent), ensure_ascii=False) if receipt.sent else "none"
    yield ReceiptLine(name="parameters sent", value=sent)
    yield ReceiptLine(name="finish", value=receipt.finish)
    for number, attempt in enumerate(receipt.attempts, 1):
        status = f", status {attempt.status}" if attempt.status else ""
        outcome = f"{attempt.endpoint}, {attempt.reason}: {attempt.outcome}{status}"
        elapsed = format_seconds(attempt.elapsed_ms / 1000)
        yield ReceiptLine(name=f"attempt {number}", value=f"{outcome} after {elapsed}")
    if receipt.fingerprint:
        yield ReceiptLine(name="fingerprint", value=receipt.fingerprint)


def _is_estimated(count: Count | None) -> bool:
    return count is not None and not count.reported


def _tokens(count: Count | None) -> str:
    return format_tokens(count.tokens if count else None, estimated=_is_estimated(count))
