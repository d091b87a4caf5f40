"""The page's own addresses, beside Gradio's: models, panels, pictures, answers.

All are below `page/`, relative to wherever the app is mounted, and none keeps anything
of a visitor: what an answer needs travels with its request, so that any replica can give it.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from akash_gradio import __version__
from akash_gradio.compare.run_store import RunStore
from akash_gradio.config.paths import ASSETS
from akash_gradio.domain.chat import ChatRequest
from akash_gradio.domain.errors import UserError
from akash_gradio.domain.model import ModelCard
from akash_gradio.http.compression import MIN_BYTES, choose_encoding, compress
from akash_gradio.markdown.diagrams import mermaid_script
from akash_gradio.markdown.renderer import render
from akash_gradio.web import texts, views
from akash_gradio.web.check_routes import check_routes
from akash_gradio.web.compare_routes import compare_routes
from akash_gradio.web.context import AppContext
from akash_gradio.web.event_stream import EventStream
from akash_gradio.web.file_routes import check_vision, file_routes
from akash_gradio.web.notices import host_notices
from akash_gradio.web.page_assets import kept_routes
from akash_gradio.web.page_route import PageAddress, read_body
from akash_gradio.web.reply_view import reply
from akash_gradio.web.schemas import read_go_on, read_render, read_reply
from akash_gradio.web.set_routes import set_routes
from akash_gradio.web.templating import card_html, notice_html, panel_html

LONG_BODY_BYTES: Final = 500_000


def page_routes(house: AppContext, runs: RunStore | None = None) -> list[BaseRoute]:
    """Every address of the page, to be put before Gradio's.

    runs: the house's, for who closes them; opened here otherwise.
    """

    async def models(request: Request) -> ASGIApp:
        return _packed(request, _unchanged(request, JSONResponse(models_view(house))))

    async def boot(request: Request) -> ASGIApp:
        return _packed(request, JSONResponse(boot_view(house, request.scope)))

    async def panel(request: Request) -> ASGIApp:
        model = request.query_params.get("model", "")
        listing = house.listing(model)
        if listing is None:
            raise _unknown(model)
        return JSONResponse({"html": panel_html(views.panel_view(listing, house.health(model)))})

    async def thumbnail(request: Request) -> ASGIApp:
        model = request.query_params.get("model", "")
        listing = house.listing(model)
        if listing is None:  # none is drawn for it: pictures are kept, and ids are without end
            raise _unknown(model)
        dark = request.path_params["theme"] == "dark"
        picture = house.thumbnails.picture(listing.card, dark=dark)
        headers = {"cache-control": "max-age=3600", **_PICTURE_HEADERS}
        return Response(picture.content, media_type=picture.media_type, headers=headers)

    async def answer(request: Request) -> ASGIApp:
        asked = await _asked(await read_body(request))
        if house.withheld(asked.model):
            raise _unknown(asked.model)
        check_vision(house, asked)
        return EventStream(
            reply(asked, house.answerer, name_of=house.name_of, cost_of=house.cost_of)
        )

    async def go_on(request: Request) -> ASGIApp:
        asked, before = read_go_on(await read_body(request))
        if house.withheld(asked.model):
            raise _unknown(asked.model)
        check_vision(house, asked)
        return EventStream(
            reply(
                asked,
                house.answerer,
                name_of=house.name_of,
                cost_of=house.cost_of,
                before=before,
            )
        )

    async def draw(request: Request) -> ASGIApp:
        texts = read_render(await read_body(request))
        # In a thread: a long chat takes a second to draw, and others wait for their tokens.
        return JSONResponse({"blocks": await asyncio.to_thread(_drawn, texts)})

    files = StaticFiles(directory=ASSETS)

    async def asset(request: Request) -> Response:
        # Not by a `Mount`: below a path that a proxy takes away, those find nothing.
        return await files.get_response(request.path_params["path"], request.scope)

    return [
        Route("/page/boot", PageAddress(boot), methods=["GET"]),
        Route("/page/models", PageAddress(models), methods=["GET"]),
        Route("/page/panel", PageAddress(panel), methods=["GET"]),
        Route("/page/thumbnail/{theme}", PageAddress(thumbnail), methods=["GET"]),
        Route("/page/reply", PageAddress(answer), methods=["POST"]),
        Route("/page/go-on", PageAddress(go_on), methods=["POST"]),
        Route("/page/render", PageAddress(draw), methods=["POST"]),
        *check_routes(house),
        *compare_routes(house),
        *file_routes(house),
        *set_routes(house, runs or house.open_run_store()),
        *kept_routes(),
        Route("/page/assets/{path:path}", asset),
    ]


async def _asked(body: bytes) -> ChatRequest:
    """What is asked; a chat with pictures is read in a thread: it takes a while."""
    if len(body) < LONG_BODY_BYTES:
        return read_reply(body)
    return await asyncio.to_thread(read_reply, body)


_PICTURE_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "x-content-type-options": "nosniff",
}


def boot_view(house: AppContext, scope: Scope) -> dict[str, Any]:
    """All that the script needs once: words, the model that is open at first, who asks."""
    host = house.is_operator(scope)
    aliases = (status.alias for status in house.answerer.endpoints())
    return {
        "strings": dict(texts.PAGE),
        "sets": dict(texts.SETS),
        "runs_kept": house.data_dir is not None,
        "default_model": house.default_model,
        "version": __version__,
        "diagrams": mermaid_script(),
        "ranges": dict(house.ranges),
        "host": host and house.desk is not None,
        "signed_in": house.signed_in(scope),
        "user": house.user(scope),
        "own_keys": {
            "mode": house.own_keys,
            "endpoints": [alias for alias in aliases if alias in house.own_key_endpoints],
        },
    }


def models_view(house: AppContext) -> dict[str, Any]:
    """The models, their cards and the notices, as they are now."""
    every = house.listings()
    listings = [listing for listing in every if listing.shown]
    cards = [views.card_view(listing, house.health(listing.card.id)) for listing in listings]
    return {
        "models": [
            {
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
            for card, listing in zip(cards, listings, strict=True)
        ],
        "hidden": [
            {"name": listing.card.name, "reason": texts.UNAVAILABLE_REASONS.get(listing.reason, "")}
            for listing in every
            if not listing.shown
        ],
        "notices": [notice_html(notice) for notice in _notices(house)],
        "waking": any(card.state == "starting" for card in cards) or _waking(house),
    }


def _defaults(card: ModelCard) -> dict[str, Any]:
    """The catalog's own values of the parameters that a visitor may set."""
    return {
        "temperature": card.temperature,
        "top_p": card.top_p,
        "max_tokens": card.max_tokens,
        "seed": card.seed,
        "stop": card.stop or None,
        "presence_penalty": card.presence_penalty,
        "frequency_penalty": card.frequency_penalty,
    }


