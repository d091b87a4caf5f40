"""Reads CSV and reports problems by row and column, which Python's own reader doesn't."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from akash_gradio.compare.prompt_set import PromptSetError, SetProblem

SEPARATORS: Final = (",", ";", "\t")


def read_csv(text: str) -> Iterator[list[str]]:
    """Yield the rows of a CSV text (RFC 4180).

    Args:
        text: The whole text. Its first line decides between comma, semicolon and tab.

    Raises:
        PromptSetError: A quote is not closed, or is in a place where none is allowed.
    """
    separator = _separator(text)
    quoted = re.compile(r'"([^"]*(?:""[^"]*)*)(")?')
    plain = re.compile(rf"[^{separator}\r\n]*")
    position, row = 0, 1
    while position < len(text):
        cells: list[str] = []
        while True:
            cell = (quoted if text.startswith('"', position) else plain).match(text, position)
            assert cell is not None  # `plain` also matches nothing
            position = cell.end()
            cells.append(_content(cell, row, len(cells) + 1))
            following = text[position : position + 1]
            if following == separator:
                position += 1
            elif following in ("\r", "\n", ""):
                position += 2 if text.startswith("\r\n", position) else 1
                break
            else:
                message = f"{following!r} after a closing quote; double the quotes inside a cell"
                raise _problem(row, len(cells), message)
        yield cells
        row += 1


def _separator(text: str) -> str:
    first_line = re.split(r"[\r\n]", text, maxsplit=1)[0]
    unquoted = re.sub(r'"[^"]*"', "", first_line)
    return max(SEPARATORS, key=unquoted.count)


def _content(cell: re.Match[str], row: int, column: int) -> str:
    if not cell[0].startswith('"'):
        if '"' in cell[0]:
            raise _problem(
                row, column, "a quote inside a cell; quote the cell and double the quote"
            )
        return cell[0]
    if cell[2] is None:
        raise _problem(row, column, "a quote is not closed")
    return cell[1].replace('""', '"')


def _problem(row: int, column: int, message: str) -> PromptSetError:
    return PromptSetError(SetProblem(row=row, column=str(column), message=message))
