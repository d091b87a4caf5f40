"""Routes of prompt sets: validate a set; forecast, start, follow and change a run; its report.

A run of an account belongs to that account. Other runs are open to who knows the id, which travels
in bodies, never in an address.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from akash_gradio.compare.forecast import Forecast, forecast
from akash_gradio.compare.open_run import OpenRun
from akash_gradio.compare.plan import Plan
from akash_gradio.compare.reports.report import Report
from akash_gradio.compare.rows import Row
from akash_gradio.compare.runner import CALLS_PER_ENDPOINT
from akash_gradio.domain.errors import LimitReached, UserError
from akash_gradio.domain.size_limits import SET_BODY_BYTES, SMALL_BODY_BYTES
from akash_gradio.domain.visitor import CURRENT_VISITOR
from akash_gradio.formatting import NOT_AVAILABLE, format_cost, format_duration
from akash_gradio.markdown.renderer import render_all
from akash_gradio.quota.limiter import RateLimit
from akash_gradio.web import run_views, texts
from akash_gradio.web.deps import RunDeps
from akash_gradio.web.page_route import post, read_body, read_parsed, run_for_client
from akash_gradio.web.report_response import plan_ranking, report_response
from akash_gradio.web.run_schemas import (
    PromptSetRequest,
    RowRequest,
    RunActionRequest,
    RunReportRequest,
    RunRequest,
    RunStatusRequest,
    build_plan,
    parse_prompts,
)
from akash_gradio.web.schemas import parse_body
from akash_gradio.web.templating import render_template

START_LIMIT: Final = RateLimit("runs", limit=10)
"""Runs that a visitor starts, resumes or retries per minute: each writes to the disk."""


class RunRoutes:
    """The routes below `page/sets`."""

    def __init__(self, deps: RunDeps) -> None:
        self._runs, self._models, self._votes = deps.runs, deps.models, deps.votes
        self._limiter, self._work = deps.limiter, deps.work
        self._actions: Mapping[str, Callable[[str], Awaitable[None]]] = {
            "pause": self._pause,
            "resume": self._resume,
            "stop": self._stop,
            "retry": self._retry,
            "delete": self._delete,
        }

    def routes(self) -> list[BaseRoute]:
        """Return the routes of prompt sets."""
        return [
            post("/page/sets/validate", self.validate),
            post("/page/sets/forecast", self.forecast),
            post("/page/sets/start", self.start),
            post("/page/sets/status", self.status),
            post("/page/sets/row", self.row),
            post("/page/sets/action", self.action),
            post("/page/sets/report", self.report),
        ]

    async def validate(self, request: Request) -> ASGIApp:
        """Count the prompts of a set, and those with checks."""
        body = await read_parsed(
            request, self._work, partial(parse_body, PromptSetRequest), SET_BODY_BYTES
        )
        prompts = await run_for_client(request, self._work, parse_prompts, body)
        checked = sum(1 for prompt in prompts if prompt.checks)
        return JSONResponse({"prompts": len(prompts), "checked": checked})

    async def forecast(self, request: Request) -> ASGIApp:
        """Estimate the calls, tokens, cost and time of a run."""
        body = await self._run_request(request)
        plan = await run_for_client(request, self._work, build_plan, body)
        unserved = [model for model in body.models if self._models.listing(model) is None]
        endpoints, cards = self._models.endpoints(), self._models.catalog.get
        estimate = await self._work.in_thread(
            forecast, plan, cards, endpoints, per_endpoint=CALLS_PER_ENDPOINT
        )
        text = _forecast_text(plan, estimate, unserved, self._models.display_name)
        return JSONResponse({"calls": estimate.calls, "text": text})

    async def start(self, request: Request) -> ASGIApp:
        """Start a run and return its id."""
        await self._count_start()
        body = await self._run_request(request)
        plan = await run_for_client(request, self._work, build_plan, body)
        title = " ".join((body.title or plan.prompts[0].text[:200]).split())[:80]
        run_id = await self._runs.start(plan, title)
        began = datetime.now(UTC).isoformat(timespec="seconds")
        return JSONResponse({"run": run_id, "title": title, "began": began, "calls": plan.calls})

    async def status(self, request: Request) -> ASGIApp:
        """Return a run's progress, and its table as HTML."""
        body = parse_body(RunStatusRequest, await read_body(request, SMALL_BODY_BYTES))
        run = await self._find(body.run)
        earlier = await self._runs.find(body.earlier) if body.earlier else None
        # The progress comes first, so that the table is never older than it.
        progress = run_views.progress_view(run.runner.progress)
        names = self._names(run.journal.plan)
        # Comparing two runs reads both of them.
        in_thread = self._work.in_slow_thread if earlier else self._work.in_thread
        html = await in_thread(_run_html, run, names, body.first, earlier)
        return JSONResponse(
            {**progress, "title": run.title, "html": html, "error": _failure_text(run)}
        )

    async def row(self, request: Request) -> ASGIApp:
        """Return the answers to one prompt as HTML."""
        body = parse_body(RowRequest, await read_body(request, SMALL_BODY_BYTES))
        run = await self._find(body.run)
        if body.row >= run_views.count_rows(run.journal.plan):
            raise UserError("invalid_request", {"detail": "row"})
        rows = await self._work.in_thread(run_views.rows_at, run.journal, body.row)
        answers = [row.answer if row else "" for row in rows]
        blocks = await run_for_client(request, self._work, render_all, answers)
        names = self._names(run.journal.plan)
        html = await self._work.in_thread(_row_html, run, names, body.row, rows, blocks)
        return JSONResponse({"html": html})

    async def action(self, request: Request) -> ASGIApp:
        """Pause, resume, stop, retry or delete a run."""
        body = parse_body(RunActionRequest, await read_body(request, SMALL_BODY_BYTES))
        await self._actions[body.action](body.run)
        return JSONResponse({"done": body.action})

    async def report(self, request: Request) -> ASGIApp:
        """Return a run's report, or its beginning."""
        body = parse_body(RunReportRequest, await read_body(request, SMALL_BODY_BYTES))
        run = await self._find(body.run)
        report = await self._build_report(run)
        return await report_response(report, body.form, self._work, preview=body.preview)

    async def _run_request(self, request: Request) -> RunRequest:
        body = await read_parsed(
            request, self._work, partial(parse_body, RunRequest), SET_BODY_BYTES
        )
        for model in body.models:
            if self._models.is_withheld(model):
                raise UserError("model_withheld", {"model": model}, 404)
        return body

    async def _find(self, run_id: str) -> OpenRun:
        return _existing(await self._runs.find(run_id))

    async def _count_start(self) -> None:
        """Count a start of the current visitor, or raise `UserError`."""
        try:
            await self._limiter.admit_visitor(START_LIMIT, CURRENT_VISITOR.get())
        except LimitReached as error:
            facts = {"limit": START_LIMIT.limit, "seconds": math.ceil(error.retry_after_s)}
            raise UserError("too_many_runs", facts, 429) from None

    async def _pause(self, run_id: str) -> None:
        (await self._find(run_id)).runner.pause()

    async def _stop(self, run_id: str) -> None:
        await (await self._find(run_id)).stop()

    async def _resume(self, run_id: str) -> None:
        await self._count_start()
        _existing(await self._runs.resume(run_id))

    async def _retry(self, run_id: str) -> None:
        await self._count_start()
        _existing(await self._runs.retry_failed(run_id))

    async def _delete(self, run_id: str) -> None:
        if not await self._runs.delete(run_id):
            raise UserError("run_not_found", status=404)

    def _names(self, plan: Plan) -> Mapping[str, str]:
        """Return the models' display names, for a thread: listings belong to the event loop."""
        names = self._models.display_names()
        return {lane.model: names.get(lane.model, lane.model) for lane in plan.lanes}

    async def _build_report(self, run: OpenRun) -> Report:
        plan = run.journal.plan
        return Report(
            title=run.title,
            plan=plan,
            get_row=run.journal.row,
            created_at=datetime.now(UTC),
            names=self._names(plan),
            ranking=await plan_ranking(self._votes, plan),
        )


