"""The page's runs: starting, finding, resuming and deleting them, within their owners' quotas."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, Self, TypeVar
from weakref import WeakValueDictionary

from akash_gradio.compare.file_lock import FileLock
from akash_gradio.compare.journal import Journal, JournalError, journal_errors
from akash_gradio.compare.open_run import OpenRun
from akash_gradio.compare.plan import Plan
from akash_gradio.compare.run_files import (
    UNKNOWN_OWNER,
    Owner,
    RunFolder,
    is_run_id,
    mark,
    may_open,
    new_run_id,
    owner_of,
)
from akash_gradio.compare.run_limits import (
    DEFAULT_STORAGE,
    StorageLimits,
    check_places,
    check_storage,
)
from akash_gradio.compare.runner import Runner, RunState
from akash_gradio.compare.task import CardLookup, EvaluateChecks, evaluate_here
from akash_gradio.domain.errors import UserError
from akash_gradio.domain.ports import ChatGateway
from akash_gradio.domain.visitor import CURRENT_VISITOR

logger = logging.getLogger(__name__)

MAX_OPEN_FILES: Final = 8
"""Open files of runs that aren't active; the least recently used one is closed first."""
MAX_IDLE_S: Final = 30.0
"""How long such a file stays open, so that other replicas can open it."""
IDLE_CHECK_S: Final = 5.0
MAINTENANCE_S: Final = 3600.0
"""Pause between two deletions of expired runs."""
_ResultT = TypeVar("_ResultT")


class RunElsewhere(UserError):
    """Another process, for example another replica, uses the run."""

    def __init__(self) -> None:
        super().__init__("run_elsewhere", status=409)


