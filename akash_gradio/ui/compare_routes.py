"""The addresses of a comparison: lanes, stopping one of them, what two answers differ in."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from akash_gradio.compare.diff import Span, diff
from akash_gradio.ui.address import PageAddress, read_body
from akash_gradio.ui.asked import read_compare, read_diff, read_stop
from akash_gradio.ui.event_stream import EventStream
from akash_gradio.ui.file_routes import check_vision
from akash_gradio.ui.handlers.compare import Races, compare
from akash_gradio.ui.house import House
from akash_gradio.ui.vote_routes import vote_routes


def compare_routes(house: House) -> list[BaseRoute]:
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

    return [
        Route("/page/compare", PageAddress(ask), methods=["POST"]),
        Route("/page/compare/stop", PageAddress(stop), methods=["POST"]),
        Route("/page/compare/diff", PageAddress(differ), methods=["POST"]),
        *vote_routes(house),
    ]


def _spans(spans: tuple[Span, ...]) -> list[Any]:
    return [[span.text, span.mark] for span in spans]
