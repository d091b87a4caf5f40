"""View data of a run: its progress, lanes, table, answers and changes; not yet HTML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from akash_gradio.compare import cells
from akash_gradio.compare.journal import Journal
from akash_gradio.compare.open_run import OpenRun
from akash_gradio.compare.plan import Plan
from akash_gradio.compare.rows import Row
from akash_gradio.compare.run_diff import Change, diff_runs
from akash_gradio.compare.runner import Progress
from akash_gradio.compare.summary import RowLookup, Summary
from akash_gradio.formatting import NOT_AVAILABLE, format_cost, format_duration, format_seconds
from akash_gradio.markdown.renderer import plain_text
from akash_gradio.web import texts

ROWS_SHOWN: Final = 50
"""Rows on one page of the table."""
CHANGES_SHOWN: Final = 100
"""Changes listed when two runs are compared."""
_EXCERPT_CHARACTERS: Final = 160
"""Length of a prompt or an answer in the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneLine:
    """One lane with its results.

    Attributes:
        hue: The number of its color.
        name: The model's display name.
        variant: The rest of the lane's label, "" without any.
    """

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
    """One answer in the table.

    Attributes:
        state: `ok`, `failed` (a check), `error` or `pending`.
        checked: Whether it has checks.
        line: Its speed or error, below the text.
    """

    state: str
    checked: bool
    text: str
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """One prompt in one repeat."""

    number: int
    name: str
    repeat: str
    text: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FullCell:
    """One answer in full; `name`, `variant` and `hue` as in `LaneLine`.

    Attributes:
        blocks: The rendered answer, safe HTML.
        error: The text of its error, "" without one.
        line: A summary of the receipt.
        checks: Whether each check passed, and its text.
    """

    letter: str
    hue: int
    name: str
    variant: str
    blocks: tuple[str, ...]
    reasoning: str
    error: str
    ok: bool
    pending: bool
    line: str
    checks: tuple[tuple[bool, str], ...]
    facts: tuple[cells.ReceiptLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedCell:
    """An answer of one run next to that of an earlier one."""

    prompt: str
    lane: str
    what: str
    before: str
    now: str


def progress_view(progress: Progress) -> dict[str, object]:
    """Return a run's progress as numbers and texts."""
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
    """Build the rows of the table of lanes.

    Args:
        plan: The plan of the run.
        summaries: The results so far, one for each lane.
        names: Display names by model id.
    """
    lines = zip(_name_lanes(plan, names), summaries, strict=True)
    total = count_rows(plan)
    return tuple(
        _lane_line(index, label, summary, total) for index, (label, summary) in enumerate(lines)
    )


def _name_lanes(plan: Plan, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each lane's model name, and the rest of its label."""
    for lane, label in zip(plan.lanes, plan.labels, strict=True):
        yield names[lane.model], label.removeprefix(lane.model).lstrip(", ")


def _lane_line(index: int, label: tuple[str, str], summary: Summary, total: int) -> LaneLine:
    return LaneLine(
        letter=cells.LETTERS[index],
        hue=index % len(cells.COLORS),
        name=label[0],
        variant=label[1],
        answered=texts.SETS["of"].format(done=summary.answered, total=total),
        passed=texts.SETS["of"].format(done=summary.passed, total=summary.checked)
        if summary.checked
        else NOT_AVAILABLE,
        first_token=cells.lane_first_token(summary),
        speed=cells.lane_speed(summary),
        cost=format_cost(summary.cost, estimated=summary.estimated),
    )


def count_rows(plan: Plan) -> int:
    """Return how many rows the table has."""
    return len(plan.prompts) * plan.repeats


def table_rows(plan: Plan, get_row: RowLookup, first: int) -> Iterator[TableRow]:
    """Yield the rows of one page of the table.

    Args:
        plan: The plan of the run.
        get_row: Returns an answer by its number, None while it is pending.
        first: The number of the first row, from 0.
    """
    width = len(plan.lanes)
    for number in range(first, min(first + ROWS_SHOWN, count_rows(plan))):
        task = plan.task(number * width)
        yield TableRow(
            number=number,
            name=task.prompt.id,
            repeat=texts.SETS["repeat"].format(count=task.repeat + 1) if plan.repeats > 1 else "",
            text=_shorten(task.prompt.text),
            cells=tuple(_cell(get_row(number * width + lane)) for lane in range(width)),
        )


def _cell(row: Row | None) -> Cell:
    checked = row is not None and bool(row.checks)
    return Cell(state=_state(row), checked=checked, text=_excerpt(row), line=_detail(row))


def _state(row: Row | None) -> str:
    if row is None:
        return "pending"
    if not row.ok:
        return "error"
    return "ok" if row.passed else "failed"


def _excerpt(row: Row | None) -> str:
    if row is None:
        return texts.SETS["pending"]
    if row.answer.strip():
        return _plain_excerpt(row.answer[: 4 * _EXCERPT_CHARACTERS])
    return row.error or texts.SETS["empty"]


def _detail(row: Row | None) -> str:
    if row is None:
        return ""
    if not row.ok:
        return _shorten(row.error) if row.answer.strip() else ""
    if row.receipt is None:
        return ""
    figures = (format_seconds(row.receipt.first_token_s), cells.receipt_speed(row.receipt))
    return " · ".join(figure for figure in figures if figure != NOT_AVAILABLE)


@lru_cache(maxsize=4096)
def _plain_excerpt(markdown: str) -> str:
    """Return the beginning of an answer. Cached: the page reads the same cells every second."""
    return _shorten(plain_text(markdown) or markdown)


def _shorten(text: str) -> str:
    plain = " ".join(text[: 4 * _EXCERPT_CHARACTERS].split())
    return (
        plain if len(plain) <= _EXCERPT_CHARACTERS else f"{plain[:_EXCERPT_CHARACTERS].rstrip()}…"
    )


def rows_at(journal: Journal, number: int) -> list[Row | None]:
    """Return the answers of all lanes to one prompt, None for those that are pending."""
    width = len(journal.plan.lanes)
    return [journal.row(number * width + lane) for lane in range(width)]


def full_row(
    plan: Plan,
    number: int,
    rows: Sequence[Row | None],
    blocks: Sequence[tuple[str, ...]],
    names: Mapping[str, str],
) -> tuple[str, tuple[FullCell, ...]]:
    """Build the view of one row.

    Args:
        plan: The plan of the run.
        number: The number of the row, from 0.
        rows: From `rows_at`.
        blocks: The rendered answers.
        names: Display names by model id.

    Returns:
        The prompt, and the answers of the lanes.
    """
    lanes = enumerate(_name_lanes(plan, names))
    cells = (_full(lane, label, rows[lane], blocks[lane]) for lane, label in lanes)
    return plan.task(number * len(plan.lanes)).prompt.text, tuple(cells)


def _full(lane: int, label: tuple[str, str], row: Row | None, blocks: tuple[str, ...]) -> FullCell:
    return FullCell(
        letter=cells.LETTERS[lane],
        hue=lane % len(cells.COLORS),
        name=label[0],
        variant=label[1],
        blocks=blocks,
        reasoning=row.reasoning if row else "",
        error=row.error if row else "",
        ok=row is not None and row.ok,
        pending=row is None,
        line=cells.summary_line(row) if row else "",
        checks=tuple((check.passed, cells.describe_check(check)) for check in row.checks)
        if row
        else (),
        facts=tuple(cells.receipt_facts(row.receipt)) if row and row.receipt else (),
    )


def changed_cells(earlier: OpenRun, current: OpenRun) -> tuple[tuple[ChangedCell, ...], int]:
    """Return the first CHANGES_SHOWN changes between two runs, and the number of all."""
    shown: list[ChangedCell] = []
    count = 0
    old, new = earlier.journal, current.journal
    for change in diff_runs(old.plan, old.row, new.plan, new.row):
        count += 1
        if len(shown) < CHANGES_SHOWN:
            shown.append(_changed(change, old.row, new.row))
    return tuple(shown), count


def _changed(change: Change, get_earlier_row: RowLookup, get_row: RowLookup) -> ChangedCell:
    repeat = f", {texts.SETS['repeat'].format(count=change.repeat + 1)}" if change.repeat else ""
    earlier_number, number = change.earlier_number, change.number
    return ChangedCell(
        prompt=change.prompt + repeat,
        lane=change.lane,
        what=", ".join(texts.SETS[f"change_{kind.value}"] for kind in change.kinds),
        before=_excerpt(get_earlier_row(earlier_number)) if earlier_number is not None else "",
        now=_excerpt(get_row(number)) if number is not None else "",
    )
