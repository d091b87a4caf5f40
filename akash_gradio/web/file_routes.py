"""Route that reads an attached PDF or picture; the server doesn't store the file."""

from __future__ import annotations

import dataclasses

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from akash_gradio.domain.size_limits import FILE_BYTES
from akash_gradio.files.reader import FileReader
from akash_gradio.web.page_route import for_client, post, read_body


class FileRoutes:
    """`page/file/pdf` and `page/file/picture`."""

    def __init__(self, files: FileReader) -> None:
        self._files = files

    def routes(self) -> list[BaseRoute]:
        """Return the routes of attached files."""
        return [post("/page/file/{kind}", self.read, accepts="application/octet-stream")]

    async def read(self, request: Request) -> ASGIApp:
        """Return a PDF's text, or a picture as a data URL."""
        content = await read_body(request, FILE_BYTES, error_code="file_too_large")
        is_pdf = request.path_params["kind"] == "pdf"
        read = self._files.read_pdf if is_pdf else self._files.read_picture
        return JSONResponse(dataclasses.asdict(await for_client(request, read(content))))
