"""How far the model on this machine is on its way to its first answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """The embedded model's life, in order; the last two can come at any time."""

    WAITING = "waiting"
    FETCHING = "fetching"
    CHECKING = "checking"
    LOADING = "loading"
    READY = "ready"
    RESTARTING = "restarting"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One moment of it. Bytes are of the download; total_bytes is 0 while unknown.

    reason: why it is unavailable, one word for the program. detail: the same for people.
    """

    stage: Stage
    done_bytes: int = 0
    total_bytes: int = 0
    reason: str = ""
    detail: str = ""
