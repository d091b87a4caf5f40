"""How far the model on this machine is on its way to its first answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """The embedded model's life, in order; the last two can come at any time."""

    WAITING = "waiting"
    """Not begun, or another process is fetching the same weights."""
    FETCHING = "fetching"
    CHECKING = "checking"
    """Unpacking, and comparing hashes."""
    LOADING = "loading"
    READY = "ready"
    RESTARTING = "restarting"
    """It crashed."""
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where the embedded model stands.

    done_bytes, total_bytes: of the download, while it is fetched; total_bytes is 0 when unknown.
    reason: why it is unavailable, one word for the program. detail: more for people.
    """

    stage: Stage
    done_bytes: int = 0
    total_bytes: int = 0
    reason: str = ""
    detail: str = ""
