"""What people said about two answers, and where it is kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, Protocol

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

if TYPE_CHECKING:
    from akash_gradio.config.settings import Settings

LONGEST_LABEL: Final = 300
MOST_VOTES: Final = 20_000
"""How many one browser may send to be ranked."""


class Outcome(StrEnum):
    """Which of the two answers is better."""

    A = "a"
    B = "b"
    TIE = "tie"
    BOTH_BAD = "both_bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One judgment of two lanes.

    id: made where the vote is cast, so that sending it twice counts once. when: in UTC.
    a, b: lane labels, the model's id and a short variant (`m`, `m, temperature 0.2`).
    blind: names and speed were hidden. visitor: opaque, for counting people; "" when unknown.
    """

    id: str
    when: datetime
    a: str
    b: str
    outcome: Outcome
    blind: bool = False
    visitor: str = ""


class VotesUnavailable(Exception):
    """The votes can't be read or written. reason: the class of the database's own error.

    Holds no address and no password.
    """

    def __init__(self, store: str, reason: str) -> None:
        super().__init__(f"{store}: {reason}")
        self.store, self.reason = store, reason


class VoteStore(Protocol):
    """Where votes are kept. Both methods raise VotesUnavailable."""

    async def add(self, vote: Vote) -> None:
        """Keep it; one whose id is known already changes nothing."""
        ...

    async def all(self) -> tuple[Vote, ...]:
        """Every vote, oldest first."""
        ...


def open_vote_store(settings: Settings) -> VoteStore | None:
    """PostgreSQL with DATABASE_URL, SQLite in DATA_DIR, or None: then browsers keep them.

    Opens nothing yet.
    """
    if settings.database_url is not None:
        from akash_gradio.compare.votes.postgres import PostgresVotes

        return PostgresVotes(settings.database_url.get_secret_value())
    if settings.data_dir is not None:
        from akash_gradio.compare.votes.sqlite import SqliteVotes

        return SqliteVotes(settings.data_dir / "votes.sqlite3")
    return None


_WITHOUT_NUL: Final = r"^[^\x00]*$"
"""PostgreSQL keeps no such character."""
_Label = Annotated[str, Field(min_length=1, max_length=LONGEST_LABEL, pattern=_WITHOUT_NUL)]
_Word = Annotated[str, Field(max_length=64, pattern=_WITHOUT_NUL)]


class _SentVote(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: Annotated[_Word, Field(min_length=1)]
    when: AwareDatetime
    a: _Label
    b: _Label
    outcome: Outcome
    blind: bool = False
    visitor: _Word = ""


_SENT: Final = TypeAdapter(Annotated[list[_SentVote], Field(max_length=MOST_VOTES)])


def parse_votes(sent: Iterable[Any]) -> tuple[Vote, ...]:
    """Votes from parsed JSON that a browser sent. Raises ValueError, naming the field."""
    try:
        read = _SENT.validate_python(list(sent))
    except ValidationError as error:
        raise ValueError(_where(error)) from None
    return tuple(_vote(each) for each in read)


def _vote(sent: _SentVote) -> Vote:
    if sent.a == sent.b:
        raise ValueError("a and b are the same lane")
    facts = sent.model_dump()
    return Vote(**facts | {"when": sent.when.astimezone(UTC)})


def _where(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]