class RunStore:
    """Creates, finds, resumes and deletes runs.

    While it is entered as an asynchronous context manager, expired runs are deleted.

    Attributes:
        is_persistent: Whether runs outlive the server.
    """

    def __init__(
        self,
        folder: Path | None,
        gateway: ChatGateway,
        get_card: CardLookup,
        closing: Callable[[], bool],
        limits: StorageLimits,
        evaluate: EvaluateChecks,
    ) -> None:
        """Create a store without touching the disk; see `open_run_store`."""
        self._gateway, self._get_card, self._closing = gateway, get_card, closing
        self._limits, self._evaluate = limits, evaluate
        self.is_persistent = folder is not None
        self._folder = RunFolder(folder)
        self._open: dict[str, OpenRun] = {}
        self._starting: dict[str, Owner] = {}
        self._files = WeakValueDictionary[str, asyncio.Lock]()
        """Locks by id, held while the file is opened, closed or deleted."""
        self._maintaining: asyncio.Task[None] | None = None
        self._closing_idle: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._maintaining = asyncio.create_task(self._maintain())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self, plan: Plan, title: str) -> str:
        """Start a run of the current visitor.

        Returns:
            Its id.

        Raises:
            TooManyRuns: A limit of active runs is reached.
            RunStorageFull: A limit of stored runs is reached.
            JournalError: The file can't be written.
        """
        owner = Owner.of(CURRENT_VISITOR.get())
        run_id = new_run_id(owner)
        with self._place(run_id, owner):
            create = partial(self._create, run_id, owner, plan, title)
            run = await _in_thread(create, if_cancelled=partial(self._discard, run_id))
            self._open[run_id] = run
            run.start()
        self._watch_idle()
        return run_id

    async def find(self, run_id: str) -> OpenRun | None:
        """Return the run with this id, after opening its file if needed.

        Returns:
            The run, None if there is none that the current visitor may open.

        Raises:
            RunElsewhere: Another process uses it.
            JournalError: The file can't be read now.
        """
        if not self._is_openable(run_id):
            return None
        if run_id not in self._open:
            async with self._file(run_id):
                if run_id not in self._open:
                    load = partial(self._load, run_id)
                    loaded = await _in_thread(load, if_cancelled=_close)
                    if loaded is None:
                        return None
                    self._open[run_id] = loaded
        run = self._open.pop(run_id)
        self._open[run_id] = run  # most recently used last
        await self._close_unused(MAX_OPEN_FILES)
        self._watch_idle()
        return run

    async def resume(self, run_id: str) -> OpenRun | None:
        """Continue a stopped or paused run.

        Returns:
            The run, None if it doesn't exist or was deleted meanwhile.

        Raises:
            TooManyRuns: A limit of active runs is reached.
            RunStorageFull: A limit of stored runs is reached.
            RunElsewhere: Another process uses it.
            JournalError: The file can't be used.
        """
        run = await self.find(run_id)
        if run is None:
            return None
        if run.is_active:
            run.runner.resume()
        elif run.runner.progress.state is not RunState.DONE and run_id not in self._starting:
            return await self._restart(run_id, run)
        return run

    async def retry_failed(self, run_id: str) -> OpenRun | None:
        """Repeat the failed calls of a run that has ended; an active one is left as it is.

        Returns and raises the same as `resume`.
        """
        run = await self.find(run_id)
        if run is None or run.is_active or run_id in self._starting:
            return run
        return await self._restart(run_id, run, delete_failed=True)

    async def delete(self, run_id: str) -> bool:
        """Delete a run with all its answers.

        Returns:
            False if there is none that the current visitor may delete.

        Raises:
            RunElsewhere: Another process uses it.
            JournalError: The file system refuses it.
        """
        if not self._is_openable(run_id):
            return False
        if (active := self._open.get(run_id)) is not None:
            await active.stop()
        async with self._file(run_id):
            run = self._open.pop(run_id, None)
            if run is not None:
                await run.stop()  # again, if it was resumed meanwhile
            return await _in_thread(partial(self._delete, run_id, run))

    async def close(self) -> None:
        """Stop every run. Those in the operator's folder can be resumed later."""
        for task in (self._maintaining, self._closing_idle):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._maintaining = self._closing_idle = None
        for run in tuple(self._open.values()):
            await run.stop()
            await asyncio.to_thread(run.close)
        self._open.clear()
        await asyncio.to_thread(self._folder.close)

    async def _restart(
        self, run_id: str, run: OpenRun, *, delete_failed: bool = False
    ) -> OpenRun | None:
        """Replace the run by a new one of the same journal; None if it was deleted meanwhile."""
        owner = Owner.of(CURRENT_VISITOR.get())

        def reopen() -> OpenRun:
            self._readmit(run_id, run, owner)
            try:
                if delete_failed:
                    run.journal.delete_failed()
                return self._new_run(run.journal, run.lock, owner)
            except BaseException:
                run.unmark()
                raise

        with self._place(run_id, owner):
            restarted = await _in_thread(reopen, if_cancelled=OpenRun.unmark)
            if self._open.get(run_id) is not run:
                return None
            self._open[run_id] = restarted
            restarted.start()
        return restarted

    # ── called in threads: ordering a big plan takes seconds ─────────────────

    def _create(self, run_id: str, owner: Owner, plan: Plan, title: str) -> OpenRun:
        path = self._folder.path(run_id)
        with journal_errors(path), self._folder.admission():
            self._make_room(check_storage(self._folder.runs(), owner, self._limits))
            lock = self._folder.reserve(run_id)
        try:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            max_bytes = self._limits.run_bytes
            journal = Journal.create(path, plan, max_bytes=max_bytes, title=title, began=now)
            return self._new_run(journal, lock, owner)
        except BaseException:
            with suppress(OSError):
                self._folder.delete(run_id)
            lock.release()
            raise

    def _readmit(self, run_id: str, run: OpenRun, visitor: Owner) -> None:
        """Admit a run that is resumed as if it were new; its own size doesn't count."""
        path = self._folder.path(run_id)
        if run.journal.fact("full", default=False):
            raise JournalError(path, "too_large")
        owner = owner_of(run_id)
        with journal_errors(path), self._folder.admission():
            others = [each for each in self._folder.runs() if each.run_id != run_id]
            stored_by = visitor if owner == UNKNOWN_OWNER else owner
            self._make_room(check_storage(others, stored_by, self._limits))
            mark(run.lock, active=True)

    def _load(self, run_id: str) -> OpenRun | None:
        if not self._folder.has(run_id):
            return None
        path = self._folder.path(run_id)
        lock = self._lock(run_id)
        try:
            run = self._new_run(Journal.open(path, max_bytes=self._limits.run_bytes), lock)
        except JournalError as error:
            lock.release()
            if error.reason in ("missing", "not_a_run"):
                return None
            raise
        except BaseException:
            lock.release()
            raise
        run.runner.stop()  # until it is resumed
        return run

    def _delete(self, run_id: str, run: OpenRun | None) -> bool:
        if run is None and not self._folder.has(run_id):
            return False
        with journal_errors(self._folder.path(run_id)):
            lock = self._lock(run_id) if run is None else run.lock
            try:
                if run is not None:
                    with suppress(JournalError):  # a full disk
                        run.journal.close()
                self._folder.delete(run_id)
            finally:
                lock.release()
        return True

    def _lock(self, run_id: str) -> FileLock:
        with journal_errors(self._folder.path(run_id)):
            lock = self._folder.lock(run_id)
        if lock is None:
            raise RunElsewhere
        return lock

    def _make_room(self, run_ids: list[str]) -> None:
        for run_id in run_ids:
            self._folder.delete_unused(run_id)

    def _delete_expired(self) -> None:
        self._folder.clean()
        oldest = time.time() - self._limits.max_age_s
        for run in self._folder.runs():
            if run.changed < oldest:
                self._folder.delete_unused(run.run_id)

    # ─────────────────────────────────────────────────────────────────────────

    def _new_run(self, journal: Journal, lock: FileLock, owner: Owner | None = None) -> OpenRun:
        runner = Runner(
            journal,
            self._gateway,
            self._get_card,
            closing=self._closing,
            evaluate=self._evaluate,
        )
        if owner is not None:
            runner.prepare()
        return OpenRun(journal, runner, lock, owner)

    def _is_openable(self, run_id: str) -> bool:
        return is_run_id(run_id) and may_open(run_id, CURRENT_VISITOR.get())

    @contextmanager
    def _place(self, run_id: str, owner: Owner) -> Iterator[None]:
        """Reserve a place for a run until it is active."""
        active = [run.owner for run in self._open.values() if run.is_active and run.owner]
        check_places([*active, *self._starting.values()], owner)
        self._starting[run_id] = owner
        try:
            yield
        finally:
            del self._starting[run_id]

    async def _maintain(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._delete_expired)
            except OSError as error:
                logger.warning("runs.not_cleaned", extra={"reason": type(error).__name__})
            await asyncio.sleep(MAINTENANCE_S)

    def _watch_idle(self) -> None:
        if self._closing_idle is None or self._closing_idle.done():
            self._closing_idle = asyncio.create_task(self._close_idle())

    async def _close_idle(self) -> None:
        while self._open:
            await asyncio.sleep(IDLE_CHECK_S)
            await self._close_unused(MAX_OPEN_FILES, time.monotonic() - MAX_IDLE_S)

    async def _close_unused(self, most: int, used_before: float = 0.0) -> None:
        """Close inactive runs: the least recently used above a number, and those not used since.

        Args:
            most: Files that may stay open.
            used_before: Monotonic seconds.
        """
        unused = [
            run_id
            for run_id, run in self._open.items()
            if not run.is_active and run_id not in self._starting
        ]
        excess = unused[: max(0, len(unused) - most)]
        idle = [run_id for run_id in unused if self._open[run_id].journal.used_at < used_before]
        for run_id in dict.fromkeys([*excess, *idle]):
            file = self._file(run_id)
            run = self._open.get(run_id)
            if run is None or run.is_active or run_id in self._starting or file.locked():
                continue  # it was used while another was closed
            async with file:
                await asyncio.to_thread(self._open.pop(run_id).close)

    def _file(self, run_id: str) -> asyncio.Lock:
        return self._files.setdefault(run_id, asyncio.Lock())

    def _discard(self, run_id: str, run: OpenRun) -> None:
        """Delete a run whose starter went away before it had its id."""
        with suppress(JournalError):
            self._delete(run_id, run)


