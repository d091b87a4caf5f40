"""Selects the writer of a report by its format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from akash_gradio.compare.reports.csv import csv_report
from akash_gradio.compare.reports.html import html_report
from akash_gradio.compare.reports.json import json_report
from akash_gradio.compare.reports.markdown import markdown_report
from akash_gradio.compare.reports.report import Report, ReportFormat

_WRITERS: Final[dict[ReportFormat, Callable[[Report], Iterator[str]]]] = {
    ReportFormat.HTML: html_report,
    ReportFormat.MARKDOWN: markdown_report,
    ReportFormat.CSV: csv_report,
    ReportFormat.JSON: json_report,
}


def write_report(report: Report, report_format: ReportFormat) -> Iterator[str]:
    """Yield the report in pieces of text, with one row in memory at a time."""
    return _WRITERS[report_format](report)
