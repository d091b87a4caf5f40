"""A run as a report: what goes into it, and the four forms in which it is written.

Every writer yields pieces of text, one row in memory at a time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypeAlias

from akash_gradio import __version__
from akash_gradio.compare.csv_writer import Cell, csv_text
from akash_gradio.compare.plan import Plan, plan_dict, sampling_dict
from akash_gradio.compare.ranking import Ranking
from akash_gradio.compare.rows import Row, row_dict
from akash_gradio.compare.summary import RowLookup, Summary, summarize
from akash_gradio.domain.receipt import Count, Receipt

Render: TypeAlias = Callable[[str], Sequence[str]]


class ReportFormat(StrEnum):
    """The values are the files' endings."""

    HTML = "html"
    MARKDOWN = "md"
    CSV = "csv"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a report is made from.

    get_row: number of a task → its row. made: when the report is written. names: model id → what
    people call it. ranking: of votes between these lanes, None where there are none. render: an
    answer's markdown → the harmless HTML of its blocks, for the form that shows it; None shows the
    text as it came, as the other forms do.
    """

    title: str
    plan: Plan
    get_row: RowLookup
    created_at: datetime
    names: Mapping[str, str]
    ranking: Ranking | None = None
    render: Render | None = None
    version: str = __version__

    def rows(self) -> Iterator[Row]:
        """Every row that is there, in the order of the plan's numbers."""
        for number in range(self.plan.calls):
            if (row := self.get_row(number)) is not None:
                yield row

    def summaries(self) -> tuple[Summary, ...]:
        """One for each lane."""
        return summarize(self.plan, self.get_row)


def write_report(report: Report, form: ReportFormat) -> Iterator[str]:
    """The report, piece by piece."""
    return _writer(form)(report)


def _writer(form: ReportFormat) -> Callable[[Report], Iterator[str]]:
    if form is ReportFormat.HTML:
        from akash_gradio.compare.reports.html import html_report

        return html_report
    if form is ReportFormat.MARKDOWN:
        from akash_gradio.compare.reports.markdown import markdown_report

        return markdown_report
    return csv_report if form is ReportFormat.CSV else json_report


_COLUMNS: Final = (
    "prompt_id", "prompt", "system", "lane", "model", "repeat", "outcome", "said", "answer",
    "reasoning", "passed", "failed_checks", "endpoint", "attempts", "first_token_s", "total_s",
    "tokens_in", "tokens_in_reported", "tokens_out", "tokens_out_reported", "tokens_per_s",
    "cost_usd", "finish", "parameters", "began", "fingerprint",
)  # fmt: skip


def csv_report(report: Report) -> Iterator[str]:
    """One line a row under a line of names."""
    yield csv_text([_COLUMNS])
    labels = report.plan.labels
    for row in report.rows():
        yield csv_text([_cells(report.plan, labels, row)])


def _cells(plan: Plan, labels: Sequence[str], row: Row) -> tuple[Cell, ...]:
    task = plan.task(row.number)
    receipt = row.receipt or Receipt(requested_model=task.lane.model)
    tokens_in, tokens_out = _count(receipt.tokens_in), _count(receipt.tokens_out)
    failed = [f"{c.check.kind.value} {c.check.value}".strip() for c in row.checks if not c.passed]
    return (
        task.prompt.id, task.prompt.text, task.prompt.system or task.lane.system,
        labels[plan.lane_of(row.number)], task.lane.model, task.repeat + 1,
        row.outcome, row.said, row.answer, row.reasoning,
        row.passed if row.checks else None, "; ".join(failed),
        receipt.endpoint, len(receipt.attempts), receipt.first_token_s, receipt.total_s,
        *tokens_in, *tokens_out, receipt.tokens_per_s, row.cost, receipt.finish,
        json.dumps(dict(receipt.sent), ensure_ascii=False), row.began, receipt.fingerprint,
    )  # fmt: skip


def _count(count: Count | None) -> tuple[int | None, bool | None]:
    return (count.tokens, count.reported) if count else (None, None)


def json_report(report: Report) -> Iterator[str]:
    """One object: `plan`, `lanes` with their summaries, `ranking`, `rows`."""
    plan = report.plan
    labels = plan.labels
    head: dict[str, Any] = {
        "title": report.title,
        "made": report.created_at.isoformat(timespec="seconds"),
        "akash_gradio": report.version,
        "plan": plan_dict(plan),
        "lanes": [
            {
                "label": label,
                "model": lane.model,
                "name": report.names.get(lane.model, lane.model),
                "sampling": sampling_dict(lane.sampling),
                "summary": asdict(summary),
            }
            for label, lane, summary in zip(labels, plan.lanes, report.summaries(), strict=True)
        ],
        "ranking": asdict(report.ranking) if report.ranking else None,
    }
    yield json.dumps(head, ensure_ascii=False, indent=1).removesuffix("\n}") + ',\n "rows": ['
    between = "\n  "
    for row in report.rows():
        task = plan.task(row.number)
        place = {"prompt": task.prompt.id, "lane": labels[plan.lane_of(row.number)]}
        told = {**place, "repeat": task.repeat + 1, **row_dict(row)}
        yield between + json.dumps(told, ensure_ascii=False)
        between = ",\n  "
    yield "\n ]\n}\n"
