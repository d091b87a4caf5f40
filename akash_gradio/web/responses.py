"""Compresses responses that are built in memory, and adds ETags to them."""

from __future__ import annotations

import hashlib

from starlette.requests import Request
from starlette.responses import Response

from akash_gradio.http.compression import MIN_BYTES, choose_encoding, compress_off_loop


def not_modified(request: Request, response: Response) -> Response:
    """Add an ETag to the response, or return 304 if the browser has the same content.

    The browser's tag is searched for, not compared: proxies that compress prefix it with `W/`.
    """
    tag = f'"{hashlib.sha256(bytes(response.body)).hexdigest()[:24]}"'
    headers = {"etag": tag, "cache-control": "no-cache"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return response


async def compressed(request: Request, response: Response) -> Response:
    """Compress the response in place with an encoding that the browser accepts."""
    encoding = choose_encoding(request.headers.get("accept-encoding", ""))
    body = bytes(response.body)
    if encoding and len(body) >= MIN_BYTES:
        response.body = await compress_off_loop(body, encoding)
        response.headers["content-length"] = str(len(response.body))
        response.headers["content-encoding"] = encoding
        response.headers["vary"] = "accept-encoding"
    return response
