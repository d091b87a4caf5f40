"""Formats the figures as tables, ratios and bench/results.md."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from bench.programs import ROOT

APP: Final = "akash_gradio"
ANCHOR: Final = "sglang_router"
"""The fastest system, to which the others are compared."""
Row = tuple[str, ...]
Table = Mapping[str, Mapping[str, float | None]]
"""The figures of each system, reader or page, by their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Everything that was measured.

    Attributes:
        gateways: Figures of the systems.
        readers: Figures of the clients in one process.
        pages: Figures of the pages.
        errors: Errors of the receipts.
        import_cpu_s: CPU seconds of importing the gateway.
        versions: The versions of everything measured.
        took_s: Seconds of each part.
        notes: What could not be measured, and why.
    """

    gateways: Table = field(default_factory=dict)
    readers: Table = field(default_factory=dict)
    pages: Table = field(default_factory=dict)
    errors: Table = field(default_factory=dict)
    import_cpu_s: float | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    took_s: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table.

    Attributes:
        title: Its heading.
        figure: The name of the figure.
        digits: Digits after the decimal point.
        added: Whether the figure of the endpoint itself is subtracted.
    """

    title: str
    figure: str
    digits: int = 1
    added: bool = False


CALLS: Final = (
    Column(title="req/s at 1", figure="requests_per_s_1", digits=0),
    Column(title="at 16", figure="requests_per_s_16", digits=0),
    Column(title="at 64", figure="requests_per_s_64", digits=0),
    Column(title="CPU ms each, 64", figure="cpu_ms_per_call_64", digits=2),
    Column(title="added ms p50 at 1", figure="call_p50_1", added=True),
    Column(title="p99", figure="call_p99_1", added=True),
    Column(title="p50 at 16", figure="call_p50_16", added=True),
    Column(title="p99", figure="call_p99_16", added=True),
    Column(title="p50 at 64", figure="call_p50_64", added=True),
    Column(title="p99", figure="call_p99_64", added=True),
)
ANCHORED: Final = (
    Column(title="req/s at 1", figure="requests_per_s_1", digits=2),
    Column(title="at 16", figure="requests_per_s_16", digits=2),
    Column(title="at 64", figure="requests_per_s_64", digits=2),
    Column(title="CPU each, 64", figure="cpu_ms_per_call_64", digits=2),
    Column(title="tokens/s", figure="tokens_per_s", digits=2),
    Column(title="CPU per token, 100 streams", figure="cpu_s_100", digits=2),
    Column(title="streams held", figure="streams_held", digits=2),
    Column(title="MB, 400 streams", figure="memory_400", digits=2),
)
"""Figures as multiples of the anchor's."""
STREAMS: Final = (
    Column(title="added first token ms p50", figure="first_p50", added=True),
    Column(title="p99", figure="first_p99", added=True),
    Column(title="tokens/s", figure="tokens_per_s", digits=0),
    Column(title="CPU s per 100k tokens, 20 streams", figure="cpu_s_20"),
    Column(title="100 streams", figure="cpu_s_100"),
    Column(title="streams of 50 tok/s held", figure="streams_held", digits=0),
    Column(title="MB at 0 streams", figure="memory_0", digits=0),
    Column(title="100", figure="memory_100", digits=0),
    Column(title="400", figure="memory_400", digits=0),
)
READERS: Final = (
    Column(title="CPU µs per chunk", figure="cpu_us", digits=0),
    Column(title="tokens/s read", figure="tokens_per_s", digits=0),
)
PAGES: Final = (
    Column(title="CPU s per 1 000 tokens, empty chat", figure="cpu_s_0", digits=3),
    Column(title="lag ms p50", figure="lag_p50_0", digits=0),
    Column(title="p99", figure="lag_p99_0", digits=0),
    Column(title="CPU s per 1 000 tokens, 100 turns", figure="cpu_s_100", digits=3),
    Column(title="lag ms p50", figure="lag_p50_100", digits=0),
    Column(title="p99", figure="lag_p99_100", digits=0),
    Column(title="bytes of each, empty chat", figure="bytes_0", digits=0),
    Column(title="100 turns", figure="bytes_100", digits=0),
)
CROWDS: Final = (
    Column(title="lag ms p50 at 1", figure="lag_p50_crowd_1", digits=0),
    Column(title="p99", figure="lag_p99_crowd_1", digits=0),
    Column(title="p50 at 10", figure="lag_p50_crowd_10", digits=0),
    Column(title="p99", figure="lag_p99_crowd_10", digits=0),
    Column(title="p50 at 50", figure="lag_p50_crowd_50", digits=0),
    Column(title="p99", figure="lag_p99_crowd_50", digits=0),
    Column(title="visitors held", figure="held", digits=0),
)
LOADING: Final = (
    Column(title="first paint ms", figure="paint_ms", digits=0),
    Column(title="usable ms", figure="usable_ms", digits=0),
    Column(title="kB", figure="weight_kb", digits=0),
    Column(title="requests", figure="requests", digits=0),
)

