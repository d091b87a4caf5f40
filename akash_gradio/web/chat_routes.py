"""Routes of the chat: an answer, its continuation, and stored texts as HTML."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from akash_gradio.domain.chat import ChatRequest
from akash_gradio.domain.errors import UnknownModel, UserError
from akash_gradio.markdown.renderer import render
from akash_gradio.web.deps import CatalogView, ChatDeps
from akash_gradio.web.event_stream import EventStream
from akash_gradio.web.page_route import post, read_body
from akash_gradio.web.reply import reply
from akash_gradio.web.schemas import parse_continuation, parse_render, parse_reply

LONG_BODY_BYTES: Final = 500_000
"""A longer body, with pictures, is parsed in a thread: it would block the event loop."""


class ChatRoutes:
    """`page/reply`, `page/continue` and `page/render`."""

    def __init__(self, deps: ChatDeps) -> None:
        self._deps = deps

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the chat."""
        return [
            post("/page/reply", self.reply),
            post("/page/continue", self.continue_reply),
            post("/page/render", self.render),
        ]

    async def reply(self, request: Request) -> ASGIApp:
        """Stream an answer."""
        return self._stream(await _parse_reply(await read_body(request)))

    async def continue_reply(self, request: Request) -> ASGIApp:
        """Stream the rest of an interrupted answer; the patches contain all of it."""
        chat_request, beginning = parse_continuation(await read_body(request))
        return self._stream(chat_request, beginning)

    async def render(self, request: Request) -> ASGIApp:
        """Return the HTML blocks of stored texts."""
        texts = parse_render(await read_body(request))
        # In a thread: a long chat takes a second to render.
        return JSONResponse({"blocks": await asyncio.to_thread(_render_all, texts)})

    def _stream(self, request: ChatRequest, beginning: str = "") -> EventStream:
        models = self._deps.models
        if models.is_withheld(request.model):
            raise UnknownModel(request.model)
        check_vision(models, request)
        return EventStream(
            reply(
                request,
                self._deps.gateway,
                display_name=models.display_name,
                answer_cost=models.answer_cost,
                beginning=beginning,
            )
        )


def check_vision(models: CatalogView, request: ChatRequest) -> None:
    """Check that a model can read the pictures of a request, if there are any.

    Raises:
        UserError: `no_vision`.
    """
    if not request.conversation.has_pictures:
        return
    listing = models.listing(request.model)
    if listing is not None and not listing.card.vision:
        raise UserError("no_vision", {"model": listing.card.name}, 422)


async def _parse_reply(body: bytes) -> ChatRequest:
    if len(body) < LONG_BODY_BYTES:
        return parse_reply(body)
    return await asyncio.to_thread(parse_reply, body)


def _render_all(texts: list[str]) -> list[tuple[str, ...]]:
    return [render(text) for text in texts]
