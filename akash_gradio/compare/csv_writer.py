"""Writes CSV that a spreadsheet opens without executing formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Final

Cell = str | int | float | bool | None

FORMULA_PREFIXES: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""Beginnings that a spreadsheet takes for a formula. Source: OWASP, "CSV Injection"."""


def csv_text(rows: Iterable[Iterable[Cell]]) -> str:
    """Return the rows as CSV (RFC 4180); a text that looks like a formula is prefixed with `'`."""
    buffer = io.StringIO()
    csv.writer(buffer).writerows([_escape(cell) for cell in row] for row in rows)
    return buffer.getvalue()


def _escape(cell: Cell) -> Cell:
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, str) and cell.startswith(FORMULA_PREFIXES):
        return f"'{cell}"
    return cell