ERRORS: Final = (
    Column(title="first token, ms off p50", figure="first_ms_p50"),
    Column(title="largest", figure="first_ms_max"),
    Column(title="share of 10 ms + 2 %", figure="first_share", digits=2),
    Column(title="tokens/s, % off p50", figure="speed_percent_p50", digits=2),
    Column(title="largest", figure="speed_percent_max", digits=2),
)


def table(title: str, columns: Sequence[Column], figures: Table) -> str:
    """Return an aligned Markdown table without empty columns."""
    shown = [c for c in columns if any(c.figure in row for row in figures.values())]
    rows: list[Row] = [(title, *(column.title for column in shown))]
    for name, row in figures.items():
        rows.append((name, *(_cell(column, row, figures.get("direct", {})) for column in shown)))
    return _aligned(rows)


def anchored(figures: Table) -> Table:
    """Return the figures of each system divided by the anchor's."""
    base = figures.get(ANCHOR, {})
    return {
        name: {
            figure: value / divisor
            for figure, value in row.items()
            if value is not None and (divisor := base.get(figure))
        }
        for name, row in figures.items()
        if base and name != ANCHOR
    }


def _aligned(rows: Sequence[Row]) -> str:
    """Return rows as a Markdown table with aligned columns; the first row is the heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, _line(tuple("-" * width for width in widths), widths))
    return "\n".join(lines)


def _line(row: Row, widths: Sequence[int]) -> str:
    first, *rest = row
    cells = [first.ljust(widths[0])]
    cells += [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
    return f"| {' | '.join(cells)} |"


def _cell(
    column: Column, row: Mapping[str, float | None], direct: Mapping[str, float | None]
) -> str:
    value, base = row.get(column.figure), direct.get(column.figure)
    if value is None or (column.added and base is None):
        return "–"
    if column.added and base is not None:
        value = value if row is direct else value - base
    return f"{value:,.{column.digits}f}".replace(",", " ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A performance target.

    Attributes:
        what: What is measured.
        value: The measured value, None if it could not be measured.
        limit: The lower bound of the value; with at_most, the upper bound.
    """

    what: str
    value: float | None
    limit: float
    at_most: bool = False
    unit: str = "×"

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "not measured"
        met = self.value <= self.limit if self.at_most else self.value >= self.limit
        return "met" if met else "missed"


def goals(results: Results) -> tuple[Goal, ...]:
    """Return the targets, each relative to its baseline in the same run."""
    gateways, readers, pages = results.gateways, results.readers, results.pages

    def ratio(figures: Table, figure: str, other: str, system: str = APP) -> float | None:
        own = figures.get(system, {}).get(figure)
        base = figures.get(other, {}).get(figure)
        return own / base if own is not None and base else None

    def added(figure: str) -> float | None:
        own = gateways.get(APP, {}).get(figure)
        base = gateways.get("direct", {}).get(figure)
        return None if own is None or base is None else own - base

    held, per_s = "streams_held", "requests_per_s_64"
    return (
        Goal(what="streams held, of LiteLLM's", value=ratio(gateways, held, "litellm"), limit=40),
        Goal(what="streams held, of bare's", value=ratio(gateways, held, "bare"), limit=3),
        Goal(
            what="requests/s at 64, of sglang-router's",
            value=ratio(gateways, per_s, ANCHOR),
            limit=0.45,
        ),
        Goal(
            what="streams held, of sglang-router's", value=ratio(gateways, held, ANCHOR), limit=0.7
        ),
        Goal(
            what="requests/s at 64, of LiteLLM's", value=ratio(gateways, per_s, "litellm"), limit=30
        ),
        Goal(
            what="requests/s at 64, of Portkey's", value=ratio(gateways, per_s, "portkey"), limit=3
        ),
        Goal(
            what="added first token, p50",
            value=added("first_p50"),
            limit=2,
            at_most=True,
            unit="ms",
        ),
        Goal(
            what="added first token, p99",
            value=added("first_p99"),
            limit=15,
            at_most=True,
            unit="ms",
        ),
        Goal(
            what="memory at 400 streams",
            value=gateways.get(APP, {}).get("memory_400"),
            limit=70,
            at_most=True,
            unit="MB",
        ),
        Goal(
            what="import akash_gradio.gateway",
            value=results.import_cpu_s,
            limit=0.3,
            at_most=True,
            unit="CPU s",
        ),
        Goal(
            what="in process, of openai's SDK",
            value=ratio(readers, "cpu_us", "openai", "gateway"),
            limit=0.25,
            at_most=True,
        ),
        Goal(
            what="in process, of LiteLLM's Router",
            value=ratio(readers, "cpu_us", "litellm", "gateway"),
            limit=0.1,
            at_most=True,
        ),
        Goal(
            what="page, CPU per token at 100 turns, of gr.ChatInterface's",
            value=ratio(pages, "cpu_s_100", "chat_interface", "page"),
            limit=0.1,
            at_most=True,
        ),
        Goal(
            what="page, lag p99 at 50 visitors",
            value=pages.get("page", {}).get("lag_p99_crowd_50"),
            limit=150,
            at_most=True,
            unit="ms",
        ),
    )


