"""Sends a report, as a preview of its beginning or as a file, and ranks its lanes by votes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from typing import Final

from starlette.responses import JSONResponse, StreamingResponse
from starlette.types import ASGIApp

from akash_gradio.compare.plan import Plan
from akash_gradio.compare.ranking import Ranking, rank
from akash_gradio.compare.reports.factory import write_report
from akash_gradio.compare.reports.report import Render, Report, ReportFormat
from akash_gradio.compare.votes.store import Vote, VoteStore, VotesUnavailable
from akash_gradio.domain.errors import UserError
from akash_gradio.markdown.renderer import plain_blocks, render
from akash_gradio.markdown.sanitize import visible
from akash_gradio.work.pool import WorkPool

PREVIEW_CHARACTERS: Final = 200_000
"""A preview ends with the part of the report that passes this length."""
BATCH_CHARACTERS: Final = 64_000
"""Parts of a report are sent in batches of this size."""
_MEDIA_TYPES: Final = {
    ReportFormat.HTML: "text/html",
    ReportFormat.MARKDOWN: "text/markdown",
    ReportFormat.CSV: "text/csv",
    ReportFormat.JSON: "application/json",
}


async def report_response(
    report: Report, form: ReportFormat, work: WorkPool, *, preview: bool
) -> ASGIApp:
    """Return the response with a report.

    Args:
        report: The report, without the function that renders answers.
        form: The format of the file.
        work: Renders the answers.
        preview: Whether to return only the beginning.

    Returns:
        The file as a stream; or for a preview JSON with `text`, and `whole`: whether that is the
        whole report.
    """
    parts = write_report(replace(report, render=_render_in(work)), form)
    if preview:
        text, whole = await work.in_slow_thread(_preview, parts)
        return JSONResponse({"text": text, "whole": whole})
    return StreamingResponse(_batches(parts, work), media_type=_MEDIA_TYPES[form])


async def _batches(parts: Iterator[str], work: WorkPool) -> AsyncIterator[str]:
    """Yield the parts joined. A slow client holds no thread: each batch takes one anew."""
    while batch := await work.in_slow_thread(_next_batch, parts):
        yield batch


def _next_batch(parts: Iterator[str]) -> str:
    texts, length = list[str](), 0
    for part in parts:
        texts.append(part)
        length += len(part)
        if length > BATCH_CHARACTERS:
            break
    return "".join(texts)


def _render_in(work: WorkPool) -> Render:
    """Return a function for threads that renders an answer in a worker."""
    loop = asyncio.get_running_loop()

    def render_in_worker(text: str) -> Sequence[str]:
        try:
            return asyncio.run_coroutine_threadsafe(work.run(render, text), loop).result()
        except UserError:
            return tuple(plain_blocks(visible(text)))

    return render_in_worker


async def plan_ranking(
    store: VoteStore | None, plan: Plan, own_votes: Sequence[Vote] = ()
) -> Ranking | None:
    """Rank the lanes of a plan by the votes between them.

    Args:
        store: Where votes are stored, None if the browser keeps its own.
        plan: The plan with the lanes.
        own_votes: The browser's votes, used without a store.

    Returns:
        The ranking, or None without votes or if the store is unavailable.
    """
    try:
        all_votes = own_votes if store is None else await store.all()
    except VotesUnavailable:
        return None
    votes = [vote for vote in all_votes if {vote.a, vote.b} <= plan.vote_labels]
    return await asyncio.to_thread(rank, votes) if votes else None


def _preview(parts: Iterator[str]) -> tuple[str, bool]:
    """Return the beginning of the report, and whether it is the whole report."""
    texts, length = list[str](), 0
    for part in parts:
        texts.append(part)
        length += len(part)
        if length > PREVIEW_CHARACTERS:
            return "".join(texts), next(parts, None) is None
    return "".join(texts), True
