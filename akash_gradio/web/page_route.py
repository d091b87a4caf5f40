"""Routes of the page's API: each checks the origin and media type, and renders errors as JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from akash_gradio.domain.errors import UserError
from akash_gradio.domain.visitor import CROSS_SITE_ALLOWED
from akash_gradio.http import body as http_body
from akash_gradio.http.asgi import media_type
from akash_gradio.web.errors import error_response
from akash_gradio.web.schemas import BODY_LIMIT_BYTES

Handler = Callable[[Request], Awaitable[ASGIApp]]
"""Returns the response to a request, or raises `UserError`."""


def get(path: str, handler: Handler) -> Route:
    """Return a route for GET requests."""
    return Route(path, PageHandler(handler), methods=["GET"])


def post(path: str, handler: Handler, *, accepts: str = "application/json") -> Route:
    """Return a route for POST requests whose body has the media type `accepts`."""
    return Route(path, PageHandler(handler, accepts=accepts), methods=["POST"])


class PageHandler:
    """An ASGI app around a handler. A `UserError` becomes a JSON response with its status.

    Args:
        handler: Handles the request.
        accepts: The media type of a POST. It must not be one that an HTML form can send: for any
            other type, browsers send a CORS preflight before a cross-site request.
    """

    def __init__(self, handler: Handler, *, accepts: str = "application/json") -> None:
        self._handler, self._accepts = handler, accepts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle the request; send nothing if the client disconnects before its body is read."""
        request = Request(scope, receive)
        try:
            _check_origin(request)
            _check_media_type(request, self._accepts)
            response = await self._handler(request)
        except UserError as error:
            response = error_response(error)
        except http_body.ClientDisconnected:
            return
        await response(scope, receive, send)


def _check_origin(request: Request) -> None:
    """Reject requests of other websites; the middleware marks those that are allowed.

    Raises:
        UserError: `cross_site`.
    """
    own_site = request.headers.get("sec-fetch-site", "none") in ("same-origin", "none")
    if not own_site and not request.scope.get(CROSS_SITE_ALLOWED, False):
        raise UserError("cross_site", status=403)


def _check_media_type(request: Request, accepts: str) -> None:
    if request.method == "POST" and media_type(request.headers.get("content-type", "")) != accepts:
        raise UserError("invalid_request", {"detail": f"Content-Type: {accepts}"}, 415)


async def read_body(
    request: Request, limit_bytes: int = BODY_LIMIT_BYTES, *, error_code: str = "chat_too_long"
) -> bytes:
    """Read the request's body.

    Args:
        request: The request.
        limit_bytes: Largest accepted body.
        error_code: Code of the error for a larger one.

    Raises:
        UserError: `error_code`, as soon as more than the limit arrived.
        ClientDisconnected: The client closed the connection.
    """
    try:
        return await http_body.read_body(request.receive, limit_bytes=limit_bytes)
    except http_body.BodyTooLarge:
        limit = f"{limit_bytes / 1_000_000:.1f}"
        raise UserError(error_code, {"limit": limit}, 413) from None
