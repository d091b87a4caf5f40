"""The addresses of prompt sets: reading one, its forecast, its run, its report.

A run is opened by its id alone, which travels in bodies, never in an address.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from akash_gradio.compare.forecast import Forecast, forecast
from akash_gradio.compare.journal import JournalError
from akash_gradio.compare.plan import Plan
from akash_gradio.compare.reports.report import Report
from akash_gradio.compare.run_store import MAX_RUNS_PER_VISITOR, OpenRun, RunStore, TooManyRuns
from akash_gradio.compare.runner import CALLS_PER_ENDPOINT
from akash_gradio.domain.errors import UserError
from akash_gradio.formatting import NOT_AVAILABLE, format_cost, format_duration
from akash_gradio.markdown.renderer import render
from akash_gradio.web import set_views, texts
from akash_gradio.web.context import AppContext
from akash_gradio.web.page_route import Answer, PageAddress, read_body
from akash_gradio.web.report_response import ranking_of, report_answer
from akash_gradio.web.set_schemas import (
    AskedAct,
    AskedLook,
    AskedReport,
    AskedRow,
    AskedRun,
    AskedSet,
    plan_of,
    prompts_of,
    read_sent,
)
from akash_gradio.web.templating import piece


def set_routes(house: AppContext, runs: RunStore) -> list[BaseRoute]:
    """Every address below `page/sets`."""

    async def read(request: Request) -> ASGIApp:
        asked: AskedSet = read_sent(AskedSet, await read_body(request))
        prompts = await asyncio.to_thread(prompts_of, asked)
        checked = sum(1 for prompt in prompts if prompt.checks)
        return JSONResponse({"prompts": len(prompts), "checked": checked})

    async def run_for(request: Request) -> AskedRun:
        asked: AskedRun = read_sent(AskedRun, await read_body(request))
        for model in asked.models:
            if house.withheld(model):
                raise UserError("model_withheld", {"model": model}, 404)
        return asked

    async def foretell(request: Request) -> ASGIApp:
        asked = await run_for(request)
        plan = await asyncio.to_thread(plan_of, asked)
        absent = [model for model in asked.models if house.listing(model) is None]
        endpoints, cards = house.answerer.endpoints(), house.catalog.get
        told = await asyncio.to_thread(
            forecast, plan, cards, endpoints, per_endpoint=CALLS_PER_ENDPOINT
        )
        text = _forecast_text(plan, told, absent, house.name_of)
        return JSONResponse({"calls": told.calls, "text": text})

    async def begin(request: Request) -> ASGIApp:
        asked = await run_for(request)
        plan = await asyncio.to_thread(plan_of, asked)
        title = " ".join((asked.title or plan.prompts[0].text[:200]).split())[:80]
        try:
            run_id = await runs.start(plan, title)
        except TooManyRuns as full:
            raise _full(full) from None
        except (JournalError, OSError) as error:
            raise UserError("run_not_saved", {"reason": type(error).__name__}, 503) from None
        began = datetime.now(UTC).isoformat(timespec="seconds")
        return JSONResponse({"run": run_id, "title": title, "began": began, "calls": plan.calls})

    async def look(request: Request) -> ASGIApp:
        asked: AskedLook = read_sent(AskedLook, await read_body(request))
        run = await _found(runs, asked.run)
        earlier = await runs.find(asked.earlier) if asked.earlier else None
        told = set_views.progress_view(run.run.progress)  # first: the table is no older than it
        names = _names(house, run.journal.plan)
        html = await asyncio.to_thread(_run_html, run, names, asked.first, earlier)
        fault = texts.SETS["failed_run"].format(reason=run.failure) if run.failure else ""
        return JSONResponse({**told, "title": run.title, "html": html, "fault": fault})

    async def row(request: Request) -> ASGIApp:
        asked: AskedRow = read_sent(AskedRow, await read_body(request))
        run = await _found(runs, asked.run)
        if asked.row >= set_views.rows_total(run.journal.plan):
            raise UserError("invalid_request", {"detail": "row"})
        names = _names(house, run.journal.plan)
        return JSONResponse({"html": await asyncio.to_thread(_row_html, run, names, asked.row)})

    async def act(request: Request) -> ASGIApp:
        asked: AskedAct = read_sent(AskedAct, await read_body(request))
        run = await _found(runs, asked.run)
        try:
            if asked.act == "pause":
                run.run.pause()
            elif asked.act == "stop":
                await run.stop()
            elif asked.act == "go_on":
                if await runs.resume(asked.run) is None:
                    raise UserError("run_not_found", status=404)
            elif asked.act == "again":
                if await runs.retry_failed(asked.run) is None:
                    raise UserError("run_not_found", status=404)
            else:
                await runs.delete(asked.run)
        except TooManyRuns as full:
            raise _full(full) from None
        return JSONResponse({"done": asked.act})

    async def report(request: Request) -> ASGIApp:
        asked: AskedReport = read_sent(AskedReport, await read_body(request))
        run = await _found(runs, asked.run)
        made = await _report(house, run)
        return await report_answer(made, asked.form, preview=asked.preview)

    answers = (read, foretell, begin, look, row, act, report)
    names = ("read", "forecast", "begin", "look", "row", "act", "report")
    return [
        Route(f"/page/sets/{name}", PageAddress(_whole(answer)), methods=["POST"])
        for name, answer in zip(names, answers, strict=True)
    ]


def _whole(answer: Answer) -> Answer:
    """A run that is forgotten while it is read is gone, like one that never was."""

    async def whole(request: Request) -> ASGIApp:
        try:
            return await answer(request)
        except JournalError as fault:
            if fault.reason == "closed":
                raise UserError("run_not_found", status=404) from None
            raise UserError("run_not_saved", {"reason": fault.reason}, 503) from None

    return whole


async def _found(runs: RunStore, run_id: str) -> OpenRun:
    run = await runs.find(run_id)
    if run is None:
        raise UserError("run_not_found", status=404)
    return run


def _full(full: TooManyRuns) -> UserError:
    return (
        UserError("runs_full_for_visitor", {"limit": str(MAX_RUNS_PER_VISITOR)}, 503)
        if full.own
        else UserError("runs_full", status=503)
    )


def _forecast_text(
    plan: Plan, told: Forecast, absent: Sequence[str], name_of: Callable[[str], str]
) -> str:
    """A line for what is asked, one for what it takes, one for what nobody knows."""
    t = texts.SETS
    what = [
        _counted(len(plan.prompts), t["read_one"], t["read"]),
        _counted(len(plan.lanes), t["lane_one"], t["lane_many"]),
    ]
    what += [t["times"].format(count=plan.repeats)] if plan.repeats > 1 else []
    takes = [
        t["forecast_tokens"].format(
            tokens_in=f"{told.tokens_in:,}", tokens_out=f"{told.tokens_out:,}"
        ),
        format_cost(told.cost),
        t["forecast_time"].format(time=format_duration(told.duration_s)),
    ]
    unknown = [
        sentence.format(models=", ".join(map(name_of, models)))
        for sentence, models in ((t["unpriced"], told.unpriced), (t["unserved"], absent))
        if models
    ]
    calls = t["forecast_calls"].format(calls=f"{told.calls:,}", what=" × ".join(what))
    lines = [calls, " · ".join(each for each in takes if each != NOT_AVAILABLE), *unknown]
    return "\n".join(lines)


def _counted(count: int, one: str, many: str) -> str:
    return one if count == 1 else many.format(count=f"{count:,}")


def _names(house: AppContext, plan: Plan) -> Mapping[str, str]:
    """Model id → what people call it, for a thread: what the house knows lives on the loop."""
    known = {listing.card.id: listing.card.name for listing in house.listings()}
    return {lane.model: known.get(lane.model, lane.model) for lane in plan.lanes}


def _run_html(run: OpenRun, names: Mapping[str, str], first: int, earlier: OpenRun | None) -> str:
    plan, get_row = run.journal.plan, run.journal.row
    total = set_views.rows_total(plan)
    changed, count = set_views.changed_cells(earlier, run) if earlier else ((), 0)
    return piece(
        "set_run",
        lanes=set_views.lane_lines(plan, run.summaries(), names),
        rows=list(set_views.table_rows(plan, get_row, first)),
        first=first,
        shown=set_views.ROWS_SHOWN,
        total=total,
        compared=earlier is not None,
        changed=changed,
        changed_count=count,
    )


def _row_html(run: OpenRun, names: Mapping[str, str], number: int) -> str:
    plan = run.journal.plan
    prompt, cells = set_views.full_row(plan, run.journal.row, number, names)
    total = set_views.rows_total(plan)
    return piece("set_row", prompt=prompt, cells=cells, row=number, total=total)


async def _report(house: AppContext, run: OpenRun) -> Report:
    plan = run.journal.plan
    return Report(
        title=run.title,
        plan=plan,
        get_row=run.journal.row,
        created_at=datetime.now(UTC),
        names=_names(house, plan),
        ranking=await ranking_of(house, plan),
        render=render,
    )
