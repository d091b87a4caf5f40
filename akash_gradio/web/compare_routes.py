"""The addresses of a comparison: lanes, stopping one of them, what two answers differ in."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from akash_gradio.compare.answer_diff import Span, diff
from akash_gradio.domain.errors import UserError
from akash_gradio.web import texts
from akash_gradio.web.context import AppContext
from akash_gradio.web.event_stream import EventStream
from akash_gradio.web.file_routes import check_vision
from akash_gradio.web.lanes_report import AskedLanesReport, lanes_plan, lanes_report
from akash_gradio.web.lanes_view import Races, compare
from akash_gradio.web.page_route import PageAddress, read_body
from akash_gradio.web.report_response import ranking_of, report_answer
from akash_gradio.web.schemas import read_compare, read_diff, read_stop
from akash_gradio.web.set_schemas import read_sent
from akash_gradio.web.vote_routes import sent_votes, vote_routes


def compare_routes(house: AppContext) -> list[BaseRoute]:
    """Every address below `page/compare`; what runs is known to this process alone."""
    races = Races()

    async def ask(request: Request) -> ASGIApp:
        run, lanes = read_compare(await read_body(request))
        for asked in lanes.values():
            check_vision(house, asked)
        return EventStream(
            compare(
                run,
                lanes,
                house.answerer,
                races,
                withheld=house.withheld,
                name_of=house.name_of,
                cost_of=house.cost_of,
            )
        )

    async def stop(request: Request) -> ASGIApp:
        run, letter = read_stop(await read_body(request))
        return JSONResponse({"stopped": races.stop(run, letter)})

    async def differ(request: Request) -> ASGIApp:
        texts = read_diff(await read_body(request))
        # In a thread: long texts take a second, and others wait for their tokens.
        found = await asyncio.to_thread(diff, *texts)
        return JSONResponse(
            {"a": _spans(found.a), "b": _spans(found.b), "common": round(found.common, 3)}
        )

    async def report(request: Request) -> ASGIApp:
        asked: AskedLanesReport = read_sent(AskedLanesReport, await read_body(request))
        plan = lanes_plan(asked)
        if not plan.prompts:
            raise UserError("empty_message")
        ranking = await ranking_of(house, plan, sent_votes(asked.votes))
        made = lanes_report(asked, plan, house.name_of, ranking, texts.PAGE["report_title"])
        return await report_answer(made, asked.form, preview=asked.preview)

    return [
        Route("/page/compare/report", PageAddress(report), methods=["POST"]),
        Route("/page/compare", PageAddress(ask), methods=["POST"]),
        Route("/page/compare/stop", PageAddress(stop), methods=["POST"]),
        Route("/page/compare/diff", PageAddress(differ), methods=["POST"]),
        *vote_routes(house),
    ]


def _spans(spans: tuple[Span, ...]) -> list[Any]:
    return [[span.text, span.mark] for span in spans]