def _close(run: OpenRun | None) -> None:
    if run is not None:
        run.close()


async def _in_thread(
    work: Callable[[], _ResultT], if_cancelled: Callable[[_ResultT], None] | None = None
) -> _ResultT:
    """Run a function in a thread; a thread can't be cancelled, so its result may need an end."""
    working = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        with suppress(Exception):
            result = await working
            if if_cancelled is not None:
                await asyncio.to_thread(if_cancelled, result)
        raise


def open_run_store(
    data_dir: Path | None,
    gateway: ChatGateway,
    get_card: CardLookup,
    closing: Callable[[], bool] = lambda: False,
    limits: StorageLimits = DEFAULT_STORAGE,
    evaluate: EvaluateChecks = evaluate_here,
) -> RunStore:
    """Return a store in DATA_DIR, or in a temporary folder, without touching the disk.

    Args:
        data_dir: The setting DATA_DIR.
        gateway: Where requests are sent.
        get_card: Looks up a model's card, for its prices.
        closing: Returns whether the server is shutting down; then no call is started.
        limits: How much disk space runs may use, and for how long.
        evaluate: Evaluates the checks of an answer.
    """
    folder = data_dir / "runs" if data_dir else None
    return RunStore(folder, gateway, get_card, closing, limits, evaluate)
