"""The runs that a page has under way, each in a file that only its unguessable id opens."""

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
from akash_gradio.compare.runner import Run, RunState
from akash_gradio.compare.summary import Summary, summarize
from akash_gradio.compare.task import Cards
from akash_gradio.domain.ports import ChatGateway
from akash_gradio.domain.visitor import ANONYMOUS, CURRENT_VISITOR

MOST_OPEN: Final = 16
"""Files held open; the one that was looked at longest ago, and does nothing, is closed first."""
MOST_RUNNING: Final = 8
MAX_RUNS_PER_VISITOR: Final = 3
"""Of one visitor under way at once, so that the others find room."""
MOST_KEPT: Final = 200
"""Files in the folder; the oldest ones are removed."""
_ID: Final = re.compile(r"[\w-]{16,64}")


class TooManyRuns(Exception):
    """As many runs are under way as this server takes at once. own: as it takes of one visitor."""

    def __init__(self, *, own: bool = False) -> None:
        super().__init__()
        self.own = own


class OpenRun:
    """Live: a run whose file is open. run: how it goes. title: as its owner called it.

    whose: the id of the visitor who started it, "" of one that was only opened.
    """

    def __init__(self, journal: Journal, run: Run, whose: str = "") -> None:
        self.journal, self.run, self.whose = journal, run, whose
        self.title: str = journal.fact("title", "")
        self.began: str = journal.fact("began", "")
        self.failure = ""
        self._task: asyncio.Task[None] | None = None
        self._counted: tuple[Summary, ...] = ()
        self._counted_done, self._count_again = -1, 0.0

    def summaries(self) -> tuple[Summary, ...]:
        """Of each lane. While a long run goes on they may be a while old: counting reads all
        rows, and is to take a twentieth of the time at most."""
        done, now = self.run.progress.done, time.monotonic()
        if done != self._counted_done and (now >= self._count_again or not self.is_active):
            self._counted = summarize(self.journal.plan, self.journal.row)
            self._counted_done = done
            self._count_again = time.monotonic() + 20 * (time.monotonic() - now)
        return self._counted

    @property
    def is_active(self) -> bool:
        """Whether its calls are under way, or paused."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Run it beside everything else."""
        self._task = asyncio.create_task(self._carry_out())

    async def _carry_out(self) -> None:
        try:
            await self.run.run()
        except (JournalError, OSError) as error:  # the disk is full, say
            self.failure = str(error)

    async def stop(self) -> None:
        """End it, and wait until it has ended."""
        self.run.stop()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)


