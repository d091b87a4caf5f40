"""CSV in which a mistake has a row and a column, which Python's own reader doesn't tell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from akash_gradio.compare.prompt_set import Mistake, PromptSetError

SEPARATORS: Final = (",", ";", "\t")


def read_csv(text: str) -> Iterator[list[str]]:
    """The rows, as RFC 4180 has them; the first line decides between comma, semicolon and tab.

    Raises PromptSetError where a quote is left open or stands where none can.
    """
    separator = _separator(text)
    quoted = re.compile(r'"([^"]*(?:""[^"]*)*)(")?')
    plain = re.compile(rf"[^{separator}\r\n]*")
    position, row = 0, 1
    while position < len(text):
        cells: list[str] = []
        while True:
            cell = (quoted if text.startswith('"', position) else plain).match(text, position)
            assert cell is not None  # the plain one matches nothing, too
            position = cell.end()
            cells.append(_content(cell, row, len(cells) + 1))
            following = text[position : position + 1]
            if following == separator:
                position += 1
            elif following in ("\r", "\n", ""):
                position += 2 if text.startswith("\r\n", position) else 1
                break
            else:
                mend = f"{following!r} follows a closing quote; a quote inside is written twice"
                raise PromptSetError(Mistake(row=row, column=str(len(cells)), mend=mend))
        yield cells
        row += 1


def _separator(text: str) -> str:
    first = re.split(r"[\r\n]", text, maxsplit=1)[0]
    unquoted = re.sub(r'"[^"]*"', "", first)
    return max(SEPARATORS, key=unquoted.count)


def _content(cell: re.Match[str], row: int, column: int) -> str:
    if not cell[0].startswith('"'):
        if '"' in cell[0]:
            mend = "a quote stands inside a cell; put the cell in quotes and write it twice"
            raise PromptSetError(Mistake(row=row, column=str(column), mend=mend))
        return cell[0]
    if cell[2] is None:
        raise PromptSetError(Mistake(row=row, column=str(column), mend="a quote is never closed"))
    return cell[1].replace('""', '"')
