"""The addresses of votes: casting them, the table that they make, taking both away.

A host that keeps nothing has none: then the browser's own votes travel with each question.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from akash_gradio.compare.ranking import Ranking, rank
from akash_gradio.compare.votes.export import votes_csv, votes_json
from akash_gradio.compare.votes.store import Vote, VoteStore, VotesUnavailable, parse_votes
from akash_gradio.domain.errors import UserError
from akash_gradio.domain.visitor import ANONYMOUS, CURRENT_VISITOR
from akash_gradio.web.context import AppContext
from akash_gradio.web.page_route import PageAddress, read_body
from akash_gradio.web.ranking_view import ranking_view
from akash_gradio.web.templating import piece

MOST_AT_ONCE = 6
"""Votes of one question: each pair of four lanes."""
MOST_A_MINUTE: Final = 60
"""Votes of one visitor that are kept."""
MOST_OF_HOUSEHOLD: Final = 600
"""The same of everybody behind one address: a new cookie is no new visitor there."""
RANKING_S: Final = 5.0
"""For so many seconds the ranking of everybody's votes is not worked out again."""


def vote_routes(house: AppContext, clock: Callable[[], float] = time.monotonic) -> list[BaseRoute]:
    """Every address that votes have. clock: monotonic seconds."""
    tables = _Tables(clock, RANKING_S if house.votes is not None else 0.0)
    minute = _Minute(clock)

    async def cast(request: Request) -> ASGIApp:
        votes = _votes(await read_body(request))
        if len(votes) > MOST_AT_ONCE:
            raise UserError("invalid_request", {"detail": f"votes: {MOST_AT_ONCE} at once"})
        if house.votes is not None:
            _check_models(house, votes)
            minute.take(len(votes))
            await _keep(house.votes, map(_signed, votes))
        return JSONResponse({"kept": house.votes is not None})

    async def table(request: Request) -> ASGIApp:
        votes = await _all(house, await read_body(request))
        _, ranking = await tables.of(votes)
        view = ranking_view(ranking, house.name_of, kept=house.votes is not None)
        return JSONResponse({"html": piece("ranking", ranking=view)})

    async def export(request: Request) -> ASGIApp:
        votes = await _all(house, await read_body(request))
        if request.path_params["form"] == "csv":
            return JSONResponse({"text": votes_csv(votes)})
        return JSONResponse({"text": votes_json(*await tables.of(votes))})

    return [
        Route("/page/compare/votes", PageAddress(cast), methods=["POST"]),
        Route("/page/compare/ranking", PageAddress(table), methods=["POST"]),
        Route("/page/compare/export/{form}", PageAddress(export), methods=["POST"]),
    ]


class _Tables:
    """The table of the same votes is worked out once, and kept for hold_s seconds. Live state."""

    def __init__(self, clock: Callable[[], float], hold_s: float) -> None:
        self._clock, self._hold_s, self._until = clock, hold_s, 0.0
        self._votes: tuple[Vote, ...] = ()
        self._ranking: asyncio.Future[Ranking] | None = None

    async def of(self, votes: tuple[Vote, ...]) -> tuple[tuple[Vote, ...], Ranking]:
        """The votes that were ranked, and their ranking."""
        if self._ranking is None or (votes != self._votes and self._clock() >= self._until):
            self._votes, self._until = votes, self._clock() + self._hold_s
            self._ranking = asyncio.ensure_future(asyncio.to_thread(rank, votes))
        ranked = self._votes
        return ranked, await asyncio.shield(self._ranking)


class _Minute:
    """Who cast how many votes in the last minute. Live state."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._cast: deque[tuple[float, str, str, int]] = deque()

    def take(self, votes: int) -> None:
        """So many more of the visitor who asks. Raises UserError."""
        now, visitor = self._clock(), CURRENT_VISITOR.get()
        while self._cast and self._cast[0][0] <= now - 60:
            self._cast.popleft()
        own = sum(count for _, whose, _, count in self._cast if whose == visitor.id)
        near = sum(count for _, _, where, count in self._cast if where == visitor.network)
        if own + votes > MOST_A_MINUTE or (visitor.network and near + votes > MOST_OF_HOUSEHOLD):
            raise UserError("too_many_votes", {"limit": str(MOST_A_MINUTE)}, 429)
        self._cast.append((now, visitor.id, visitor.network, votes))


def _check_models(house: AppContext, votes: Iterable[Vote]) -> None:
    """Raises UserError where a vote is about a model that nobody knows here."""
    named = {label.partition(", ")[0] for vote in votes for label in (vote.a, vote.b)}
    served = {listing.card.id for listing in house.listings()}
    if any(model not in served and house.catalog.get(model) is None for model in named):
        raise UserError("vote_unknown_model", status=404)


def _signed(vote: Vote) -> Vote:
    """The vote under the id by which the server knows its visitor, not one that was sent."""
    visitor = CURRENT_VISITOR.get().id
    return vote if visitor == ANONYMOUS.id else replace(vote, visitor=visitor)


def _votes(body: bytes) -> tuple[Vote, ...]:
    """The votes of `{"votes": […]}`. Raises UserError."""
    try:
        sent: Any = json.loads(body)["votes"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError("invalid_request", {"detail": '{"votes": […]}'}) from None
    return sent_votes(sent)


def sent_votes(sent: Any) -> tuple[Vote, ...]:
    """Votes from parsed JSON. Raises UserError."""
    try:
        return parse_votes(sent)
    except (ValueError, TypeError) as error:
        raise UserError("invalid_request", {"detail": f"votes: {error}"}) from None


async def _all(house: AppContext, body: bytes) -> tuple[Vote, ...]:
    if house.votes is None:
        return _votes(body)
    try:
        return await house.votes.all()
    except VotesUnavailable:
        raise UserError("votes_unavailable", status=503) from None


async def _keep(store: VoteStore, votes: Iterable[Vote]) -> None:
    try:
        for vote in votes:
            await store.add(vote)
    except VotesUnavailable:
        raise UserError("votes_unavailable", status=503) from None