class RunStore:
    """Live. folder: where the files are; None for a temporary one, gone with the server.

    closing: whether the server is about to end; nothing new is asked then.
    """

    def __init__(
        self, folder: Path | None, answerer: ChatGateway, cards: Cards, closing: Callable[[], bool]
    ) -> None:
        self._folder, self._answerer, self._cards = folder, answerer, cards
        self._closing = closing
        self.kept = folder is not None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._open: dict[str, OpenRun] = {}
        self._beginning: dict[str, str] = {}
        self._opening = asyncio.Lock()

    async def start(self, plan: Plan, title: str) -> str:
        """Start a run; returns its id. Raises TooManyRuns and JournalError."""
        run_id = secrets.token_urlsafe(18)
        with self._room(run_id) as whose:
            create = partial(self._create, self._path(run_id), plan, title, whose)
            opened = await asyncio.to_thread(create)
            self._open[run_id] = opened
            opened.start()
        return run_id

    async def find(self, run_id: str) -> OpenRun | None:
        """The run of this id, its file opened if need be; None where there is none."""
        if not _ID.fullmatch(run_id):
            return None
        if run_id not in self._open:
            async with self._opening:  # a file can be opened once only
                if run_id not in self._open:
                    try:
                        loaded = await asyncio.to_thread(self._load, self._path(run_id))
                    except JournalError:
                        return None
                    self._open[run_id] = loaded
        found = self._open.pop(run_id)
        self._open[run_id] = found  # the last one looked at stands last
        self._close_idle()
        return found

    async def resume(self, run_id: str) -> OpenRun | None:
        """Let a stopped run go on where it was, or a paused one.

        None where there is none, or no longer. Raises TooManyRuns and JournalError.
        """
        found = await self.find(run_id)
        if found is None:
            return None
        if found.is_active:
            found.run.resume()
        elif found.run.progress.state is not RunState.DONE and run_id not in self._beginning:
            with self._room(run_id) as whose:
                return await self._restart(run_id, found, whose)
        return found

    async def retry_failed(self, run_id: str) -> OpenRun | None:
        """Ask again what failed in a run that has ended; one under way is left alone.

        None where there is none, or no longer. Raises TooManyRuns and JournalError.
        """
        found = await self.find(run_id)
        if found is None or found.is_active or run_id in self._beginning:
            return found
        with self._room(run_id) as whose:
            return await self._restart(run_id, found, whose, forget_failed=True)

    async def delete(self, run_id: str) -> None:
        """Remove it with everything that was answered."""
        found = await self.find(run_id)
        if found is None:
            return
        await found.stop()
        self._open.pop(run_id, None)
        found.journal.close()
        self._path(run_id).unlink(missing_ok=True)

    async def _restart(
        self, run_id: str, found: OpenRun, whose: str, *, forget_failed: bool = False
    ) -> OpenRun | None:
        """In the place of the one that was found; None when it was forgotten meanwhile."""

        def opened() -> OpenRun:
            if forget_failed:
                found.journal.forget_failed()
            return self._opened(found.journal, whose)

        again = await asyncio.to_thread(opened)
        if self._open.get(run_id) is not found:
            return None
        self._open[run_id] = again
        again.start()
        return again

    async def close(self) -> None:
        """Stop every run; those in a folder of the host go on when they are asked to."""
        for opened in tuple(self._open.values()):
            await opened.stop()
            opened.journal.close()
        self._open.clear()
        if self._temporary is not None:
            self._temporary.cleanup()

    def _create(self, path: Path, plan: Plan, title: str, whose: str) -> OpenRun:
        """In a thread, like `_load`: a big plan takes seconds to be put in order."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        journal = Journal.create(path, plan, title=title, began=now)
        self._remove_oldest()
        return self._opened(journal, whose)

    def _load(self, path: Path) -> OpenRun:
        opened = self._opened(Journal.open(path))
        opened.run.stop()  # until somebody lets it go on
        return opened

    def _opened(self, journal: Journal, whose: str = "") -> OpenRun:
        run = Run(journal, self._answerer, self._cards, closing=self._closing)
        return OpenRun(journal, run, whose)

    @contextmanager
    def _room(self, run_id: str) -> Iterator[str]:
        """Held for a run until it is at work; whose it is. Raises TooManyRuns."""
        whose = CURRENT_VISITOR.get().id
        working = [opened.whose for opened in self._open.values() if opened.is_active]
        taken = [*working, *self._beginning.values()]
        if len(taken) >= MOST_RUNNING:
            raise TooManyRuns
        if whose != ANONYMOUS.id and taken.count(whose) >= MAX_RUNS_PER_VISITOR:
            raise TooManyRuns(own=True)
        self._beginning[run_id] = whose
        try:
            yield whose
        finally:
            del self._beginning[run_id]

    def _close_idle(self) -> None:
        busy = self._beginning
        idle = [key for key, each in self._open.items() if not each.is_active and key not in busy]
        for run_id in idle[: max(0, len(self._open) - MOST_OPEN)]:
            self._open.pop(run_id).journal.close()

    def _remove_oldest(self) -> None:
        kept = sorted(self._place().glob("*.run"), key=lambda path: path.stat().st_mtime)
        for path in kept[: max(0, len(kept) - MOST_KEPT)]:
            if path.stem not in self._open:
                with suppress(OSError):
                    path.unlink()

    def _path(self, run_id: str) -> Path:
        return self._place() / f"{run_id}.run"

    def _place(self) -> Path:
        if self._folder is not None:
            return self._folder
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="akash-gradio-runs-")
        return Path(self._temporary.name)


def open_run_store(
    data_dir: Path | None,
    answerer: ChatGateway,
    cards: Cards,
    closing: Callable[[], bool] = lambda: False,
) -> RunStore:
    """Runs in DATA_DIR, or in a temporary folder. Touches nothing yet."""
    return RunStore(data_dir / "runs" if data_dir else None, answerer, cards, closing)
