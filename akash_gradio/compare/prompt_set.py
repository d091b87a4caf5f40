"""A prompt set: what is asked, and what the answers have to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from akash_gradio.compare.checks import Check

MOST_PROMPTS: Final = 10_000
MAX_PROMPT_CHARACTERS: Final = 200_000
"""Characters."""
LONGEST_ID: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One question. id: as given, or its row's number. system: "" leaves the lane's own."""

    id: str
    text: str
    system: str = ""
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """Something in a prompt set that can't be used.

    row: as a spreadsheet counts, the line of names being 1; 0 for the whole set.
    column: its name or number, "" for the whole row. mend: what is wrong, or what to write.
    """

    row: int
    column: str
    mend: str

    def __str__(self) -> str:
        row = f"row {self.row}" if self.row else ""
        place = ", ".join(part for part in (row, self.column and f"column {self.column}") if part)
        return f"{place}: {self.mend}" if place else self.mend


class PromptSetError(Exception):
    """The set can't be used. mistakes: the first of them, in their order; at least one."""

    def __init__(self, *mistakes: Mistake) -> None:
        super().__init__("; ".join(map(str, mistakes)))
        self.problems = mistakes
