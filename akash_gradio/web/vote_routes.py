"""Routes of votes: casting them, their ranking, and exporting both.

If the operator stores no votes, the browser keeps its own and sends them with each request.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from akash_gradio.compare.ranking import Ranking, rank
from akash_gradio.compare.votes.export import votes_csv, votes_json
from akash_gradio.compare.votes.store import Vote, VoteStore
from akash_gradio.domain.errors import LimitReached, UserError
from akash_gradio.domain.size_limits import SMALL_BODY_BYTES, VOTES_BODY_BYTES
from akash_gradio.domain.visitor import ANONYMOUS, CURRENT_VISITOR
from akash_gradio.quota.counters import DAY_S
from akash_gradio.quota.limiter import RateLimit
from akash_gradio.web.deps import CatalogView, CompareDeps
from akash_gradio.web.page_route import post, read_body, run_for_client
from akash_gradio.web.ranking_view import ranking_view
from akash_gradio.web.schemas import parse_vote_body
from akash_gradio.web.templating import render_template
from akash_gradio.web.worker_jobs import export_votes, rank_votes

MAX_VOTES_PER_REQUEST: Final = 6
"""One prompt gives at most one vote for each pair of four lanes."""
VOTE_LIMIT: Final = RateLimit("votes", limit=60)
"""Stored votes of one visitor per minute."""
DAILY_VOTE_LIMIT: Final = RateLimit("votes-of-a-day", limit=500, window_s=DAY_S)
"""Stored votes of one visitor per day: votes are never deleted, and each ranking reads them all."""
RANKING_MAX_AGE_S: Final = 5.0
"""The ranking of stored votes is computed at most this often."""


class VoteRoutes:
    """`page/compare/votes`, `page/compare/ranking` and `page/compare/export`.

    Args:
        deps: The vote store, the models, and what runs CPU work.
        clock: Monotonic seconds.
    """

    def __init__(self, deps: CompareDeps, clock: Callable[[], float] = time.monotonic) -> None:
        self._models, self._store = deps.models, deps.votes
        self._rankings = _RankingCache(clock)
        self._limiter, self._work = deps.limiter, deps.work

    def routes(self) -> list[BaseRoute]:
        """Return the routes of votes."""
        return [
            post("/page/compare/votes", self.cast),
            post("/page/compare/ranking", self.ranking),
            post("/page/compare/export/{form}", self.export),
        ]

    async def cast(self, request: Request) -> ASGIApp:
        """Store votes, unless each browser keeps its own."""
        votes = parse_vote_body(await read_body(request, SMALL_BODY_BYTES))
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
        body = await read_body(request, VOTES_BODY_BYTES)
        if self._store is None:
            ranking = await run_for_client(request, self._work, rank_votes, body)
        else:
            _, ranking = await self._rankings.get(await self._store.all())
        view = ranking_view(ranking, self._models.display_name, stored=self._store is not None)
        return JSONResponse({"html": render_template("ranking", ranking=view)})

    async def export(self, request: Request) -> ASGIApp:
        """Return the votes as CSV, or the votes and their ranking as JSON."""
        body, form = await read_body(request, VOTES_BODY_BYTES), request.path_params["form"]
        if self._store is None:
            text = await run_for_client(request, self._work, export_votes, body, form)
        elif form == "csv":
            text = await self._work.in_slow_thread(votes_csv, await self._store.all())
        else:
            ranked = await self._rankings.get(await self._store.all())
            text = await self._work.in_slow_thread(votes_json, *ranked)
        return JSONResponse({"text": text})

    async def _count(self, votes: int) -> None:
        """Count votes of the current visitor, or raise `UserError`."""
        for limit, code in (
            (DAILY_VOTE_LIMIT, "too_many_votes_today"),
            (VOTE_LIMIT, "too_many_votes"),
        ):
            try:
                await self._limiter.admit_visitor(limit, CURRENT_VISITOR.get(), amount=votes)
            except LimitReached as error:
                raise UserError(code, {"limit": str(error.limit)}, 429) from None


class _RankingCache:
    """Caches the ranking of the stored votes, for at least `RANKING_MAX_AGE_S`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._expires = clock, 0.0
        self._votes: tuple[Vote, ...] = ()
        self._ranking: asyncio.Future[Ranking] | None = None

    async def get(self, votes: tuple[Vote, ...]) -> tuple[tuple[Vote, ...], Ranking]:
        """Return the votes that were ranked, and their ranking."""
        if self._ranking is None or (votes != self._votes and self._clock() >= self._expires):
            self._votes, self._expires = votes, self._clock() + RANKING_MAX_AGE_S
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


async def _store_all(store: VoteStore, votes: Iterable[Vote]) -> None:
    for vote in votes:
        await store.add(vote)
