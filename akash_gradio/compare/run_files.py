"""The folder of the page's runs: names, locks, deletion and disk usage. Processes may share it.

A run is the file `ID.run`, with SQLite's files beside it. Whichever process uses it holds the lock
`ID.lock`. Deletion renames the file first, so that an interrupted one is completed later.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import tempfile
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from akash_gradio.compare.file_lock import FileLock
from akash_gradio.domain.visitor import Visitor, VisitorKind

_RANDOM, _OWNER, _NETWORK = 24, 16, 12
"""Lengths of the parts of an id, in characters."""
_ID: Final = re.compile(rf"[\w-]{{{_RANDOM}}}([acu][\w-]{{{_OWNER + _NETWORK - 1}}})?", re.ASCII)
_FIRST: Final = {kind: kind.value[0] for kind in VisitorKind}
"""Kind of a visitor → first character of the owner in an id."""
_ADMISSION_TIMEOUT_S, _ADMISSION_POLL_S = 10.0, 0.01
_ACTIVE: Final = b"active"
"""Content of the lock of a run that is being executed."""
_TEMPORARY_PREFIX: Final = "akash-gradio-runs-"
_SIDE_FILES: Final = ("-wal", "-shm", "-journal")
"""What SQLite adds to the name of a database for its other files; they contain answers too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who may use a run and whose quota it counts against, as short hashes of the visitor's ids.

    Attributes:
        visitor: Hash of the visitor's id, after the first character of its kind.
        network: Hash of the network's id; an account is a network of its own.
    """

    visitor: str
    network: str

    @classmethod
    def of(cls, visitor: Visitor) -> Self:
        """Return the owner of the runs that a visitor starts."""
        owner = f"{_FIRST[visitor.kind]}{_hash(visitor.id, _OWNER - 1)}"
        return cls(visitor=owner, network=_hash(visitor.network or visitor.id, _NETWORK))

    @property
    def may_be_several_people(self) -> bool:
        """Whether the owner is known by an address alone."""
        return self.visitor[:1] == _FIRST[VisitorKind.ADDRESS]


UNKNOWN_OWNER: Final = Owner(visitor="", network="")
"""Owner of a run that an earlier version created."""


def new_run_id(owner: Owner) -> str:
    """Return an unguessable id that names its owner."""
    return f"{secrets.token_urlsafe(18)}{owner.visitor}{owner.network}"


def is_run_id(text: str) -> bool:
    """Return whether a text has the form of an id."""
    return _ID.fullmatch(text) is not None


def owner_of(run_id: str) -> Owner:
    """Return the owner that an id names."""
    owner = run_id[_RANDOM:]
    return Owner(visitor=owner[:_OWNER], network=owner[_OWNER:]) if owner else UNKNOWN_OWNER


def may_open(run_id: str, visitor: Visitor) -> bool:
    """Return whether a visitor who knows the id of a run may use it.

    The run of an account belongs to this account. Other visitors have nothing but the id: a
    cookie expires and an address changes.
    """
    owner = owner_of(run_id)
    if owner.visitor[:1] != _FIRST[VisitorKind.USER]:
        return True
    return owner == Owner.of(visitor)


def _hash(text: str, characters: int) -> str:
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode()[:characters]


def mark(lock: FileLock, *, active: bool) -> None:
    """Write into a run's lock whether it is executed, and may grow, for all processes.

    Raises:
        OSError: The disk is full.
    """
    lock.write(_ACTIVE if active else b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A run on the disk.

    Attributes:
        run_id: Its id.
        owner: Its owner.
        size_bytes: Size of its files.
        changed: Unix time of its last change.
        active: Whether a process executes it now, so that it may still grow.
    """

    run_id: str
    owner: Owner
    size_bytes: int
    changed: float
    active: bool


