"""Routes of the gallery: the models with their cards, a model's panel, and thumbnails."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from akash_gradio.catalog.listing import Listing
from akash_gradio.domain.errors import UnknownModel
from akash_gradio.domain.model import ModelCard
from akash_gradio.web import texts
from akash_gradio.web.card_view import card_view, panel_view
from akash_gradio.web.deps import CatalogView, PageDeps
from akash_gradio.web.page_route import get
from akash_gradio.web.responses import compressed, not_modified
from akash_gradio.web.templating import card_html, notice_html, panel_html

CARDS_AT_ONCE: Final = 20
"""Cards that are rendered before other requests have their turn."""
_PICTURE_HEADERS: Final = {
    "cache-control": "max-age=3600",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "x-content-type-options": "nosniff",
}


class ModelRoutes:
    """`page/models`, `page/panel` and `page/thumbnail`."""

    def __init__(self, deps: PageDeps) -> None:
        self._deps = deps
        self._building: asyncio.Task[dict[str, Any]] | None = None

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the gallery."""
        return [
            get("/page/models", self.models),
            get("/page/panel", self.panel),
            get("/page/thumbnail/{theme}", self.thumbnail),
        ]

    async def models(self, request: Request) -> ASGIApp:
        """Return the models, their cards and the notices; 304 if nothing changed."""
        response = JSONResponse(await self._models_view())
        return await compressed(request, not_modified(request, response))

    async def _models_view(self) -> dict[str, Any]:
        """Return the models; requests at the same time share one view."""
        if self._building is None or self._building.done():
            self._building = asyncio.create_task(models_view(self._deps))
        return await asyncio.shield(self._building)

    async def panel(self, request: Request) -> ASGIApp:
        """Return a model's panel as HTML."""
        listing = find_model(self._deps.models, request.query_params.get("model", ""))
        view = panel_view(listing, self._deps.models.health(listing.card.id))
        return JSONResponse({"html": panel_html(view)})

    async def thumbnail(self, request: Request) -> ASGIApp:
        """Return a model's picture, 404 for an unknown id: drawn pictures are cached in memory."""
        listing = find_model(self._deps.models, request.query_params.get("model", ""))
        dark = request.path_params["theme"] == "dark"
        picture = self._deps.thumbnails.picture(listing.card, dark=dark)
        return Response(picture.content, media_type=picture.media_type, headers=_PICTURE_HEADERS)


def find_model(models: CatalogView, model: str) -> Listing:
    """Return the visible model with this id.

    Raises:
        UnknownModel: There is none. The error contains at most 300 characters of the id.
    """
    listing = models.listing(model)
    if listing is None:
        raise UnknownModel(model[:300])
    return listing


async def models_view(deps: PageDeps) -> dict[str, Any]:
    """Return the models, their cards and the notices, as they are now.

    A card takes about 0.2 ms, and an endpoint may list thousands of models.
    """
    listings = deps.models.listings()
    models = []
    for number, listing in enumerate(listings, 1):
        if listing.shown:
            models.append(_model_view(deps.models, listing))
        if number % CARDS_AT_ONCE == 0:
            await asyncio.sleep(0)
    return {
        "models": models,
        "hidden": [
            {
                "name": listing.card.name,
                "reason": texts.UNAVAILABLE_REASONS.get(listing.reason, ""),
            }
            for listing in listings
            if not listing.shown
        ],
        "notices": [notice_html(notice) for notice in deps.notices.current()],
        "waking": any(model["state"] == "starting" for model in models)
        or deps.notices.is_loading(),
    }


def _model_view(models: CatalogView, listing: Listing) -> dict[str, Any]:
    card = card_view(listing, models.health(listing.card.id))
    return {
        "id": card.id,
        "name": card.name,
        "description": card.description,
        "state": card.state,
        "state_word": card.state_word,
        "can_chat": card.can_chat,
        "badges": card.badges[:2],
        "picture": card.picture,
        "picture_dark": card.picture_dark,
        "context_tokens": card.context_tokens,
        "reasoning": card.reasoning,
        "vision": card.vision,
        **_defaults(listing.card),
        "reasoning_efforts": listing.card.reasoning_efforts,
        "starters": listing.card.starters,
        "endpoints": [status.alias for status in listing.endpoints],
        "html": card_html(card),
    }


def _defaults(card: ModelCard) -> dict[str, Any]:
    """Return the catalog's values of the parameters that a visitor may set."""
    return {
        "temperature": card.temperature,
        "top_p": card.top_p,
        "max_tokens": card.max_tokens,
        "seed": card.seed,
        "stop": card.stop or None,
        "presence_penalty": card.presence_penalty,
        "frequency_penalty": card.frequency_penalty,
    }
