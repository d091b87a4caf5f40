"""Quotas of runs: their number, their disk space and how many are active, per visitor and network.

The total of the server is divided: a network gets a share of what the others leave, so that the
first run of another network finds room. When the total is used up, a new run is refused; no run is
deleted for the sake of another owner's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from akash_gradio.compare.run_files import Owner, StoredRun
from akash_gradio.domain.errors import UserError

MAX_ACTIVE_RUNS: Final = 16
"""Running and paused runs of a server: each has its plan in memory."""
MAX_ACTIVE_PER_VISITOR: Final = 3
NETWORK_SHARE: Final = 4
"""A network gets at most this part (a quarter) of the active runs and of the disk space."""
VISITOR_SHARE: Final = 8
"""A visitor gets at most this part (an eighth) of the disk space."""
RUN_SHARE: Final = 32
"""A run gets at most this part of the disk space."""
MIN_COUNTED_BYTES: Final = 128 * 1024
"""What the shortest run counts, so that the number of files is limited too."""
MAX_STORED_PER_VISITOR: Final = 50
MAX_STORED_PER_NETWORK: Final = 200


class Scope(StrEnum):
    """Whose limit is reached."""

    SERVER = "server"
    NETWORK = "network"
    VISITOR = "visitor"


_PLACES_FULL: Final = {
    Scope.SERVER: "runs_full",
    Scope.NETWORK: "runs_full_for_network",
    Scope.VISITOR: "runs_full_for_visitor",
}
_STORAGE_FULL: Final = {
    Scope.SERVER: "run_storage_full",
    Scope.NETWORK: "run_storage_full_for_network",
    Scope.VISITOR: "run_storage_full_for_visitor",
}


class TooManyRuns(UserError):
    """A limit of active runs is reached."""

    def __init__(self, scope: Scope) -> None:
        status = 503 if scope is Scope.SERVER else 429
        super().__init__(_PLACES_FULL[scope], {"limit": MAX_ACTIVE_PER_VISITOR}, status)


class RunStorageFull(UserError):
    """A limit of stored runs is reached: of their number, or of the disk space."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(_STORAGE_FULL[scope], {"limit": MAX_STORED_PER_VISITOR}, 507)


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageLimits:
    """How much disk space runs may use, and for how long.

    Attributes:
        total_bytes: For all runs.
        max_age_s: Age from which a run that isn't active is deleted, since its last change.
    """

    total_bytes: int
    max_age_s: float

    @property
    def run_bytes(self) -> int:
        """The longest file of a run. An active run counts as that long, since it may grow."""
        return self.total_bytes // RUN_SHARE

    def used_by(self, runs: Iterable[StoredRun]) -> int:
        """Return the disk space that counts for these runs, in bytes."""
        return sum(
            max(run.size_bytes, self.run_bytes if run.active else MIN_COUNTED_BYTES) for run in runs
        )


DEFAULT_STORAGE: Final = StorageLimits(total_bytes=2_000_000_000, max_age_s=90 * 86_400)


def network_limit(total: int, used_by_others: int, cost: int) -> int:
    """Return how much of a total a network may use.

    Args:
        total: Of the server.
        used_by_others: What other networks use.
        cost: Of one run. The first run of a network may use all that is left.
    """
    left = total - used_by_others
    return max(min(total // NETWORK_SHARE, left // 2), min(cost, left))


def check_places(active: Sequence[Owner], owner: Owner) -> None:
    """Check whether an owner may have one more active run.

    Args:
        active: The owner of each active run.
        owner: The owner of the new one.

    Raises:
        TooManyRuns: No.
    """
    if len(active) >= MAX_ACTIVE_RUNS:
        raise TooManyRuns(Scope.SERVER)
    if sum(each.visitor == owner.visitor for each in active) >= MAX_ACTIVE_PER_VISITOR:
        raise TooManyRuns(Scope.VISITOR)
    of_network = sum(each.network == owner.network for each in active)
    if of_network >= network_limit(MAX_ACTIVE_RUNS, len(active) - of_network, 1):
        raise TooManyRuns(Scope.NETWORK)


def check_storage(runs: Sequence[StoredRun], owner: Owner, limits: StorageLimits) -> list[str]:
    """Check whether an owner may have one more run that is active.

    Args:
        runs: The other runs, the one that was changed first at first.
        owner: The owner of the new one.
        limits: The limits.

    Returns:
        Ids of the owner's own oldest runs, which have to be deleted for it.

    Raises:
        RunStorageFull: There is no room, or an owner without room may be several people.
    """
    kept = [run for run in runs if run.owner.visitor == owner.visitor]
    expired: list[str] = []
    while kept and _exceeds_own(kept, limits):
        oldest = next((run for run in kept if not run.active), None)
        if oldest is None or owner.may_be_several_people:
            raise RunStorageFull(Scope.VISITOR)
        kept.remove(oldest)
        expired.append(oldest.run_id)
    remaining = [run for run in runs if run.run_id not in expired]
    of_network = [run for run in remaining if run.owner.network == owner.network]
    used, used_by_network = limits.used_by(remaining), limits.used_by(of_network)
    if used + limits.run_bytes > limits.total_bytes:
        raise RunStorageFull(Scope.SERVER)
    limit = network_limit(limits.total_bytes, used - used_by_network, limits.run_bytes)
    if used_by_network + limits.run_bytes > limit or len(of_network) >= MAX_STORED_PER_NETWORK:
        raise RunStorageFull(Scope.NETWORK)
    return expired


def _exceeds_own(runs: Sequence[StoredRun], limits: StorageLimits) -> bool:
    used = limits.used_by(runs) + limits.run_bytes
    return used > limits.total_bytes // VISITOR_SHARE or len(runs) >= MAX_STORED_PER_VISITOR
