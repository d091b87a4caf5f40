"""A report as an answer of the page: its beginning as a preview, or all of it as a file."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

from starlette.responses import JSONResponse, StreamingResponse
from starlette.types import ASGIApp

from akash_gradio.compare.plan import Plan
from akash_gradio.compare.ranking import Ranking, rank
from akash_gradio.compare.reports.report import Report, ReportFormat, write_report
from akash_gradio.compare.votes.store import Vote, VotesUnavailable
from akash_gradio.web.context import AppContext

PREVIEW_CHARACTERS: Final = 200_000
_TYPES: Final = {
    ReportFormat.HTML: "text/html",
    ReportFormat.MARKDOWN: "text/markdown",
    ReportFormat.CSV: "text/csv",
    ReportFormat.JSON: "application/json",
}


async def report_answer(report: Report, form: ReportFormat, *, preview: bool) -> ASGIApp:
    """`{"text", "whole"}` of its beginning, or the whole file as it is written."""
    pieces = write_report(report, form)
    if preview:
        text, whole = await asyncio.to_thread(_beginning, pieces)
        return JSONResponse({"text": text, "whole": whole})
    return StreamingResponse(pieces, media_type=_TYPES[form])


async def ranking_of(house: AppContext, plan: Plan, own: Sequence[Vote] = ()) -> Ranking | None:
    """Of the votes between the plan's lanes; own: the browser's, where the host keeps none."""
    try:
        every = own if house.votes is None else await house.votes.all()
    except VotesUnavailable:
        return None
    votes = [vote for vote in every if {vote.a, vote.b} <= plan.vote_labels]
    return await asyncio.to_thread(rank, votes) if votes else None


def _beginning(pieces: Iterator[str]) -> tuple[str, bool]:
    """The first PREVIEW_CHARACTERS or a little more, and whether that is all."""
    begun, length = list[str](), 0
    for each in pieces:
        begun.append(each)
        length += len(each)
        if length > PREVIEW_CHARACTERS:
            return "".join(begun), next(pieces, None) is None
    return "".join(begun), True
