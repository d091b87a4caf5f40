"""Files at the page: the address that reads a PDF or picture, and who may get pictures.

Nothing of a file is kept.
"""

from __future__ import annotations

import dataclasses

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from akash_gradio.domain.chat import ChatRequest
from akash_gradio.domain.errors import UserError
from akash_gradio.files.reader import FILE_LIMIT_BYTES, UnreadableFile
from akash_gradio.web.context import AppContext
from akash_gradio.web.page_route import PageAddress, read_body

ERROR_CODES = {
    "broken": "file_damaged",
    "locked": "file_locked",
    "no_text": "file_without_text",
    "not_picture": "file_not_picture",
    "too_many_pixels": "file_too_many_pixels",
    "too_heavy": "file_too_heavy",
    "busy": "file_reader_busy",
}


def file_routes(house: AppContext) -> list[BaseRoute]:
    """`page/file/pdf` and `page/file/picture`, to be put before Gradio's."""

    async def read(request: Request) -> ASGIApp:
        content = await _content(request)
        pdf = request.path_params["kind"] == "pdf"
        try:
            reading = house.files.read_pdf(content) if pdf else house.files.read_picture(content)
            found = await reading
        except UnreadableFile as error:
            raise UserError(ERROR_CODES[error.reason], status=422) from None
        return JSONResponse(dataclasses.asdict(found))

    address = PageAddress(read, accepts="application/octet-stream")
    return [Route("/page/file/{kind}", address, methods=["POST"])]


async def _content(request: Request) -> bytes:
    try:
        return await read_body(request, FILE_LIMIT_BYTES)
    except UserError as error:
        raise UserError("file_too_large", error.facts, error.status) from None


def check_vision(house: AppContext, asked: ChatRequest) -> None:
    """Raises UserError when there are pictures and the model has no eyes."""
    if not asked.conversation.has_pictures:
        return
    listing = house.listing(asked.model)
    if listing is not None and not listing.card.vision:
        raise UserError("no_vision", {"model": listing.card.name}, 422)
