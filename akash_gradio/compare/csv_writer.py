"""CSV that a spreadsheet opens without running anything."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Final

Cell = str | int | float | bool | None

STARTS_A_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""Source: OWASP, "CSV Injection"."""


def csv_text(rows: Iterable[Iterable[Cell]]) -> str:
    """The rows as RFC 4180 has them; a text that would be computed gets a quote before it."""
    into = io.StringIO()
    csv.writer(into).writerows([_safe(cell) for cell in row] for row in rows)
    return into.getvalue()


def _safe(cell: Cell) -> Cell:
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, str) and cell.startswith(STARTS_A_FORMULA):
        return f"'{cell}"
    return cell
