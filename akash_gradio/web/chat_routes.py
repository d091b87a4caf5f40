"""Routes of the chat: an answer, its continuation, and stored texts as HTML."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from akash_gradio.domain.chat import ChatRequest
from akash_gradio.domain.errors import UnknownModel, UserError
from akash_gradio.web.deps import CatalogView, ChatDeps
from akash_gradio.web.event_stream import EventStream
from akash_gradio.web.page_route import post, read_body, read_parsed, run_for_client
from akash_gradio.web.reply import reply
from akash_gradio.web.schemas import parse_continuation, parse_reply
from akash_gradio.web.worker_jobs import render_json


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
        return self._stream(await read_parsed(request, self._deps.work, parse_reply))

    async def continue_reply(self, request: Request) -> ASGIApp:
        """Stream the rest of an interrupted answer; the patches contain all of it."""
        chat_request, beginning = await read_parsed(request, self._deps.work, parse_continuation)
        return self._stream(chat_request, beginning)

    async def render(self, request: Request) -> ASGIApp:
        """Return the HTML blocks of stored texts."""
        body = await read_body(request)
        blocks = await run_for_client(request, self._deps.work, render_json, body)
        return Response(blocks, media_type="application/json")

    def _stream(self, request: ChatRequest, beginning: str = "") -> EventStream:
        models = self._deps.models
        if models.is_withheld(request.model):
            raise UnknownModel(request.model)
        check_vision(models, request)
        return EventStream(
            reply(
                request,
                self._deps.gateway,
                self._deps.work,
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
