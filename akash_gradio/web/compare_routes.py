"""Routes of a comparison: answers in lanes, stopping a lane, differences, and the report."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from akash_gradio.compare.answer_diff import Span, diff_answers
from akash_gradio.domain.errors import UserError
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
from akash_gradio.web.page_route import post, read_body
from akash_gradio.web.report_response import plan_ranking, report_response
from akash_gradio.web.schemas import parse_body, parse_compare, parse_diff, parse_stop
from akash_gradio.web.vote_routes import parse_vote_list


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
        run, lanes = parse_compare(await read_body(request))
        for lane in lanes.values():
            check_vision(models, lane)
        events = compare(
            run,
            lanes,
            deps.gateway,
            self._running,
            is_withheld=models.is_withheld,
            display_name=models.display_name,
            answer_cost=models.answer_cost,
        )
        return EventStream(events)

    async def stop(self, request: Request) -> ASGIApp:
        """Stop one lane; `{"stopped": false}` if this process doesn't run it."""
        run, letter = parse_stop(await read_body(request))
        return JSONResponse({"stopped": self._running.stop(run, letter)})

    async def diff(self, request: Request) -> ASGIApp:
        """Return two answers in spans: common, in one of them, or a different number."""
        a, b = parse_diff(await read_body(request))
        # In a thread: long texts take a second.
        result = await asyncio.to_thread(diff_answers, a, b)
        common = round(result.common, 3)
        return JSONResponse({"a": _spans(result.a), "b": _spans(result.b), "common": common})

    async def report(self, request: Request) -> ASGIApp:
        """Return a report of the lanes that the browser sends, or its beginning."""
        deps = self._deps
        body = parse_body(ComparisonReportRequest, await read_body(request))
        plan = build_comparison_plan(body)
        if not plan.prompts:
            raise UserError("empty_message")
        ranking = await plan_ranking(deps.votes, plan, parse_vote_list(body.votes))
        title = texts.PAGE["report_title"]
        report = build_comparison_report(body, plan, deps.models.display_name, ranking, title)
        return await report_response(report, body.form, preview=body.preview)


def _spans(spans: tuple[Span, ...]) -> list[Any]:
    return [[span.text, span.mark] for span in spans]
