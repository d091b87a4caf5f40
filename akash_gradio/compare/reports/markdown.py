"""The report as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator

from akash_gradio.compare import cells
from akash_gradio.compare.reports.report import Report
from akash_gradio.compare.rows import Row
from akash_gradio.formatting import NOT_AVAILABLE, format_cost, format_tokens


def markdown_report(report: Report) -> Iterator[str]:
    """A table of the lanes, then each prompt with its answers, folded where HTML is shown."""
    plan, labels = report.plan, report.plan.labels
    made = report.created_at.strftime("%Y-%m-%d %H:%M UTC")
    yield f"# {_line(report.title)}\n\n{made}, Akash Gradio {report.version}, "
    yield f"{len(plan.prompts)} prompts × {len(plan.lanes)} lanes × {plan.repeats}\n\n"
    yield "| | lane | answered | checks passed | first token | speed | tokens out | cost |\n"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
    for place, (label, each) in enumerate(zip(labels, report.summaries(), strict=True)):
        columns = [
            cells.LETTERS[place],
            label,
            f"{each.answered} of {each.asked}",
            f"{each.passed} of {each.checked}" if each.checked else NOT_AVAILABLE,
            cells.lane_first_token(each),
            cells.lane_speed(each),
            format_tokens(each.tokens_out, estimated=each.estimated),
            format_cost(each.cost, estimated=each.estimated),
        ]
        yield f"| {' | '.join(map(_line, columns))} |\n"
    yield from _ranking(report)
    shown = None
    for row in report.rows():
        task = plan.task(row.number)
        if shown != (task.prompt.id, task.repeat):
            shown = (task.prompt.id, task.repeat)
            again = f", repeat {task.repeat + 1}" if plan.repeats > 1 else ""
            yield f"\n## {_line(task.prompt.id)}{again}\n\n{_fenced(task.prompt.text)}\n"
        place = plan.lane_of(row.number)
        yield from _answer(row, f"{cells.LETTERS[place]} · {labels[place]}")


def _ranking(report: Report) -> Iterator[str]:
    if report.ranking is None:
        return
    yield f"\n## Votes\n\n{report.ranking.votes} votes\n\n"
    yield "| place | lane | rating | 95 % interval | won | lost | tied |\n"
    yield "| --- | --- | --- | --- | --- | --- | --- |\n"
    for each in report.ranking.standings:
        yield (
            f"| {each.place} | {_line(each.label)} | {each.rating:.0f} "
            f"| {each.low:.0f} to {each.high:.0f} | {each.wins} | {each.losses} | {each.ties} |\n"
        )


def _answer(row: Row, lane: str) -> Iterator[str]:
    yield f"\n### {_line(lane)}\n\n"
    if row.reasoning:
        yield f"<details><summary>Reasoning</summary>\n\n{_fenced(row.reasoning)}\n\n</details>\n\n"
    if row.answer:
        yield f"{_fenced(row.answer)}\n\n"
    if not row.ok:
        yield f"**{row.outcome}**: {_line(row.said)}\n\n"
    for checked in row.checks:
        word = "passed" if checked.passed else "**failed**"
        yield f"- {word}: {_line(cells.describe_check(checked))}\n"
    if line := cells.summary_line(row):
        yield f"\n{_line(line)}\n"


def _fenced(text: str) -> str:
    """In a fence that is longer than any in the text: an answer changes nothing of the report."""
    longest = max(map(len, re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def _line(text: str) -> str:
    """On one line, with nothing in it that Markdown reads."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", " ".join(text.split()))
