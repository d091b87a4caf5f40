"""The addresses of votes: casting them, the table that they make, taking both away.

A host that keeps nothing has none: then the browser's own votes travel with each question.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from akash_gradio.compare.ranking import Ranking, rank
from akash_gradio.compare.votes import Vote, VoteStore, VotesUnavailable, read_votes
from akash_gradio.compare.votes_export import votes_csv, votes_json
from akash_gradio.ui.address import PageAddress, read_body
from akash_gradio.ui.asked import Fault
from akash_gradio.ui.house import House
from akash_gradio.ui.pieces import piece
from akash_gradio.ui.present_ranking import ranking_view

MOST_AT_ONCE = 6
"""Votes of one question: each pair of four lanes."""


def vote_routes(house: House) -> list[BaseRoute]:
    """Every address that votes have."""
    tables = _Tables()

    async def cast(request: Request) -> ASGIApp:
        votes = _votes(await read_body(request))
        if len(votes) > MOST_AT_ONCE:
            raise Fault("shape", mend=f"votes: {MOST_AT_ONCE} at once")
        if house.votes is not None:
            await _keep(house.votes, votes)
        return JSONResponse({"kept": house.votes is not None})

    async def table(request: Request) -> ASGIApp:
        votes = await _all(house, await read_body(request))
        view = ranking_view(await tables.of(votes), house.name_of, kept=house.votes is not None)
        return JSONResponse({"html": piece("ranking", ranking=view)})

    async def export(request: Request) -> ASGIApp:
        votes = await _all(house, await read_body(request))
        if request.path_params["form"] == "csv":
            return JSONResponse({"text": votes_csv(votes)})
        return JSONResponse({"text": votes_json(votes, await tables.of(votes))})

    return [
        Route("/page/compare/votes", PageAddress(cast), methods=["POST"]),
        Route("/page/compare/ranking", PageAddress(table), methods=["POST"]),
        Route("/page/compare/export/{form}", PageAddress(export), methods=["POST"]),
    ]


class _Tables:
    """The table of the same votes is worked out once. Live state."""

    def __init__(self) -> None:
        self._votes: tuple[Vote, ...] = ()
        self._ranking: asyncio.Future[Ranking] | None = None

    async def of(self, votes: tuple[Vote, ...]) -> Ranking:
        if self._ranking is None or votes != self._votes:
            self._votes = votes
            self._ranking = asyncio.ensure_future(asyncio.to_thread(rank, votes))
        return await asyncio.shield(self._ranking)


def _votes(body: bytes) -> tuple[Vote, ...]:
    """The votes of `{"votes": […]}`. Raises Fault."""
    try:
        sent: Any = json.loads(body)["votes"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Fault("shape", mend='{"votes": […]}') from None
    return sent_votes(sent)


def sent_votes(sent: Any) -> tuple[Vote, ...]:
    """Votes from parsed JSON. Raises Fault."""
    try:
        return read_votes(sent)
    except (ValueError, TypeError) as error:
        raise Fault("shape", mend=f"votes: {error}") from None


async def _all(house: House, body: bytes) -> tuple[Vote, ...]:
    if house.votes is None:
        return _votes(body)
    try:
        return await house.votes.all()
    except VotesUnavailable:
        raise Fault("votes_off", 503) from None


async def _keep(store: VoteStore, votes: tuple[Vote, ...]) -> None:
    try:
        for vote in votes:
            await store.add(vote)
    except VotesUnavailable:
        raise Fault("votes_off", 503) from None
