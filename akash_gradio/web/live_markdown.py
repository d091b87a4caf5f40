"""Renders an answer while it is streamed: at once where that is quick, else in a worker."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from akash_gradio.domain.errors import UserError
from akash_gradio.markdown.renderer import GrowingMarkdown, Job, Patch
from akash_gradio.work.pool import WorkPool

MAX_RENDER_S: Final = 2.0
"""Longest wait for a patch of a growing answer, including the wait for a worker."""
MAX_FINISH_S: Final = 15.0
"""Longest wait for the last patch: the answer is already shown, but perhaps not formatted."""


class LiveMarkdown:
    """The markdown of an answer or its reasoning. What can't be rendered in time is plain text.

    Args:
        work: Where longer jobs run.
    """

    def __init__(self, work: WorkPool) -> None:
        self._work = work
        self._markdown = GrowingMarkdown()

    @property
    def text(self) -> str:
        """Everything that was added."""
        return self._markdown.text

    def add(self, text: str) -> None:
        """Append text."""
        self._markdown.add(text)

    async def patch(self, *, final: bool) -> Patch | None:
        """Return what changed since the last call, None if nothing did.

        Args:
            final: Whether nothing will be added any more.
        """
        step = self._markdown.next_job(final=final)
        while step is not None and not isinstance(step, Patch):
            step = self._markdown.apply(step, await self._run(step, final=final))
        return step

    async def _run(self, job: Job, *, final: bool) -> Any:
        if job.is_instant:
            return job.run()
        run = self._work.run_quickly if job.is_quick else self._work.run
        try:
            async with asyncio.timeout(MAX_FINISH_S if final else MAX_RENDER_S):
                return await run(job.run)
        except (UserError, TimeoutError):
            return None
