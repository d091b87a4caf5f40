"""A run as a report: what every format contains."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from akash_gradio import __version__
from akash_gradio.compare.plan import Plan
from akash_gradio.compare.ranking import Ranking
from akash_gradio.compare.rows import Row
from akash_gradio.compare.summary import RowLookup, Summary, summarize

Render: TypeAlias = Callable[[str], Sequence[str]]
"""Markdown → the HTML of its blocks, safe to insert into a page."""


class ReportFormat(StrEnum):
    """The formats of a report; the values are file extensions."""

    HTML = "html"
    MARKDOWN = "md"
    CSV = "csv"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The content of a report.

    Attributes:
        title: The heading.
        plan: The plan of the run.
        get_row: Task number → row, so that only one row is in memory at a time.
        created_at: When the report is written, in UTC.
        names: Model id → display name.
        ranking: Of the votes between these lanes, None without votes.
        render: Renders answers in the HTML format; None shows them as plain text, as the other
            formats do.
        version: The version of Akash Gradio.
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
        """Yield the existing rows in the order of task numbers."""
        for number in range(self.plan.calls):
            if (row := self.get_row(number)) is not None:
                yield row

    def summaries(self) -> tuple[Summary, ...]:
        """Return the summary of each lane."""
        return summarize(self.plan, self.get_row)