def _notices(house: AppContext) -> tuple[views.Notice, ...]:
    endpoints = house.answerer.endpoints()
    told = views.notices(house.problems, endpoints, house.progress())
    hosts = host_notices(endpoints, house.secrets, space=house.space, alone=house.alone())
    return (*hosts, *told)


def _waking(house: AppContext) -> bool:
    progress = house.progress()
    return progress is not None and progress.stage not in ("ready", "unavailable")


def _drawn(texts: list[str]) -> list[tuple[str, ...]]:
    return [render(text) for text in texts]


def _unknown(model: str) -> UserError:
    return UserError("model_not_found", {"model": model[:300]}, 404)


def _unchanged(request: Request, response: JSONResponse) -> Response:
    """304 when the browser has it already; proxies that compress put `W/` before the tag."""
    tag = f'"{hashlib.sha256(bytes(response.body)).hexdigest()[:24]}"'
    response.headers["etag"] = tag
    response.headers["cache-control"] = "no-cache"
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={"etag": tag, "cache-control": "no-cache"})
    return response


def _packed(request: Request, response: Response) -> Response:
    """The same in an encoding that the browser takes."""
    encoding, body = (
        choose_encoding(request.headers.get("accept-encoding", "")),
        bytes(response.body),
    )
    if encoding and len(body) >= MIN_BYTES:
        response.body = compress(body, encoding)
        response.headers["content-length"] = str(len(response.body))
        response.headers["content-encoding"] = encoding
        response.headers["vary"] = "accept-encoding"
    return response
