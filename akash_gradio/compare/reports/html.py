"""The report as one HTML file without scripts or requests, for light and dark screens and print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from akash_gradio.compare import cells
from akash_gradio.compare.prompt_set import Prompt
from akash_gradio.compare.ranking import Neighbors, Pair, Ranking
from akash_gradio.compare.reports.report import Render, Report
from akash_gradio.compare.rows import Row
from akash_gradio.compare.summary import Spread, Summary
from akash_gradio.formatting import format_cost, format_tokens

_TEMPLATES: Final = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneView:
    """One lane of the table and of the charts.

    Attributes:
        letter: Name of the lane in the report.
        hue: Index of its color.
        label: The lane's label.
        name: The model's display name, "" if it is the same as its id.
        system: System prompt.
        summary: The lane's figures. The following are some of them as text.
        first_token: Median time to the first token.
        speed: Median speed.
        tokens_out: Sum of tokens.
        cost: Sum of costs.
    """

    letter: str
    hue: int
    label: str
    name: str
    system: str
    summary: Summary
    first_token: str
    speed: str
    tokens_out: str
    cost: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar of a chart; the lengths are percentages of the longest bar.

    Attributes:
        letter: Name of the lane.
        hue: Index of its color.
        value: The figure as text.
        length: Length of the bar.
        low: Start of the thin line from the 10th to the 90th percentile.
        high: End of that line.
    """

    letter: str
    hue: int
    value: str
    length: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Horizontal bars, one per lane."""

    title: str
    note: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellView:
    """One answer.

    Attributes:
        letter: Name of the lane.
        hue: Index of its color.
        label: The lane's label.
        row: The answer itself.
        blocks: Its rendered HTML; empty to show it as plain text.
        line: The line under it.
        checks: Whether each check passed, and its description.
        facts: The receipt.
    """

    letter: str
    hue: int
    label: str
    row: Row
    blocks: tuple[str, ...]
    line: str
    checks: tuple[tuple[bool, str], ...]
    facts: tuple[cells.ReceiptLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptView:
    """One repetition of a prompt with its answers."""

    prompt: Prompt
    repeat: int
    cells: tuple[CellView, ...]


def html_report(report: Report) -> Iterator[str]:
    """Yield the file in pieces."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    lanes = _lanes(report)
    return environment.get_template("report.html").generate(
        report=report,
        plan=report.plan,
        created=report.created_at.strftime("%Y-%m-%d %H:%M UTC"),
        style=(_TEMPLATES / "report.css").read_text(encoding="utf-8"),
        lanes=lanes,
        charts=[chart for chart in _charts(lanes) if chart.bars],
        ranking=report.ranking,
        matrix=_matrix(report.ranking) if report.ranking else (),
        verdict=_verdict,
        prompts=_prompts(report),
    )


def _lanes(report: Report) -> tuple[LaneView, ...]:
    return tuple(
        LaneView(
            letter=cells.LETTERS[index],
            hue=index % len(cells.COLORS),
            label=label,
            name=_name_unless_id(report.names.get(lane.model, ""), lane.model),
            system=lane.system,
            summary=summary,
            first_token=cells.lane_first_token(summary),
            speed=cells.lane_speed(summary),
            tokens_out=format_tokens(summary.tokens_out, estimated=summary.estimated),
            cost=format_cost(summary.cost, estimated=summary.estimated),
        )
        for index, (label, lane, summary) in enumerate(
            zip(report.plan.labels, report.plan.lanes, report.summaries(), strict=True)
        )
    )


def _charts(lanes: Sequence[LaneView]) -> Iterator[Chart]:
    spread = "Bars show the median, thin lines the 10th to 90th percentile"
    first_token = [(lane, lane.summary.first_token_s, lane.first_token) for lane in lanes]
    yield Chart(title="First token", note=f"Shorter is better. {spread}.", bars=_bars(first_token))
    speed = [(lane, lane.summary.tokens_per_s, lane.speed) for lane in lanes]
    yield Chart(title="Speed", note=f"Longer is better. {spread}.", bars=_bars(speed))
    passed = tuple(
        Bar(
            letter=lane.letter,
            hue=lane.hue,
            value=f"{lane.summary.passed} of {lane.summary.checked}",
            length=100 * lane.summary.passed / lane.summary.checked,
        )
        for lane in lanes
        if lane.summary.checked
    )
    yield Chart(title="Checks", note="Answers that passed all their checks.", bars=passed)


def _bars(figures: Sequence[tuple[LaneView, Spread | None, str]]) -> tuple[Bar, ...]:
    longest = max((spread.high for _, spread, _ in figures if spread), default=0) or 1
    return tuple(
        Bar(
            letter=lane.letter,
            hue=lane.hue,
            value=value,
            length=100 * spread.median / longest,
            low=100 * spread.low / longest,
            high=100 * spread.high / longest,
        )
        for lane, spread, value in figures
        if spread is not None
    )


def _prompts(report: Report) -> Iterator[PromptView]:
    plan, labels = report.plan, report.plan.labels
    width = len(plan.lanes)
    for _, group in groupby(report.rows(), key=lambda row: row.number // width):
        rows = list(group)
        task = plan.task(rows[0].number)
        views = (_cell(report.render, labels, plan.lane_of(row.number), row) for row in rows)
        yield PromptView(prompt=task.prompt, repeat=task.repeat, cells=tuple(views))


def _cell(render: Render | None, labels: Sequence[str], lane: int, row: Row) -> CellView:
    return CellView(
        letter=cells.LETTERS[lane],
        hue=lane % len(cells.COLORS),
        label=labels[lane],
        row=row,
        blocks=() if render is None else tuple(render(row.answer)),
        line=cells.summary_line(row),
        checks=tuple((result.passed, cells.describe_check(result)) for result in row.checks),
        facts=tuple(cells.receipt_facts(row.receipt)) if row.receipt else (),
    )


def _verdict(pair: Neighbors) -> str:
    if pair.ordered:
        return f"{pair.upper} is better than {pair.lower}."
    if not pair.connected:
        return f"No votes connect {pair.upper} and {pair.lower}."
    needed = f"About {pair.more_votes} more votes are needed." if pair.more_votes else ""
    return f"No clear winner between {pair.upper} and {pair.lower} yet. {needed}".rstrip()


def _matrix(ranking: Ranking) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return each lane's label and its scores against all lanes, in the order of the ranking."""
    pairs = {(pair.a, pair.b): pair for pair in ranking.pairs}
    labels = [standing.label for standing in ranking.standings]
    return tuple(
        (label, tuple(_score(pairs.get((label, o)), pairs.get((o, label))) for o in labels))
        for label in labels
    )


def _score(as_a: Pair | None, as_b: Pair | None) -> str:
    """Return `3 – 1`, wins and losses without ties; "" if the lanes were never compared."""
    if as_a is not None:
        return f"{as_a.a_wins} – {as_a.b_wins}"
    return f"{as_b.b_wins} – {as_b.a_wins}" if as_b is not None else ""


def _name_unless_id(name: str, model: str) -> str:
    return "" if name == model else name
