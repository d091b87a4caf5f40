"""The report as CSV: one line per row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

from akash_gradio.compare.csv_writer import Cell, csv_text
from akash_gradio.compare.plan import Plan
from akash_gradio.compare.reports.report import Report
from akash_gradio.compare.rows import Row
from akash_gradio.domain.receipt import Count, Receipt

_COLUMNS: Final = (
    "prompt_id", "prompt", "system", "lane", "model", "repeat", "outcome", "error", "answer",
    "reasoning", "passed", "failed_checks", "endpoint", "attempts", "first_token_s", "total_s",
    "tokens_in", "tokens_in_reported", "tokens_out", "tokens_out_reported", "tokens_per_s",
    "cost_usd", "finish", "parameters", "began", "fingerprint",
)  # fmt: skip


def csv_report(report: Report) -> Iterator[str]:
    """Yield a line of column names, then a line per row."""
    yield csv_text([_COLUMNS])
    labels = report.plan.labels
    for row in report.rows():
        yield csv_text([_cells(report.plan, labels, row)])


def _cells(plan: Plan, labels: Sequence[str], row: Row) -> tuple[Cell, ...]:
    task = plan.task(row.number)
    receipt = row.receipt or Receipt(requested_model=task.lane.model)
    failed = [f"{c.check.kind.value} {c.check.value}".strip() for c in row.checks if not c.passed]
    return (
        task.prompt.id, task.prompt.text, task.prompt.system or task.lane.system,
        labels[plan.lane_of(row.number)], task.lane.model, task.repeat + 1,
        row.outcome, row.error, row.answer, row.reasoning,
        row.passed if row.checks else None, "; ".join(failed),
        receipt.endpoint, len(receipt.attempts), receipt.first_token_s, receipt.total_s,
        *_count(receipt.tokens_in), *_count(receipt.tokens_out), receipt.tokens_per_s,
        row.cost, receipt.finish,
        json.dumps(dict(receipt.sent), ensure_ascii=False), row.began, receipt.fingerprint,
    )  # fmt: skip


def _count(count: Count | None) -> tuple[int | None, bool | None]:
    return (count.tokens, count.reported) if count else (None, None)
