"""A run of a prompt set, as the page shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from akash_gradio.compare import cells
from akash_gradio.compare.plan import Plan
from akash_gradio.compare.rows import Row
from akash_gradio.compare.run_diff import Change, changes
from akash_gradio.compare.run_store import OpenRun
from akash_gradio.compare.runner import Progress
from akash_gradio.compare.summary import RowLookup, Summary
from akash_gradio.formatting import NOT_AVAILABLE, format_cost, format_duration, format_seconds
from akash_gradio.markdown.renderer import plain, render
from akash_gradio.web import texts

ROWS_SHOWN: Final = 50
CHANGES_SHOWN: Final = 100
_FIRST_LINES: Final = 160
"""Characters of an answer in the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneLine:
    """One lane with its figures. name: of its model. variant: what else tells it from others."""

    letter: str
    hue: int
    name: str
    variant: str
    answered: str
    passed: str
    first_token: str
    speed: str
    cost: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One answer in the table. state: `ok`, `failed` (a check), `error`, `pending`.

    checked: whether anything was demanded of it.
    """

    state: str
    checked: bool
    text: str
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """One prompt, once asked."""

    number: int
    name: str
    repeat: str
    text: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FullCell:
    """One answer to be read. name, variant: as of `LaneLine`. blocks: HTML that we rendered."""

    letter: str
    hue: int
    name: str
    variant: str
    blocks: tuple[str, ...]
    reasoning: str
    said: str
    ok: bool
    pending: bool
    line: str
    checks: tuple[tuple[bool, str], ...]
    facts: tuple[cells.ReceiptLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedCell:
    """A cell beside what it was."""

    prompt: str
    lane: str
    what: str
    before: str
    now: str


def progress_view(progress: Progress) -> dict[str, object]:
    """For the script: how far it is, in sentences."""
    t = texts.SETS
    parts = [t["of"].format(done=f"{progress.done:,}", total=f"{progress.total:,}")]
    parts += [t["failed"].format(count=f"{progress.failed:,}")] if progress.failed else []
    if progress.remaining_s and progress.state.value in ("running", "paused"):
        parts.append(t["left"].format(time=format_duration(progress.remaining_s)))
    return {
        "state": progress.state.value,
        "word": t[progress.state.value],
        "done": progress.done,
        "total": progress.total,
        "failed": progress.failed,
        "in_flight": progress.in_flight,
        "text": " · ".join(parts),
    }


def lane_lines(
    plan: Plan, summaries: Sequence[Summary], names: Mapping[str, str]
) -> tuple[LaneLine, ...]:
    """The lanes with what is known of them so far. names: model id → what people call it."""
    lines = zip(_called(plan, names), summaries, strict=True)
    total = rows_total(plan)
    return tuple(
        _lane_line(place, called, each, total) for place, (called, each) in enumerate(lines)
    )


def _called(plan: Plan, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Of each lane the model's name, and the rest of its label."""
    for lane, label in zip(plan.lanes, plan.labels, strict=True):
        yield names[lane.model], label.removeprefix(lane.model).lstrip(", ")


def _lane_line(place: int, called: tuple[str, str], each: Summary, total: int) -> LaneLine:
    return LaneLine(
        letter=cells.LETTERS[place],
        hue=place % len(cells.COLORS),
        name=called[0],
        variant=called[1],
        answered=texts.SETS["of"].format(done=each.answered, total=total),
        passed=texts.SETS["of"].format(done=each.passed, total=each.checked)
        if each.checked
        else NOT_AVAILABLE,
        first_token=cells.lane_first_token(each),
        speed=cells.lane_speed(each),
        cost=format_cost(each.cost, estimated=each.estimated),
    )


def rows_total(plan: Plan) -> int:
    """How many rows the table has in all."""
    return len(plan.prompts) * plan.repeats


