"""The progress of the embedded model until it can answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """The stages of the embedded model in order; the last two can follow any other."""

    WAITING = "waiting"
    """Not started, or another process is downloading the same weights."""
    FETCHING = "fetching"
    CHECKING = "checking"
    """Unpacking, and comparing hashes."""
    LOADING = "loading"
    READY = "ready"
    RESTARTING = "restarting"
    """It crashed and is being restarted."""
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The state of the embedded model.

    Attributes:
        done_bytes: Downloaded so far.
        total_bytes: Size of the download, 0 when unknown.
        reason: Why it is unavailable, as a code of `embedded.errors.Reason`.
        detail: More about the reason, for people.
    """

    stage: Stage
    done_bytes: int = 0
    total_bytes: int = 0
    reason: str = ""
    detail: str = ""
