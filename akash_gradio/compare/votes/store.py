"""Votes on pairs of answers: the protocol of a store, and parsing of votes that browsers send."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Protocol

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)

from akash_gradio.domain.dates import to_utc
from akash_gradio.domain.errors import UserError

MAX_LABEL_CHARACTERS: Final = 300
MAX_SENT_VOTES: Final = 20_000
"""Votes that a browser may send to be ranked."""


class Outcome(StrEnum):
    """Which of the two answers is better."""

    A = "a"
    B = "b"
    TIE = "tie"
    BOTH_BAD = "both_bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One comparison of two lanes.

    Attributes:
        id: Created where the vote is cast, so that a vote that is sent twice counts once.
        when: In UTC.
        a: Label of the first lane: the model's id and its settings, as `m, temperature 0.2`.
        b: Label of the second lane.
        outcome: Which one is better.
        blind: Whether names and speeds were hidden.
        visitor: Opaque id of the visitor, "" if unknown.
    """

    id: str
    when: datetime
    a: str
    b: str
    outcome: Outcome
    blind: bool = False
    visitor: str = ""


class VotesUnavailable(UserError):
    """The votes can't be read or written.

    The facts are `store` and `reason`, the class name of the database's error: its text could
    contain an address or a password.
    """

    def __init__(self, store: str, reason: str) -> None:
        super().__init__("votes_unavailable", {"store": store, "reason": reason}, 503)


class VoteStore(Protocol):
    """A store of votes. Both methods raise VotesUnavailable."""

    async def add(self, vote: Vote) -> None:
        """Store a vote. A vote whose id is already stored is ignored."""
        ...

    async def all(self) -> tuple[Vote, ...]:
        """Return every vote, oldest first."""
        ...


_WITHOUT_NUL: Final = r"^[^\x00]*$"
"""PostgreSQL stores no NUL character."""
_Label = Annotated[str, Field(min_length=1, max_length=MAX_LABEL_CHARACTERS, pattern=_WITHOUT_NUL)]
_Id = Annotated[str, Field(max_length=64, pattern=_WITHOUT_NUL)]


class _SentVote(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: Annotated[_Id, Field(min_length=1)]
    when: Annotated[AwareDatetime, AfterValidator(to_utc)]
    a: _Label
    b: _Label
    outcome: Outcome
    blind: bool = False
    visitor: _Id = ""


_SENT_VOTES: Final = TypeAdapter(Annotated[list[_SentVote], Field(max_length=MAX_SENT_VOTES)])


def parse_votes(data: Iterable[Any]) -> tuple[Vote, ...]:
    """Parse votes that a browser sent.

    Args:
        data: The parsed JSON.

    Raises:
        ValueError: A vote is invalid. The message names the field.
    """
    try:
        sent = _SENT_VOTES.validate_python(list(data))
    except ValidationError as error:
        raise ValueError(_first_problem(error)) from None
    return tuple(_vote(vote) for vote in sent)


def _vote(sent: _SentVote) -> Vote:
    if sent.a == sent.b:
        raise ValueError("a and b are the same lane")
    return Vote(**sent.model_dump())


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    return f"{field}: {first['msg']}" if field else first["msg"]