def table_rows(plan: Plan, get_row: RowLookup, first: int) -> Iterator[TableRow]:
    """The rows of the table from this one, ROWS_SHOWN of them."""
    width = len(plan.lanes)
    for number in range(first, min(first + ROWS_SHOWN, rows_total(plan))):
        task = plan.task(number * width)
        yield TableRow(
            number=number,
            name=task.prompt.id,
            repeat=texts.SETS["repeat"].format(count=task.repeat + 1) if plan.repeats > 1 else "",
            text=_shortened(task.prompt.text),
            cells=tuple(_cell(get_row(number * width + lane)) for lane in range(width)),
        )


def _cell(row: Row | None) -> Cell:
    checked = row is not None and bool(row.checks)
    return Cell(state=_state(row), checked=checked, text=_first_lines(row), line=_figures(row))


def _state(row: Row | None) -> str:
    if row is None:
        return "pending"
    if not row.ok:
        return "error"
    return "ok" if row.passed else "failed"


def _first_lines(row: Row | None) -> str:
    if row is None:
        return texts.SETS["pending"]
    if row.answer.strip():
        return _words_of(row.answer[: 4 * _FIRST_LINES])
    return row.said or texts.SETS["empty"]


def _figures(row: Row | None) -> str:
    if row is None:
        return ""
    if not row.ok:
        return _shortened(row.said) if row.answer.strip() else ""
    if row.receipt is None:
        return ""
    figures = (format_seconds(row.receipt.first_token_s), cells.receipt_speed(row.receipt))
    return " · ".join(each for each in figures if each != NOT_AVAILABLE)


@lru_cache(maxsize=4096)
def _words_of(markdown: str) -> str:
    """Kept: a table that is looked at each second has the same cells again and again."""
    return _shortened(plain(markdown) or markdown)


def _shortened(text: str) -> str:
    plain = " ".join(text[: 4 * _FIRST_LINES].split())
    return plain if len(plain) <= _FIRST_LINES else f"{plain[:_FIRST_LINES].rstrip()}…"


def full_row(
    plan: Plan, get_row: RowLookup, number: int, names: Mapping[str, str]
) -> tuple[str, tuple[FullCell, ...]]:
    """The prompt of a row of the table, and its answers side by side. Takes CPU time."""
    width = len(plan.lanes)
    lanes = enumerate(_called(plan, names))
    cells = (_full(lane, called, get_row(number * width + lane)) for lane, called in lanes)
    return plan.task(number * width).prompt.text, tuple(cells)


def _full(lane: int, called: tuple[str, str], row: Row | None) -> FullCell:
    return FullCell(
        letter=cells.LETTERS[lane],
        hue=lane % len(cells.COLORS),
        name=called[0],
        variant=called[1],
        blocks=tuple(render(row.answer)) if row else (),
        reasoning=row.reasoning if row else "",
        said=row.said if row else "",
        ok=row is not None and row.ok,
        pending=row is None,
        line=cells.summary_line(row) if row else "",
        checks=tuple((each.passed, cells.describe_check(each)) for each in row.checks)
        if row
        else (),
        facts=tuple(cells.receipt_facts(row.receipt)) if row and row.receipt else (),
    )


def changed_cells(before: OpenRun, now: OpenRun) -> tuple[tuple[ChangedCell, ...], int]:
    """The first CHANGES_SHOWN cells that changed, and how many there are in all."""
    shown: list[ChangedCell] = []
    count = 0
    old, new = before.journal, now.journal
    for each in changes(old.plan, old.row, new.plan, new.row):
        count += 1
        if len(shown) < CHANGES_SHOWN:
            shown.append(_changed(each, old.row, new.row))
    return tuple(shown), count


def _changed(change: Change, before: RowLookup, now: RowLookup) -> ChangedCell:
    repeat = f", {texts.SETS['repeat'].format(count=change.repeat + 1)}" if change.repeat else ""
    return ChangedCell(
        prompt=change.prompt + repeat,
        lane=change.lane,
        what=", ".join(texts.SETS[f"change_{what.value}"] for what in change.what),
        before=_first_lines(before(change.before)) if change.before is not None else "",
        now=_first_lines(now(change.now)) if change.now is not None else "",
    )
