"""The runs that a page has under way, each in a file that only its unguessable id opens."""

from __future__ import annotations

import asyncio
import re
import secrets
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from akash_gradio.compare.journal import Journal, JournalFault
from akash_gradio.compare.plan import Plan
from akash_gradio.compare.run import Cards, Run, RunState
from akash_gradio.compare.summary import Summary, summarize
from akash_gradio.domain.ports import Answerer

MOST_OPEN: Final = 16
"""Files held open; the one that was looked at longest ago, and does nothing, is closed first."""
MOST_RUNNING: Final = 8
MOST_KEPT: Final = 200
"""Files in the folder; the oldest ones are removed."""
_ID: Final = re.compile(r"[\w-]{16,64}")


class RunsFull(Exception):
    """As many runs are under way as this server takes at once."""


class OpenRun:
    """Live: a run whose file is open. run: how it goes. title: as its owner called it."""

    def __init__(self, journal: Journal, run: Run) -> None:
        self.journal, self.run = journal, run
        self.title: str = journal.fact("title", "")
        self.began: str = journal.fact("began", "")
        self.fault = ""
        self._task: asyncio.Task[None] | None = None
        self._counted: tuple[Summary, ...] = ()
        self._counted_done, self._count_again = -1, 0.0

    def summaries(self) -> tuple[Summary, ...]:
        """Of each lane. While a long run goes on they may be a while old: counting reads all
        rows, and is to take a twentieth of the time at most."""
        done, now = self.run.progress.done, time.monotonic()
        if done != self._counted_done and (now >= self._count_again or not self.at_work):
            self._counted = summarize(self.journal.plan, self.journal.row)
            self._counted_done = done
            self._count_again = time.monotonic() + 20 * (time.monotonic() - now)
        return self._counted

    @property
    def at_work(self) -> bool:
        """Whether its calls are under way, or paused."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Run it beside everything else."""
        self._task = asyncio.create_task(self._carry_out())

    async def _carry_out(self) -> None:
        try:
            await self.run.run()
        except (JournalFault, OSError) as error:  # the disk is full, say
            self.fault = str(error)

    async def stop(self) -> None:
        """End it, and wait until it has ended."""
        self.run.stop()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)


class Runs:
    """Live. folder: where the files are; None for a temporary one, gone with the server."""

    def __init__(self, folder: Path | None, answerer: Answerer, cards: Cards) -> None:
        self._folder, self._answerer, self._cards = folder, answerer, cards
        self.kept = folder is not None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._open: dict[str, OpenRun] = {}

    async def begin(self, plan: Plan, title: str) -> str:
        """Start a run; returns its id. Raises RunsFull and JournalFault."""
        self._make_room()
        run_id = secrets.token_urlsafe(18)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        path = self._path(run_id)
        journal = await asyncio.to_thread(Journal.create, path, plan, title=title, began=now)
        await asyncio.to_thread(self._remove_oldest)
        opened = OpenRun(journal, self._run(journal))
        self._open[run_id] = opened
        opened.start()
        return run_id

    def find(self, run_id: str) -> OpenRun | None:
        """The run of this id, its file opened if need be; None where there is none."""
        if not _ID.fullmatch(run_id):
            return None
        found = self._open.pop(run_id, None)
        if found is None:
            try:
                journal = Journal.open(self._path(run_id))
            except JournalFault:
                return None
            found = OpenRun(journal, self._run(journal))
        self._open[run_id] = found  # the last one looked at stands last
        self._close_idle()
        return found

    async def go_on(self, run_id: str) -> OpenRun | None:
        """Let a stopped run go on where it was, or a paused one. Raises RunsFull."""
        found = self.find(run_id)
        if found is None:
            return None
        if found.at_work:
            found.run.go_on()
        elif found.run.progress.state is not RunState.DONE:
            self._make_room()
            found = self._open[run_id] = OpenRun(found.journal, self._run(found.journal))
            found.start()
        return found

    async def forget(self, run_id: str) -> None:
        """Remove it with everything that was answered."""
        found = self.find(run_id)
        if found is None:
            return
        await found.stop()
        del self._open[run_id]
        found.journal.close()
        self._path(run_id).unlink(missing_ok=True)

    async def close(self) -> None:
        """Stop every run; those in a folder of the host go on when they are asked to."""
        for opened in self._open.values():
            await opened.stop()
            opened.journal.close()
        self._open.clear()
        if self._temporary is not None:
            self._temporary.cleanup()

    def _run(self, journal: Journal) -> Run:
        return Run(journal, self._answerer, self._cards)

    def _make_room(self) -> None:
        if sum(opened.at_work for opened in self._open.values()) >= MOST_RUNNING:
            raise RunsFull

    def _close_idle(self) -> None:
        idle = [run_id for run_id, opened in self._open.items() if not opened.at_work]
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


def open_runs(data_dir: Path | None, answerer: Answerer, cards: Cards) -> Runs:
    """Runs in DATA_DIR, or in a temporary folder. Touches nothing yet."""
    return Runs(data_dir / "runs" if data_dir else None, answerer, cards)
