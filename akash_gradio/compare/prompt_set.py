"""A prompt set: prompts with the checks that their answers have to pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from akash_gradio.compare.checks import Check
from akash_gradio.domain.errors import UserError

MAX_PROMPTS: Final = 10_000
MAX_PROMPT_CHARACTERS: Final = 200_000
MAX_ID_CHARACTERS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One prompt of a set.

    Attributes:
        id: The id in the set, else the number of its row.
        text: The user's message.
        system: System prompt; "" uses the lane's.
        checks: The checks that every answer has to pass.
    """

    id: str
    text: str
    system: str = ""
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SetProblem:
    """Something in a prompt set that can't be used.

    Attributes:
        row: Counted as in a spreadsheet, with the column names as row 1; 0 for the whole set.
        column: Its number, name or both; "" for the whole row.
        message: What is wrong, or what to write instead.
    """

    row: int
    column: str
    message: str

    def __str__(self) -> str:
        row = f"row {self.row}" if self.row else ""
        place = ", ".join(part for part in (row, self.column and f"column {self.column}") if part)
        return f"{place}: {self.message}" if place else self.message


class PromptSetError(UserError):
    """A prompt set can't be used.

    Attributes:
        problems: The first problems in their order, at least one.
    """

    def __init__(self, *problems: SetProblem) -> None:
        super().__init__("invalid_prompt_set", {"detail": "\n".join(map(str, problems))})
        self.problems = problems