class RunFolder:
    """A folder of runs; every method may block.

    Args:
        folder: The operator's folder; None uses a temporary one, which ends with the process.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder, self._temporary = folder, folder is None
        self._temporary_lock: FileLock | None = None
        self._opening = threading.Lock()

    def open(self) -> Path:
        """Return the folder, after creating it if needed.

        Raises:
            OSError: It can't be created.
        """
        with self._opening:
            if self._folder is None:
                self._folder, self._temporary_lock = _temporary_folder()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._folder

    def path(self, run_id: str) -> Path:
        """Return the file of a run."""
        return self.open() / f"{run_id}.run"

    def has(self, run_id: str) -> bool:
        """Return whether there is a run with this id."""
        return self._folder is not None and (self._folder / f"{run_id}.run").is_file()

    def lock(self, run_id: str) -> FileLock | None:
        """Lock a run; None while a process uses it, also this one.

        Raises:
            OSError: The lock can't be created.
        """
        return FileLock.acquire(self.open() / f"{run_id}.lock")

    @contextmanager
    def admission(self) -> Iterator[None]:
        """Admit one run at a time, over all processes that share the folder.

        Raises:
            OSError: The lock can't be created, or wasn't released in time.
        """
        deadline = time.monotonic() + _ADMISSION_TIMEOUT_S
        path = self.open() / ".admission.lock"
        while (lock := FileLock.acquire(path)) is None:
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(_ADMISSION_POLL_S)
        try:
            yield
        finally:
            lock.release()

    def reserve(self, run_id: str) -> FileLock:
        """Lock a new run and mark it as active; see `mark`."""
        lock = FileLock.acquire(self.open() / f"{run_id}.lock")
        assert lock is not None, "the id is new"
        try:
            mark(lock, active=True)
        except OSError:
            lock.release()
            raise
        return lock

    def delete(self, run_id: str) -> None:
        """Delete the files of a run, which the caller has locked and closed.

        Raises:
            OSError: The file system refuses it.
        """
        path = self.path(run_id)
        doomed = path.with_suffix(".deleted")
        try:
            path.rename(doomed)
        except FileNotFoundError:
            pass  # an interrupted deletion, or a run whose creation failed
        except OSError:  # no space for another name
            path.unlink()
        _sync_folder(path.parent)
        for suffix in _SIDE_FILES:
            path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)
        doomed.unlink(missing_ok=True)

    def delete_unused(self, run_id: str) -> bool:
        """Delete a run unless a process uses it; return whether it was deleted."""
        lock = self.lock(run_id)
        if lock is None:
            return False
        try:
            self.delete(run_id)
        finally:
            lock.release()
        return True

    def runs(self) -> list[StoredRun]:
        """Return every run, the one that was changed first at first."""
        if self._folder is None or not self._folder.is_dir():
            return []
        sizes: dict[str, list[os.stat_result]] = {}
        locked: dict[str, bool] = {}
        with os.scandir(self._folder) as entries:
            for entry in entries:
                run_id, _, kind = entry.name.partition(".")
                if not is_run_id(run_id):
                    continue
                with suppress(FileNotFoundError):  # deleted meanwhile
                    if kind == "lock":
                        locked[run_id] = entry.stat().st_size > 0
                    else:
                        sizes.setdefault(run_id, []).append(entry.stat())
        stored = [
            StoredRun(
                run_id=run_id,
                owner=owner_of(run_id),
                size_bytes=sum(stat.st_size for stat in sizes.get(run_id, ())),
                changed=max((stat.st_mtime for stat in sizes.get(run_id, ())), default=0.0),
                active=locked.get(run_id, False),
            )
            for run_id in sizes.keys() | {run_id for run_id, active in locked.items() if active}
        ]
        return sorted(stored, key=lambda run: (run.changed, run.run_id))

    def clean(self) -> None:
        """Complete what processes that were killed have left.

        Raises:
            OSError: The file system refuses it.
        """
        _remove_abandoned_folders()
        if self._folder is None or not self._folder.is_dir():
            return
        names = [entry.name for entry in os.scandir(self._folder)]
        whole = {name.removesuffix(".run") for name in names if name.endswith(".run")}
        incomplete = {
            run_id
            for run_id, kind in (name.split(".", 1) for name in names if "." in name)
            if is_run_id(run_id) and (kind in ("deleted", "lock") or run_id not in whole)
        }
        for run_id in incomplete:
            lock = self.lock(run_id)
            if lock is None:
                continue
            try:
                if run_id not in whole:
                    self.delete(run_id)
                else:
                    self.path(run_id).with_suffix(".deleted").unlink(missing_ok=True)
            finally:
                lock.release()

    def close(self) -> None:
        """Remove a temporary folder."""
        if self._temporary and self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
        if self._temporary_lock is not None:
            self._temporary_lock.release()
            self._temporary_lock = None


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power failure, where the file system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _temporary_folder() -> tuple[Path, FileLock]:
    """Return a new folder, and the lock beside it that shows that its process still runs."""
    parent = Path(tempfile.gettempdir())
    while True:
        folder = parent / f"{_TEMPORARY_PREFIX}{secrets.token_hex(8)}"
        lock = FileLock.acquire(folder.with_suffix(".lock"))
        if lock is not None:
            folder.mkdir(mode=0o700)
            return folder, lock


def _remove_abandoned_folders() -> None:
    """Remove the temporary folders of this user's processes that were killed."""
    for path in Path(tempfile.gettempdir()).glob(f"{_TEMPORARY_PREFIX}*.lock"):
        with suppress(OSError):
            if path.lstat().st_uid != os.getuid():
                continue
            lock = FileLock.acquire(path)
            if lock is not None:
                shutil.rmtree(path.with_suffix(""), ignore_errors=True)
                lock.release()
