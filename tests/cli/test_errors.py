"""The terminal's registry of error texts fits the errors that are raised."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from akash_gradio import cli
from akash_gradio.cli.errors import MESSAGES, CommandError, error_message
from akash_gradio.compare.journal import JournalError
from akash_gradio.compare.prompt_set import PromptSetError, SetProblem
from akash_gradio.compare.votes.store import VotesUnavailable
from akash_gradio.domain.errors import UserError

SOURCE = "".join(path.read_text() for path in Path(cli.__file__).parent.glob("*.py"))


def test_every_command_error_has_a_text() -> None:
    codes = set(re.findall(r'CommandError\(\s*"(\w+)"', SOURCE))
    assert codes
    assert codes <= MESSAGES.keys()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (CommandError("lane_count", lanes=13, limit=12), "That makes 13 lanes"),
        (JournalError(Path("r.run"), "busy"), "r.run is in use by another run."),
        (JournalError(Path("r.run"), "not_a_run"), "r.run is not the file of a run."),
        (JournalError(Path("r.run"), "missing"), "r.run: there is no such file."),
        (JournalError(Path("r.run"), "OperationalError"), "r.run can't be used (OperationalError)"),
        (VotesUnavailable("SQLite", "OSError"), "The votes are omitted: SQLite"),
        (
            PromptSetError(SetProblem(row=2, column="1", message="a quote is not closed")),
            "The prompt set can't be used:\nrow 2, column 1: a quote is not closed",
        ),
    ],
)
def test_an_error_is_worded_by_its_code_and_reason(error: UserError, text: str) -> None:
    assert error_message(error).startswith(text)