def comparison_table(results: Results) -> str:
    """Return the ratios to another checkout that was measured in the same run, "" without one."""
    pairs = (
        (results.gateways, APP, "akash_gradio_before"),
        (results.readers, "gateway", "gateway_before"),
        (results.pages, "page", "page_before"),
    )
    rows: list[Row] = [("figure", "now", "before", "ratio")]
    for figures, name, earlier in pairs:
        before = figures.get(earlier, {})
        for figure, value in figures.get(name, {}).items():
            base = before.get(figure)
            if value is not None and base:
                title = f"{name}, {figure}"
                rows.append((title, f"{value:.4g}", f"{base:.4g}", f"{value / base:.3f}"))
    if len(rows) == 1:
        return ""
    return _aligned(rows)


def goals_table(targets: Sequence[Goal]) -> str:
    """Return the targets as a table."""
    rows: list[Row] = [("target", "limit", "measured", "")]
    for goal in targets:
        sign = "≤" if goal.at_most else "≥"
        value = "–" if goal.value is None else f"{goal.value:.3g} {goal.unit}"
        rows.append((goal.what, f"{sign} {goal.limit:g} {goal.unit}", value, goal.verdict))
    return _aligned(rows)


def tables(results: Results) -> str:
    """Return everything that was measured, as Markdown."""
    parts = []
    if results.gateways:
        parts.append(table("whole responses", CALLS, results.gateways))
        parts.append(table("streams", STREAMS, results.gateways))
        if ratios := anchored(results.gateways):
            parts.append(table(f"of {ANCHOR}'s", ANCHORED, ratios))
    if results.readers:
        parts.append(table("in process", READERS, results.readers))
    if results.pages:
        parts.append(table("the page", PAGES, results.pages))
        parts.append(table("concurrent visitors", CROWDS, results.pages))
        parts.append(table("a first visit", LOADING, results.pages))
    if results.errors:
        parts.append(table("errors of the receipts", ERRORS, results.errors))
    if results.import_cpu_s is not None:
        parts.append(f"`import akash_gradio.gateway`: {results.import_cpu_s:.2f} CPU s")
    parts.append(goals_table(goals(results)))
    if comparison := comparison_table(results):
        parts.append(comparison)
    parts += [f"- {note}" for note in results.notes]
    return "\n\n".join(parts)


def document(results: Results, when: datetime, took_s: float, load: float) -> str:
    """Return the text of bench/results.md."""
    versions = [f"- {name}: {found}" for name, found in results.versions.items()]
    return f"""# What was measured

Written by `make bench`, {when:%Y-%m-%d %H:%M} UTC, in {took_s / 60:.0f} minutes;
commit {_commit()}.

Seconds: {", ".join(f"{part} {seconds}" for part, seconds in results.took_s.items())}.

Machine: {_processor()}, {os.cpu_count()} cores, {_memory_gb():.0f} GB, Linux \
{platform.release()}; Python {platform.python_version()}. Load average at the start: {load:.1f} \
(above 0.5 the figures are not reliable; the ratios are more robust).

Repeat it: `make bench` on an otherwise idle machine. `.venv/bin/python -m bench.run --help`
lists its parts.

Method: the system under test runs alone on core 0 (the others are paused), a stand-in endpoint and
a load client in C (`bench/upstream.c`, `bench/load.c`) on core 1. The endpoint numbers and stamps
each token; the client checks that none is missing, doubled or foreign, and measures its lag.
*Added* is a percentile minus the same percentile of `direct`, whose row has its own value.
Streams are held if, once all are open (within 6 s), the p99 lag is below 100 ms and 95 % of the
tokens arrive. Memory is resident memory with open streams of 3 tokens per second. The visitors of
a page are held if the p99 lag is below 150 ms and every token arrives; a first visit is by
Chromium, on the other core, with an empty cache.

{tables(results)}

## Versions

{chr(10).join(versions)}
"""


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"
