"""The report as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator

from akash_gradio.compare import cells
from akash_gradio.compare.reports.report import Report
from akash_gradio.compare.rows import Row
from akash_gradio.formatting import NOT_AVAILABLE, format_cost, format_tokens


def markdown_report(report: Report) -> Iterator[str]:
    """Yield a table of the lanes, the votes, then each prompt with its answers."""
    plan, labels = report.plan, report.plan.labels
    created = report.created_at.strftime("%Y-%m-%d %H:%M UTC")
    yield f"# {_line(report.title)}\n\n{created}, Akash Gradio {report.version}, "
    yield f"{len(plan.prompts)} prompts × {len(plan.lanes)} lanes × {plan.repeats}\n\n"
    yield "| | lane | answered | checks passed | first token | speed | tokens out | cost |\n"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
    for index, (label, summary) in enumerate(zip(labels, report.summaries(), strict=True)):
        columns = [
            cells.LETTERS[index],
            label,
            f"{summary.answered} of {summary.finished}",
            f"{summary.passed} of {summary.checked}" if summary.checked else NOT_AVAILABLE,
            cells.lane_first_token(summary),
            cells.lane_speed(summary),
            format_tokens(summary.tokens_out, estimated=summary.estimated),
            format_cost(summary.cost, estimated=summary.estimated),
        ]
        yield f"| {' | '.join(map(_line, columns))} |\n"
    yield from _ranking(report)
    heading = None
    for row in report.rows():
        task = plan.task(row.number)
        if heading != (task.prompt.id, task.repeat):
            heading = (task.prompt.id, task.repeat)
            repeat = f", repeat {task.repeat + 1}" if plan.repeats > 1 else ""
            yield f"\n## {_line(task.prompt.id)}{repeat}\n\n{_fenced(task.prompt.text)}\n"
        lane = plan.lane_of(row.number)
        yield from _answer(row, f"{cells.LETTERS[lane]} · {labels[lane]}")


def _ranking(report: Report) -> Iterator[str]:
    if report.ranking is None:
        return
    yield f"\n## Votes\n\n{report.ranking.votes} votes\n\n"
    yield "| place | lane | rating | 95 % interval | won | lost | tied |\n"
    yield "| --- | --- | --- | --- | --- | --- | --- |\n"
    for standing in report.ranking.standings:
        yield (
            f"| {standing.place} | {_line(standing.label)} | {standing.rating:.0f} "
            f"| {standing.low:.0f} to {standing.high:.0f} "
            f"| {standing.wins} | {standing.losses} | {standing.ties} |\n"
        )


def _answer(row: Row, lane: str) -> Iterator[str]:
    yield f"\n### {_line(lane)}\n\n"
    if row.reasoning:
        yield f"<details><summary>Reasoning</summary>\n\n{_fenced(row.reasoning)}\n\n</details>\n\n"
    if row.answer:
        yield f"{_fenced(row.answer)}\n\n"
    if not row.ok:
        yield f"**{row.outcome}**: {_line(row.error)}\n\n"
    for result in row.checks:
        outcome = "passed" if result.passed else "**failed**"
        yield f"- {outcome}: {_line(cells.describe_check(result))}\n"
    if line := cells.summary_line(row):
        yield f"\n{_line(line)}\n"


def _fenced(text: str) -> str:
    """Fence the text with more backticks than it contains, so that it can't end the fence."""
    longest = max(map(len, re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def _line(text: str) -> str:
    """Put the text on one line and escape Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", " ".join(text.split()))
