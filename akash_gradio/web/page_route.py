"""One address of the page: what is asked is checked, and a fault becomes a sentence."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from akash_gradio.domain.errors import UserError
from akash_gradio.domain.visitor import CROSS_SITE_ALLOWED
from akash_gradio.web.errors import error_response
from akash_gradio.web.schemas import BODY_LIMIT_BYTES

Answer = Callable[[Request], Awaitable[ASGIApp]]


class PageAddress:
    """Runs one answer; a Fault becomes a sentence with its status.

    accepts: the media type of a POST. None that a plain form can send: an old browser has to
    ask first, then, before another website may send it in a visitor's name.
    """

    def __init__(self, answer: Answer, *, accepts: str = "application/json") -> None:
        self._answer, self._accepts = answer, accepts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, unless the visitor left before all was asked."""
        request = Request(scope, receive)
        try:
            _refuse_strangers(request, self._accepts)
            response = await self._answer(request)
        except UserError as error:
            response = error_response(error)
        except ClientDisconnect:
            return
        await response(scope, receive, send)


def _refuse_strangers(request: Request, accepts: str) -> None:
    """Other websites may not ask in a visitor's name: browsers say where a request comes from.

    Those that the host allows may; the edge marks them.
    Raises UserError.
    """
    ours = request.headers.get("sec-fetch-site", "none") in ("same-origin", "none")
    if not ours and not request.scope.get(CROSS_SITE_ALLOWED, False):
        raise UserError("cross_site", status=403)
    if request.method == "POST":
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != accepts:
            raise UserError("invalid_request", {"detail": f"Content-Type: {accepts}"}, 415)


async def read_body(request: Request, limit_bytes: int = BODY_LIMIT_BYTES) -> bytes:
    """The request's body. Raises UserError past the limit, before it is all in memory."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit_bytes:
            limit = f"{limit_bytes / 1_000_000:.1f}"
            raise UserError("chat_too_long", {"limit": limit}, 413)
        parts.append(part)
    return b"".join(parts)
