"""The report as one HTML file: no script, no request, light, dark and on paper."""

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
    """One lane of the table and of the charts. name: what people call it, if that says more."""

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
    """One bar of a chart, in percent of the longest."""

    letter: str
    hue: int
    value: str
    length: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Horizontal bars, one a lane."""

    title: str
    note: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellView:
    """One answer. blocks: its HTML; without any its text is shown as it came."""

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
    """One prompt, once asked, and what came."""

    prompt: Prompt
    repeat: int
    cells: tuple[CellView, ...]


def html_report(report: Report) -> Iterator[str]:
    """The file, piece by piece."""
    from jinja2 import Environment, FileSystemLoader

    house = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    plan = report.plan
    lanes = _lanes(report)
    return house.get_template("report.html").generate(
        report=report,
        plan=plan,
        made=report.created_at.strftime("%Y-%m-%d %H:%M UTC"),
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
            letter=cells.LETTERS[place],
            hue=place % len(cells.COLORS),
            label=label,
            name=_more_than_its_id(report.names.get(lane.model, ""), lane.model),
            system=lane.system,
            summary=each,
            first_token=cells.lane_first_token(each),
            speed=cells.lane_speed(each),
            tokens_out=format_tokens(each.tokens_out, estimated=each.estimated),
            cost=format_cost(each.cost, estimated=each.estimated),
        )
        for place, (label, lane, each) in enumerate(
            zip(report.plan.labels, report.plan.lanes, report.summaries(), strict=True)
        )
    )


def _charts(lanes: Sequence[LaneView]) -> Iterator[Chart]:
    spread = "the median; the thin line holds eight in ten"
    first = [(lane, lane.summary.first_token_s, lane.first_token) for lane in lanes]
    yield Chart(title="First token", note=f"Shorter is better: {spread}.", bars=_bars(first))
    speed = [(lane, lane.summary.tokens_per_s, lane.speed) for lane in lanes]
    yield Chart(title="Speed", note=f"Longer is better: {spread}.", bars=_bars(speed))
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
    yield Chart(title="Checks", note="Answers that pass all their checks.", bars=passed)


def _bars(measured: Sequence[tuple[LaneView, Spread | None, str]]) -> tuple[Bar, ...]:
    longest = max((spread.high for _, spread, _ in measured if spread), default=0) or 1
    return tuple(
        Bar(
            letter=lane.letter,
            hue=lane.hue,
            value=value,
            length=100 * spread.median / longest,
            low=100 * spread.low / longest,
            high=100 * spread.high / longest,
        )
        for lane, spread, value in measured
        if spread is not None
    )


def _prompts(report: Report) -> Iterator[PromptView]:
    plan, labels = report.plan, report.plan.labels
    width = len(plan.lanes)
    for _, rows in groupby(report.rows(), key=lambda row: row.number // width):
        first, *more = rows
        task = plan.task(first.number)
        cells = tuple(
            _cell(report.render, labels, plan.lane_of(row.number), row) for row in (first, *more)
        )
        yield PromptView(prompt=task.prompt, repeat=task.repeat, cells=cells)


def _cell(render: Render | None, labels: Sequence[str], place: int, row: Row) -> CellView:
    return CellView(
        letter=cells.LETTERS[place],
        hue=place % len(cells.COLORS),
        label=labels[place],
        row=row,
        blocks=() if render is None else tuple(render(row.answer)),
        line=cells.summary_line(row),
        checks=tuple((each.passed, cells.describe_check(each)) for each in row.checks),
        facts=tuple(cells.receipt_facts(row.receipt)) if row.receipt else (),
    )


def _verdict(pair: Neighbors) -> str:
    if pair.ordered:
        return f"{pair.upper} is better than {pair.lower}"
    if not pair.connected:
        return f"no votes connect {pair.upper} and {pair.lower}"
    more = f": about {pair.more_votes} more" if pair.more_votes else "; they may be equal"
    return f"not enough votes to order {pair.upper} and {pair.lower}{more}"


def _matrix(ranking: Ranking) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """(lane, its score against each lane in the table's order)."""
    pairs = {(pair.a, pair.b): pair for pair in ranking.pairs}
    labels = [each.label for each in ranking.standings]
    return tuple(
        (one, tuple(_score(pairs.get((one, other)), pairs.get((other, one))) for other in labels))
        for one in labels
    )


def _score(as_a: Pair | None, as_b: Pair | None) -> str:
    """`3 – 1`, won and lost, ties left out; "" where they never met."""
    if as_a is not None:
        return f"{as_a.a_wins} – {as_a.b_wins}"
    return f"{as_b.b_wins} – {as_b.a_wins}" if as_b is not None else ""


def _more_than_its_id(name: str, model: str) -> str:
    return "" if name == model else name
