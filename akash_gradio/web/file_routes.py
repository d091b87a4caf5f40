"""Route that reads an attached PDF or picture; nothing of the file is kept."""

from __future__ import annotations

import dataclasses
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from akash_gradio.domain.errors import UserError
from akash_gradio.files.reader import FILE_LIMIT_BYTES, FileReader, UnreadableFile
from akash_gradio.web.page_route import post, read_body

ERROR_CODES: Final = {
    "broken": "file_damaged",
    "locked": "file_locked",
    "no_text": "file_without_text",
    "not_picture": "file_not_picture",
    "too_many_pixels": "file_too_many_pixels",
    "too_heavy": "file_too_heavy",
    "busy": "file_reader_busy",
}


class FileRoutes:
    """`page/file/pdf` and `page/file/picture`."""

    def __init__(self, files: FileReader) -> None:
        self._files = files

    def routes(self) -> list[BaseRoute]:
        """Return the routes of attached files."""
        return [post("/page/file/{kind}", self.read, accepts="application/octet-stream")]

    async def read(self, request: Request) -> ASGIApp:
        """Return a PDF's text, or a picture as a data URL."""
        content = await _read_file(request)
        is_pdf = request.path_params["kind"] == "pdf"
        read = self._files.read_pdf if is_pdf else self._files.read_picture
        try:
            result = await read(content)
        except UnreadableFile as error:
            raise UserError(ERROR_CODES[error.reason], status=422) from None
        return JSONResponse(dataclasses.asdict(result))


async def _read_file(request: Request) -> bytes:
    try:
        return await read_body(request, FILE_LIMIT_BYTES)
    except UserError as error:
        raise UserError("file_too_large", error.facts, error.status) from None
