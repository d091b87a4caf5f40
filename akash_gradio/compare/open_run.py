"""A run whose file is open in this process."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from functools import partial

from akash_gradio.compare.file_lock import FileLock
from akash_gradio.compare.journal import Journal, JournalError
from akash_gradio.compare.run_files import Owner, mark
from akash_gradio.compare.runner import Runner
from akash_gradio.compare.summary import Summary, summarize


class OpenRun:
    """A run whose file is open.

    Attributes:
        journal: The file.
        runner: Executes it.
        lock: The lock of the file.
        owner: Whose active run it is, None if it was only opened.
        title: The title that its owner entered.
        began: When it was created: UTC, ISO 8601.
        failure: Why it ended early, "" if it didn't.
    """

    def __init__(
        self, journal: Journal, runner: Runner, lock: FileLock, owner: Owner | None = None
    ) -> None:
        self.journal, self.runner, self.lock, self.owner = journal, runner, lock, owner
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
            if error.reason == "too_large":
                with suppress(JournalError):
                    await asyncio.to_thread(partial(self.journal.set_facts, full=True))
        except OSError as error:
            self.failure = type(error).__name__
        finally:
            self.unmark()

    def unmark(self) -> None:
        """Let other processes know that the run no longer grows."""
        with suppress(OSError):
            mark(self.lock, active=False)

    async def stop(self) -> None:
        """Stop the run, and wait until it has ended."""
        self.runner.stop()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def close(self) -> None:
        """Close the file, so that other processes can open it. May block."""
        with suppress(JournalError):
            self.journal.close()
        self.lock.release()
