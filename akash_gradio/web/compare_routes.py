"""Routes of a comparison: answers in lanes, stopping a lane, differences, and the report."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from akash_gradio.domain.errors import UserError
from akash_gradio.domain.size_limits import SMALL_BODY_BYTES
from akash_gradio.web import texts
from akash_gradio.web.chat_routes import check_vision
from akash_gradio.web.comparison import RunningComparisons, compare
from akash_gradio.web.comparison_report import (
    ComparisonReportRequest,
    build_comparison_plan,
    build_comparison_report,
)
from akash_gradio.web.deps import CompareDeps
from akash_gradio.web.event_stream import EventStream
from akash_gradio.web.page_route import post, read_body, read_parsed, run_for_client
from akash_gradio.web.report_response import plan_ranking, report_response
from akash_gradio.web.schemas import parse_body, parse_compare, parse_stop, parse_vote_list
from akash_gradio.web.worker_jobs import diff_json


class CompareRoutes:
    """`page/compare` and the routes below it, except for votes. Stops only this process's lanes."""

    def __init__(self, deps: CompareDeps) -> None:
        self._deps = deps
        self._running = RunningComparisons()

    def routes(self) -> list[BaseRoute]:
        """Return the routes of comparisons."""
        return [
            post("/page/compare", self.compare),
            post("/page/compare/stop", self.stop),
            post("/page/compare/diff", self.diff),
            post("/page/compare/report", self.report),
        ]

    async def compare(self, request: Request) -> ASGIApp:
        """Stream the answers of all lanes."""
        deps, models = self._deps, self._deps.models
        run, lanes = await read_parsed(request, deps.work, parse_compare)
        for lane in lanes.values():
            check_vision(models, lane)
        events = compare(
            run,
            lanes,
            deps.gateway,
            deps.work,
            self._running,
            is_withheld=models.is_withheld,
            display_name=models.display_name,
            answer_cost=models.answer_cost,
        )
        return EventStream(events)

    async def stop(self, request: Request) -> ASGIApp:
        """Stop one lane; `{"stopped": false}` if this process doesn't run it."""
        run, letter = parse_stop(await read_body(request, SMALL_BODY_BYTES))
        return JSONResponse({"stopped": self._running.stop(run, letter)})

    async def diff(self, request: Request) -> ASGIApp:
        """Return two answers in spans: common, in one of them, or a different number."""
        body = await read_body(request)
        spans = await run_for_client(request, self._deps.work, diff_json, body)
        return Response(spans, media_type="application/json")

    async def report(self, request: Request) -> ASGIApp:
        """Return a report of the lanes that the browser sends, or its beginning."""
        deps = self._deps
        body = await read_parsed(request, deps.work, partial(parse_body, ComparisonReportRequest))
        plan = build_comparison_plan(body)
        if not plan.prompts:
            raise UserError("empty_message")
        ranking = await plan_ranking(deps.votes, plan, parse_vote_list(body.votes))
        title = texts.PAGE["report_title"]
        report = build_comparison_report(body, plan, deps.models.display_name, ranking, title)
        return await report_response(report, body.form, deps.work, preview=body.preview)
