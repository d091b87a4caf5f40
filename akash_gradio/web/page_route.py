"""Routes of the page's API: each checks the origin and media type, and renders errors as JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from akash_gradio.domain.errors import UserError
from akash_gradio.domain.size_limits import CHAT_BODY_BYTES, PARSED_INLINE_BYTES
from akash_gradio.domain.visitor import CROSS_SITE_ALLOWED
from akash_gradio.http import body as http_body
from akash_gradio.http.asgi import media_type
from akash_gradio.http.disconnect import cancel_on_disconnect
from akash_gradio.web.errors import error_response
from akash_gradio.work.pool import WorkPool

Handler = Callable[[Request], Awaitable[ASGIApp]]
"""Returns the response to a request, or raises `UserError`."""
Params = ParamSpec("Params")
Result = TypeVar("Result")


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
            if isinstance(error, http_body.BodyError) or error.status == 413:
                response.headers["connection"] = "close"  # the rest of the body is unread
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
    request: Request, limit_bytes: int = CHAT_BODY_BYTES, *, error_code: str = "chat_too_long"
) -> bytes:
    """Read the request's body; it is counted until the response starts.

    Args:
        request: The request.
        limit_bytes: Largest accepted body.
        error_code: Code of the error for a larger one.

    Raises:
        UserError: `error_code`, as soon as more than the limit arrived.
        BodyError: The body arrived too slowly, or all bodies together are too large.
        ClientDisconnected: The client closed the connection.
    """
    try:
        return await http_body.read_body(
            request.receive,
            limit_bytes=limit_bytes,
            content_length=request.headers.get("content-length", ""),
            lease=request.scope.get(http_body.LEASE),
        )
    except http_body.BodyTooLarge as error:
        raise UserError(error_code, error.facts, 413) from None


async def read_parsed(
    request: Request,
    work: WorkPool,
    parse: Callable[[bytes], Result],
    limit_bytes: int = CHAT_BODY_BYTES,
) -> Result:
    """Read the request's body and parse it, in a worker if it is long.

    Args:
        request: The request.
        work: Runs the parser.
        parse: A function of a module; it may raise `UserError`.
        limit_bytes: Largest accepted body.

    Raises:
        UserError: The body is too large or invalid.
        ClientDisconnected: The client closed the connection.
    """
    body = await read_body(request, limit_bytes)
    if len(body) <= PARSED_INLINE_BYTES:
        return parse(body)
    return await run_for_client(request, work, parse, body)


async def run_for_client(
    request: Request,
    work: WorkPool,
    function: Callable[Params, Result],
    *args: Params.args,
    **kwargs: Params.kwargs,
) -> Result:
    """Run a function in a worker, and cancel it when the client disconnects.

    The request's body must have been read. See `WorkPool.run` for the function and the errors.

    Raises:
        ClientDisconnected: The client closed the connection.
    """
    return await for_client(request, work.run(function, *args, **kwargs))


async def for_client(request: Request, job: Coroutine[Any, Any, Result]) -> Result:
    """Await a job, and cancel it when the client disconnects.

    Raises:
        ClientDisconnected: The client closed the connection.
    """
    results: list[Result] = []

    async def run() -> None:
        results.append(await job)

    await cancel_on_disconnect(run(), request.receive)
    if not results:
        raise http_body.ClientDisconnected
    return results[0]
