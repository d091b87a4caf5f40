"""View data of a receipt: texts that the page shows, and numbers that its scripts compare."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from akash_gradio.domain.receipt import Attempt, Count, Receipt
from akash_gradio.formatting import format_cost, format_seconds, format_speed, format_tokens
from akash_gradio.web import texts

COMPLETE: Final = frozenset(
    {
        *("", "stop", "eos", "eos_token", "end_turn", "stop_sequence", "complete", "completed"),
        *("tool_calls", "tool_use", "function_call", "end", "done"),
    }
)
"""Finish reasons of complete answers, in lower case, by the names of OpenAI, TGI, Anthropic,
Cohere and others. After any other one an answer can be continued."""


def receipt_view(
    receipt: Receipt, display_name: Callable[[str], str] = str, cost: float | None = None
) -> dict[str, Any]:
    """Build the view of a receipt.

    Args:
        receipt: The receipt.
        display_name: Returns the display name of a model id.
        cost: US dollars, None without a known price.

    Returns:
        `line` (the summary's parts), `flags` (what was unusual), `rows` (label and text),
        `facts` (the same as numbers, for comparisons and reports), `attempts`, `total_s` and
        `unfinished` (whether the answer can be continued).
    """
    return {
        "line": _receipt_line(receipt, cost),
        "flags": _receipt_flags(receipt, display_name),
        "rows": _receipt_rows(receipt, cost),
        "facts": _receipt_facts(receipt, cost),
        "attempts": [_attempt_view(attempt) for attempt in receipt.attempts],
        "total_s": receipt.total_s,
        "unfinished": is_unfinished(receipt),
    }


def is_unfinished(receipt: Receipt) -> bool:
    """Return whether an answer ended before its end, so that it can be continued."""
    return receipt.finish != "failed" and receipt.finish.lower() not in COMPLETE


def _receipt_facts(receipt: Receipt, cost: float | None) -> dict[str, Any]:
    tokens, tokens_in, reasoning = (
        receipt.tokens_out,
        receipt.tokens_in,
        receipt.tokens_reasoning,
    )
    return {
        "model": receipt.answering_model,
        "first_token_s": receipt.first_token_s,
        "tokens_per_s": receipt.tokens_per_s,
        "tokens_out": tokens.tokens if tokens else None,
        "reported": tokens.reported if tokens else None,
        "tokens_in": tokens_in.tokens if tokens_in else None,
        "tokens_in_reported": tokens_in is not None and tokens_in.reported,
        "tokens_reasoning": reasoning.tokens if reasoning else None,
        "cost": cost,
        "endpoint": receipt.endpoint,
        "total_s": receipt.total_s,
        "finish": receipt.finish,
        "sent": dict(receipt.sent),
    }


def _receipt_line(receipt: Receipt, cost: float | None) -> list[str]:
    parts = [receipt.endpoint]
    if receipt.first_token_s is not None:
        parts.append(format_seconds(receipt.first_token_s))
    if receipt.tokens_per_s is not None:
        parts.append(format_speed(receipt.tokens_per_s))
    if receipt.tokens_out is not None:
        parts.append(format_tokens(receipt.tokens_out.tokens))
    if cost is not None:
        parts.append(format_cost(cost))
    return [part for part in parts if part]


def _receipt_flags(receipt: Receipt, display_name: Callable[[str], str]) -> list[str]:
    flags = []
    if len(receipt.attempts) > 1:
        flags.append(texts.ATTEMPTS.format(count=len(receipt.attempts)))
    if receipt.fallback:
        flags.append(texts.FALLBACK.format(model=display_name(receipt.answering_model)))
    if is_unfinished(receipt):
        unknown = texts.UNKNOWN_FINISH.format(reason=receipt.finish)
        flags.append(texts.FINISH.get(receipt.finish, unknown))
    if receipt.tokens_out is not None and not receipt.tokens_out.reported:
        flags.append(texts.ESTIMATED)
    return flags


def _receipt_rows(receipt: Receipt, cost: float | None) -> list[tuple[str, str]]:
    name = texts.RECEIPT_ROWS
    sent = ", ".join(f"{key} {value}" for key, value in receipt.sent.items())
    speed = format_speed(receipt.tokens_per_s) if receipt.tokens_per_s is not None else ""
    first = format_seconds(receipt.first_token_s) if receipt.first_token_s is not None else ""
    rows = [
        (name["model"], receipt.answering_model),
        (name["requested"], receipt.requested_model if receipt.fallback else ""),
        (name["endpoint"], receipt.endpoint),
        (name["first"], first),
        (name["total"], format_seconds(receipt.total_s)),
        (name["speed"], speed),
        (name["tokens_in"], _count(receipt.tokens_in)),
        (name["tokens_out"], _count(receipt.tokens_out)),
        (name["tokens_reasoning"], _count(receipt.tokens_reasoning)),
        (name["cost"], "" if cost is None else format_cost(cost)),
        (name["sent"], sent or name["sent_none"]),
        (name["finish"], receipt.finish),
        (name["upstream_id"], receipt.upstream_id),
        (name["fingerprint"], receipt.fingerprint),
    ]
    return [row for row in rows if row[1]]


def _attempt_view(attempt: Attempt) -> dict[str, Any]:
    outcome = texts.OUTCOMES.get(attempt.outcome, attempt.outcome)
    if attempt.status is not None and attempt.outcome != "ok":
        outcome = f"{outcome} ({attempt.status})"
    return {
        "endpoint": attempt.endpoint,
        "why": texts.SELECTION_REASONS.get(attempt.reason, attempt.reason),
        "outcome": outcome,
        "ok": attempt.outcome == "ok",
        "seconds": attempt.elapsed_ms / 1000,
    }


def _count(count: Count | None) -> str:
    if count is None:
        return ""
    return f"{count.tokens:,} ({texts.REPORTED if count.reported else texts.ESTIMATED})"
