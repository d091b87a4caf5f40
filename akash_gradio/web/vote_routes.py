"""Routes of votes: casting them, their ranking, and exporting both.

If the operator stores no votes, the browser keeps its own and sends them with each request.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from akash_gradio.compare.ranking import Ranking, rank
from akash_gradio.compare.votes.export import votes_csv, votes_json
from akash_gradio.compare.votes.store import Vote, VoteStore, parse_votes
from akash_gradio.domain.errors import LimitReached, UserError
from akash_gradio.domain.visitor import ANONYMOUS, CURRENT_VISITOR
from akash_gradio.quota.limiter import RateLimit
from akash_gradio.web.deps import CatalogView, CompareDeps
from akash_gradio.web.page_route import post, read_body
from akash_gradio.web.ranking_view import ranking_view
from akash_gradio.web.templating import render_template

MAX_VOTES_PER_REQUEST: Final = 6
"""One prompt gives at most one vote for each pair of four lanes."""
VOTE_LIMIT: Final = RateLimit("votes", limit=60)
"""Stored votes of one visitor per minute."""
RANKING_MAX_AGE_S: Final = 5.0
"""The ranking of stored votes is computed at most this often."""


class VoteRoutes:
    """`page/compare/votes`, `page/compare/ranking` and `page/compare/export`.

    Args:
        deps: The vote store and the models.
        clock: Monotonic seconds.
    """

    def __init__(self, deps: CompareDeps, clock: Callable[[], float] = time.monotonic) -> None:
        self._models, self._store = deps.models, deps.votes
        self._rankings = _RankingCache(clock, RANKING_MAX_AGE_S if deps.votes else 0.0)
        self._limiter = deps.limiter

    def routes(self) -> list[BaseRoute]:
        """Return the routes of votes."""
        return [
            post("/page/compare/votes", self.cast),
            post("/page/compare/ranking", self.ranking),
            post("/page/compare/export/{form}", self.export),
        ]

    async def cast(self, request: Request) -> ASGIApp:
        """Store votes, unless each browser keeps its own."""
        votes = _parse_votes(await read_body(request))
        if len(votes) > MAX_VOTES_PER_REQUEST:
            detail = f"votes: at most {MAX_VOTES_PER_REQUEST} in a request"
            raise UserError("invalid_request", {"detail": detail})
        if self._store is not None:
            _check_models(self._models, votes)
            await self._count(len(votes))
            await _store_all(self._store, map(_with_visitor, votes))
        return JSONResponse({"kept": self._store is not None})

    async def ranking(self, request: Request) -> ASGIApp:
        """Return the ranking as HTML."""
        votes = await self._votes(await read_body(request))
        _, ranking = await self._rankings.get(votes)
        view = ranking_view(ranking, self._models.display_name, stored=self._store is not None)
        return JSONResponse({"html": render_template("ranking", ranking=view)})

    async def export(self, request: Request) -> ASGIApp:
        """Return the votes as CSV, or the votes and their ranking as JSON."""
        votes = await self._votes(await read_body(request))
        if request.path_params["form"] == "csv":
            return JSONResponse({"text": votes_csv(votes)})
        return JSONResponse({"text": votes_json(*await self._rankings.get(votes))})

    async def _count(self, votes: int) -> None:
        """Count votes of the current visitor, or raise `UserError`."""
        try:
            await self._limiter.admit_visitor(VOTE_LIMIT, CURRENT_VISITOR.get(), amount=votes)
        except LimitReached as error:
            raise UserError("too_many_votes", {"limit": str(error.limit)}, 429) from None

    async def _votes(self, body: bytes) -> tuple[Vote, ...]:
        """Return all stored votes, or those in the request if none are stored."""
        if self._store is None:
            return _parse_votes(body)
        return await self._store.all()


class _RankingCache:
    """Caches the latest ranking until the votes change, and for at least `max_age_s`."""

    def __init__(self, clock: Callable[[], float], max_age_s: float) -> None:
        self._clock, self._max_age_s, self._expires = clock, max_age_s, 0.0
        self._votes: tuple[Vote, ...] = ()
        self._ranking: asyncio.Future[Ranking] | None = None

    async def get(self, votes: tuple[Vote, ...]) -> tuple[tuple[Vote, ...], Ranking]:
        """Return the votes that were ranked, and their ranking."""
        if self._ranking is None or (votes != self._votes and self._clock() >= self._expires):
            self._votes, self._expires = votes, self._clock() + self._max_age_s
            self._ranking = asyncio.ensure_future(asyncio.to_thread(rank, votes))
        ranked = self._votes
        return ranked, await asyncio.shield(self._ranking)


def _check_models(models: CatalogView, votes: Iterable[Vote]) -> None:
    """Raise `UserError` if a vote names a model that isn't known here."""
    named = {label.partition(", ")[0] for vote in votes for label in (vote.a, vote.b)}
    if not all(models.is_known(model) for model in named):
        raise UserError("vote_unknown_model", status=404)


def _with_visitor(vote: Vote) -> Vote:
    """Return the vote with the server's id of the visitor instead of the one that was sent."""
    visitor = CURRENT_VISITOR.get().id
    return vote if visitor == ANONYMOUS.id else replace(vote, visitor=visitor)


def _parse_votes(body: bytes) -> tuple[Vote, ...]:
    """Parse `{"votes": […]}`, or raise `UserError`."""
    try:
        items: Any = json.loads(body)["votes"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError("invalid_request", {"detail": '{"votes": […]}'}) from None
    return parse_vote_list(items)


def parse_vote_list(items: Any) -> tuple[Vote, ...]:
    """Parse votes from decoded JSON.

    Raises:
        UserError: `invalid_request`.
    """
    try:
        return parse_votes(items)
    except (ValueError, TypeError) as error:
        raise UserError("invalid_request", {"detail": f"votes: {error}"}) from None


async def _store_all(store: VoteStore, votes: Iterable[Vote]) -> None:
    for vote in votes:
        await store.add(vote)
