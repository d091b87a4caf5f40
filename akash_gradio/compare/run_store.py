"""Stores the page's runs, a file for each. Its unguessable id is all that is needed to open it."""

from __future__ import annotations

import asyncio
import re
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from akash_gradio.compare.journal import Journal, JournalError
from akash_gradio.compare.plan import Plan
from akash_gradio.compare.runner import Runner, RunState
from akash_gradio.compare.summary import Summary, summarize
from akash_gradio.compare.task import CardLookup
from akash_gradio.domain.errors import UserError
from akash_gradio.domain.ports import ChatGateway
from akash_gradio.domain.visitor import ANONYMOUS, CURRENT_VISITOR

MAX_OPEN_FILES: Final = 16
"""Open files; the least recently used one of an inactive run is closed first."""
MAX_ACTIVE_RUNS: Final = 8
MAX_RUNS_PER_VISITOR: Final = 3
"""Active runs of one visitor, so that others can start theirs."""
MAX_STORED_RUNS: Final = 200
"""Files in the folder; the oldest ones are removed."""
_ID: Final = re.compile(r"[\w-]{16,64}")


class TooManyRuns(UserError):
    """The limit of active runs is reached: of the server, or of one visitor."""

    def __init__(self, *, of_visitor: bool = False) -> None:
        if of_visitor:
            super().__init__("runs_full_for_visitor", {"limit": MAX_RUNS_PER_VISITOR}, 503)
        else:
            super().__init__("runs_full", {"limit": MAX_ACTIVE_RUNS}, 503)


class OpenRun:
    """A run whose file is open.

    Attributes:
        journal: The file.
        runner: Executes it.
        visitor_id: Id of the visitor who started it, "" if it was only opened.
        title: The title that its owner entered.
        began: When it was created: UTC, ISO 8601.
        failure: Why it ended early, "" if it didn't.
    """

    def __init__(self, journal: Journal, runner: Runner, visitor_id: str = "") -> None:
        self.journal, self.runner, self.visitor_id = journal, runner, visitor_id
        self.title: str = journal.fact("title", "")
        self.began: str = journal.fact("began", "")
        self.failure = ""
        self._task: asyncio.Task[None] | None = None
        self._summaries: tuple[Summary, ...] = ()
        self._summarized_done, self._summarize_at = -1, 0.0

    def summaries(self) -> tuple[Summary, ...]:
        """Return the summary of each lane.

        Summarizing reads all rows. While a run is active, a cached result is returned, so that
        summarizing takes at most a twentieth of the time.
        """
        done, now = self.runner.progress.done, time.monotonic()
        if done != self._summarized_done and (now >= self._summarize_at or not self.is_active):
            self._summaries = summarize(self.journal.plan, self.journal.row)
            self._summarized_done = done
            self._summarize_at = time.monotonic() + 20 * (time.monotonic() - now)
        return self._summaries

    @property
    def is_active(self) -> bool:
        """Whether it is running or paused."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Start the run in a new asyncio task."""
        self._task = asyncio.create_task(self._execute())

    async def _execute(self) -> None:
        try:
            await self.runner.run()
        except JournalError as error:  # for example, the disk is full
            self.failure = error.reason
        except OSError as error:
            self.failure = type(error).__name__

    async def stop(self) -> None:
        """Stop the run, and wait until it has ended."""
        self.runner.stop()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)


