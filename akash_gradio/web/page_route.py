"""One address of the page: what is asked is checked, and a fault becomes a sentence."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from akash_gradio.domain.visitor import CROSS_SITE_ALLOWED
from akash_gradio.web import texts
from akash_gradio.web.schemas import BODY_LIMIT_BYTES, Fault

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
        except Fault as fault:
            response = failure(texts.REQUEST_ERRORS[fault.kind], fault.status, **fault.facts)
        except ClientDisconnect:
            return
        await response(scope, receive, send)


def _refuse_strangers(request: Request, accepts: str) -> None:
    """Other websites may not ask in a visitor's name: browsers say where a request comes from.

    Those that the host allows may; the edge marks them.
    Raises Fault.
    """
    ours = request.headers.get("sec-fetch-site", "none") in ("same-origin", "none")
    if not ours and not request.scope.get(CROSS_SITE_ALLOWED, False):
        raise Fault("stranger", 403)
    if request.method == "POST":
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != accepts:
            raise Fault("shape", 415, mend=f"Content-Type: {accepts}")


def failure(text: texts.ErrorText, status: int, **facts: str) -> JSONResponse:
    """An error as the page shows it: `{"error": {title, mend, details, retry}}`."""
    view = {"title": text.title.format(**facts), "mend": text.mend.format(**facts), "details": ""}
    return JSONResponse({"error": {**view, "retry": False}}, status_code=status)


async def read_body(request: Request, limit_bytes: int = BODY_LIMIT_BYTES) -> bytes:
    """The request's body. Raises Fault past the limit, before it is all in memory."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit_bytes:
            limit = f"{limit_bytes / 1_000_000:.1f}"
            raise Fault("chat_too_long", 413, limit=limit)
        parts.append(part)
    return b"".join(parts)