def _failure_text(run: OpenRun) -> str:
    if run.failure == "too_large":
        return texts.SETS["too_large_run"]
    return texts.SETS["failed_run"].format(reason=run.failure) if run.failure else ""


def _existing(run: OpenRun | None) -> OpenRun:
    if run is None:
        raise UserError("run_not_found", status=404)
    return run


def _forecast_text(
    plan: Plan, estimate: Forecast, unserved: Sequence[str], display_name: Callable[[str], str]
) -> str:
    """Return a line with the number of calls, one with their usage, and one for each unknown."""
    t = texts.SETS
    factors = [
        _counted(len(plan.prompts), t["read_one"], t["read"]),
        _counted(len(plan.lanes), t["lane_one"], t["lane_many"]),
    ]
    factors += [t["times"].format(count=plan.repeats)] if plan.repeats > 1 else []
    usage = [
        t["forecast_tokens"].format(
            tokens_in=f"{estimate.tokens_in:,}", tokens_out=f"{estimate.tokens_out:,}"
        ),
        format_cost(estimate.cost),
        t["forecast_time"].format(time=format_duration(estimate.duration_s)),
    ]
    unknown = [
        sentence.format(models=", ".join(map(display_name, models)))
        for sentence, models in ((t["unpriced"], estimate.unpriced), (t["unserved"], unserved))
        if models
    ]
    calls = t["forecast_calls"].format(calls=f"{estimate.calls:,}", what=" × ".join(factors))
    lines = [calls, " · ".join(part for part in usage if part != NOT_AVAILABLE), *unknown]
    return "\n".join(lines)


def _counted(count: int, one: str, many: str) -> str:
    return one if count == 1 else many.format(count=f"{count:,}")


def _run_html(run: OpenRun, names: Mapping[str, str], first: int, earlier: OpenRun | None) -> str:
    plan, get_row = run.journal.plan, run.journal.row
    changed, count = run_views.changed_cells(earlier, run) if earlier else ((), 0)
    return render_template(
        "set_run",
        lanes=run_views.lane_lines(plan, run.summaries(), names),
        rows=list(run_views.table_rows(plan, get_row, first)),
        first=first,
        shown=run_views.ROWS_SHOWN,
        total=run_views.count_rows(plan),
        compared=earlier is not None,
        changed=changed,
        changed_count=count,
    )


def _row_html(
    run: OpenRun,
    names: Mapping[str, str],
    number: int,
    rows: Sequence[Row | None],
    blocks: Sequence[tuple[str, ...]],
) -> str:
    plan = run.journal.plan
    prompt, cells = run_views.full_row(plan, number, rows, blocks, names)
    total = run_views.count_rows(plan)
    return render_template("set_row", prompt=prompt, cells=cells, row=number, total=total)