class RunStore:
    """Creates, finds, resumes and deletes runs.

    Attributes:
        is_persistent: Whether runs outlive the server.
    """

    def __init__(
        self,
        folder: Path | None,
        gateway: ChatGateway,
        get_card: CardLookup,
        closing: Callable[[], bool],
    ) -> None:
        """Create a store without touching the disk.

        Args:
            folder: Where the files are; None uses a temporary folder.
            gateway: Where requests are sent.
            get_card: Looks up a model's card, for its prices.
            closing: Returns whether the server is shutting down; then no call is started.
        """
        self._folder, self._gateway, self._get_card = folder, gateway, get_card
        self._closing = closing
        self.is_persistent = folder is not None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._open: dict[str, OpenRun] = {}
        self._starting: dict[str, str] = {}
        self._loading = asyncio.Lock()

    async def start(self, plan: Plan, title: str) -> str:
        """Start a run.

        Returns:
            Its id.

        Raises:
            TooManyRuns: The limit of active runs is reached.
            JournalError: The file can't be written.
        """
        run_id = secrets.token_urlsafe(18)
        with self._reserve(run_id) as visitor_id:
            create = partial(self._create, self._path(run_id), plan, title, visitor_id)
            run = await asyncio.to_thread(create)
            self._open[run_id] = run
            run.start()
        return run_id

    async def find(self, run_id: str) -> OpenRun | None:
        """Return the run with this id, after opening its file if needed; None without one."""
        if not _ID.fullmatch(run_id):
            return None
        if run_id not in self._open:
            async with self._loading:  # a file can be opened only once
                if run_id not in self._open:
                    try:
                        loaded = await asyncio.to_thread(self._load, self._path(run_id))
                    except JournalError:
                        return None
                    self._open[run_id] = loaded
        run = self._open.pop(run_id)
        self._open[run_id] = run  # most recently used last
        self._close_idle()
        return run

    async def resume(self, run_id: str) -> OpenRun | None:
        """Continue a stopped or paused run.

        Returns:
            The run, None if it doesn't exist or was deleted meanwhile.

        Raises:
            TooManyRuns: The limit of active runs is reached.
            JournalError: The file can't be used.
        """
        run = await self.find(run_id)
        if run is None:
            return None
        if run.is_active:
            run.runner.resume()
        elif run.runner.progress.state is not RunState.DONE and run_id not in self._starting:
            with self._reserve(run_id) as visitor_id:
                return await self._restart(run_id, run, visitor_id)
        return run

    async def retry_failed(self, run_id: str) -> OpenRun | None:
        """Repeat the failed calls of a run that has ended; an active one is left as it is.

        Returns:
            The run, None if it doesn't exist or was deleted meanwhile.

        Raises:
            TooManyRuns: The limit of active runs is reached.
            JournalError: The file can't be used.
        """
        run = await self.find(run_id)
        if run is None or run.is_active or run_id in self._starting:
            return run
        with self._reserve(run_id) as visitor_id:
            return await self._restart(run_id, run, visitor_id, delete_failed=True)

    async def delete(self, run_id: str) -> None:
        """Delete a run with all its answers."""
        run = await self.find(run_id)
        if run is None:
            return
        await run.stop()
        self._open.pop(run_id, None)
        run.journal.close()
        self._path(run_id).unlink(missing_ok=True)

    async def _restart(
        self, run_id: str, run: OpenRun, visitor_id: str, *, delete_failed: bool = False
    ) -> OpenRun | None:
        """Replace the run by a new one of the same journal; None if it was deleted meanwhile."""

        def reopen() -> OpenRun:
            if delete_failed:
                run.journal.delete_failed()
            return self._new_run(run.journal, visitor_id)

        restarted = await asyncio.to_thread(reopen)
        if self._open.get(run_id) is not run:
            return None
        self._open[run_id] = restarted
        restarted.start()
        return restarted

    async def close(self) -> None:
        """Stop every run. Those in the operator's folder can be resumed later."""
        for run in tuple(self._open.values()):
            await run.stop()
            run.journal.close()
        self._open.clear()
        if self._temporary is not None:
            self._temporary.cleanup()

    def _create(self, path: Path, plan: Plan, title: str, visitor_id: str) -> OpenRun:
        """Create a run; called in a thread, like `_load`: ordering a big plan takes seconds."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        journal = Journal.create(path, plan, title=title, began=now)
        with suppress(OSError):
            self._remove_oldest()
        return self._new_run(journal, visitor_id)

    def _load(self, path: Path) -> OpenRun:
        run = self._new_run(Journal.open(path))
        run.runner.stop()  # until it is resumed
        return run

    def _new_run(self, journal: Journal, visitor_id: str = "") -> OpenRun:
        runner = Runner(journal, self._gateway, self._get_card, closing=self._closing)
        return OpenRun(journal, runner, visitor_id)

    @contextmanager
    def _reserve(self, run_id: str) -> Iterator[str]:
        """Reserve a slot for a run until it is active, and yield its visitor's id."""
        visitor_id = CURRENT_VISITOR.get().id
        active = [run.visitor_id for run in self._open.values() if run.is_active]
        visitor_ids = [*active, *self._starting.values()]
        if len(visitor_ids) >= MAX_ACTIVE_RUNS:
            raise TooManyRuns
        if visitor_id != ANONYMOUS.id and visitor_ids.count(visitor_id) >= MAX_RUNS_PER_VISITOR:
            raise TooManyRuns(of_visitor=True)
        self._starting[run_id] = visitor_id
        try:
            yield visitor_id
        finally:
            del self._starting[run_id]

    def _close_idle(self) -> None:
        idle = [
            run_id
            for run_id, run in self._open.items()
            if not run.is_active and run_id not in self._starting
        ]
        for run_id in idle[: max(0, len(self._open) - MAX_OPEN_FILES)]:
            self._open.pop(run_id).journal.close()

    def _remove_oldest(self) -> None:
        stored = sorted(self._directory().glob("*.run"), key=lambda path: path.stat().st_mtime)
        for path in stored[: max(0, len(stored) - MAX_STORED_RUNS)]:
            if path.stem not in self._open:
                path.unlink(missing_ok=True)

    def _path(self, run_id: str) -> Path:
        return self._directory() / f"{run_id}.run"

    def _directory(self) -> Path:
        if self._folder is not None:
            return self._folder
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="akash-gradio-runs-")
        return Path(self._temporary.name)


def open_run_store(
    data_dir: Path | None,
    gateway: ChatGateway,
    get_card: CardLookup,
    closing: Callable[[], bool] = lambda: False,
) -> RunStore:
    """Return a store in DATA_DIR, or in a temporary folder, without touching the disk.

    Args:
        data_dir: The setting DATA_DIR.
        gateway: Where requests are sent.
        get_card: Looks up a model's card, for its prices.
        closing: Returns whether the server is shutting down; then no call is started.
    """
    return RunStore(data_dir / "runs" if data_dir else None, gateway, get_card, closing)
