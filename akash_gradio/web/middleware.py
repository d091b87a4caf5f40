"""Through here comes every request of the page. Pure ASGI, so that streams pass as they come.

What is refused is refused in this order: a foreign origin, too large a body, no session, an
address of Gradio's that the page doesn't use.
`/v1` and its neighbors have keys and limits of their own, and their bytes are not touched.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp

from akash_gradio.auth.sign_in import SignIn, turn_away
from akash_gradio.auth.visitors import Visitors
from akash_gradio.domain.visitor import ANONYMOUS, CROSS_SITE_ALLOWED, CURRENT_VISITOR
from akash_gradio.http import security_headers
from akash_gradio.http.asgi import (
    Message,
    Receive,
    Scope,
    Send,
    answer,
    answer_json,
    header,
    is_https,
)
from akash_gradio.http.body import Body, TooLarge, Unfit, check_length, limit_of, read_away
from akash_gradio.http.compression import MIN_BYTES, choose_encoding, compress
from akash_gradio.http.origins import is_foreign, is_invited
from akash_gradio.http.shutdown import Running

logger = logging.getLogger(__name__)

API: Final = "/v1/"
NUMBERS: Final = frozenset({"/healthz", "/metrics"})
OPEN: Final = "/page/assets/"
"""What the sign-in page needs: public files."""
REPORTS: Final = ("/page/sets/", "/page/compare/")
STARTS_UP: Final = "/gradio_api/startup-events"
UNUSED: Final = ("/gradio_api/", "/monitoring")
"""Gradio's addresses that the page never asks: uploads, files, proxies, queues, endless streams."""
INFO: Final = "/gradio_api/info"
"""But for this one: a Space's own page reads it, and it says that there is nothing to call."""
Say = Callable[..., dict[str, object]]
"""Returns the JSON of an error, by its code and facts; see `web.errors.error_body`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the host allows. allowed_origins: lower case, beside the page's own.

    frame_ancestors: as in a Content-Security-Policy, beside the page's own host.
    """

    allowed_origins: frozenset[str] = frozenset()
    frame_ancestors: str = "https://huggingface.co"


class SecurityMiddleware:
    """The middleware. say: the words of a refusal, which belong to the page."""

    def __init__(
        self,
        app: ASGIApp,
        rules: Rules,
        say: Say,
        running: Running,
        visitors: Visitors,
        sign_in: SignIn,
        finish: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self._finish = finish
        self._app, self._rules, self._say, self._running = app, rules, say, running
        self._visitors, self._sign_in = visitors, sign_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, from its refusal or to its end."""
        if scope["type"] == "websocket":  # the page opens none
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if is_foreign(scope, self._rules.allowed_origins):
            logger.debug("edge.refused", extra={"outcome": "cross_site"})
            await read_away(receive)
            await self._refuse(send, 403, "cross_site")
        elif scope["method"] != "POST":
            await self._pass(scope, receive, send)
        elif self._running.closing:
            await read_away(receive)
            await self._refuse(send, 503, "shutting_down")
        else:
            with self._running.answer():
                await self._pass(scope, receive, send)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith(API) or scope["path"] in NUMBERS:
            CURRENT_VISITOR.set(ANONYMOUS)  # the API knows its callers by their keys
            await self._app(scope, receive, send)
            return
        scope = {**scope, CROSS_SITE_ALLOWED: is_invited(scope, self._rules.allowed_origins)}
        limit = limit_of(scope["path"])
        body = Body(receive, limit)
        dressed = SecuredResponse(scope, send, self._rules, body, self._visitors, self._finish)
        try:
            check_length(scope, limit)
            await self._enter(scope, body.receive, dressed.send)
        except Exception as error:
            fault = error if isinstance(error, Unfit) else body.fault
            if fault is None:
                raise
        else:
            fault = body.fault
        if fault is not None and not dressed.begun:
            await self._give_up(dressed.of_edge, fault)

    async def _enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        """On to the page, for whoever may; nobody is let through unknown."""
        entry, path = self._sign_in.entry, scope["path"]
        session = entry.session(scope)
        CURRENT_VISITOR.set(self._visitors.visitor(scope, session.user if session else ""))
        if self._sign_in.answers(path):
            await self._sign_in(scope, receive, send)
        elif not (entry.lets_in(scope) or path.startswith(OPEN) or _starts_up(scope)):
            await turn_away(scope, send, self._say("sign_in_required"))
        elif path.startswith(UNUSED) and path != INFO and not _starts_up(scope):
            await answer(send, 404, b"", "text/plain")
        else:
            await self._app(scope, receive, send)

    async def _give_up(self, send: Send, fault: Unfit) -> None:
        """Close the connection after it: the rest of the body isn't read."""
        if isinstance(fault, TooLarge):
            await self._refuse(send, 413, "body_too_large", limit=f"{fault.limit / 1_000_000:.1f}")
        else:
            await self._refuse(send, 408, "body_too_slow")

    async def _refuse(self, send: Send, status: int, kind: str, **facts: str) -> None:
        closing = [("connection", "close")]
        await answer_json(send, status, self._say(kind, **facts), closing)


class SecuredResponse:
    """Live: sends an answer on with the page's headers. begun: its status is out.

    An answer to a body that was given up goes nowhere; the edge has its own.
    HTML is held until it is whole, because its policy names its scripts; nothing else is, and
    no report, which has none and may be long.
    """

    def __init__(
        self,
        scope: Scope,
        send: Send,
        rules: Rules,
        body: Body,
        visitors: Visitors,
        finish: Callable[[bytes], bytes],
    ) -> None:
        self._finish = finish
        self._scope, self._send, self._rules, self._body = scope, send, rules, body
        self._visitors = visitors
        self._https = is_https(scope)
        path = scope["path"]
        self._is_report = path.startswith(REPORTS)
        self._is_private = path.startswith("/page/") and not path.startswith(OPEN)
        self.begun = False
        self._start: Message | None = None
        self._html: list[bytes] = []

    async def send(self, message: Message) -> None:
        """In the place of the server's."""
        if self._body.fault is None or self.begun:
            await self.of_edge(message)

    async def of_edge(self, message: Message) -> None:
        """The same for what the edge itself says."""
        if message["type"] == "http.response.start":
            self.begun = True
            if _kind(message) == b"text/html" and not self._is_report:
                self._start = message
                return
            message = {**message, "headers": self._headers(message)}
        elif self._start is not None:
            self._html.append(message.get("body", b""))
            if message.get("more_body", False):
                return
            html, start, self._start = self._finish(b"".join(self._html)), self._start, None
            policy_of_page = security_headers.page_policy(html, self._rules.frame_ancestors)
            headers = [*self._headers(start), (b"content-security-policy", policy_of_page)]
            html, headers = _packed(html, headers, header(self._scope, "accept-encoding"))
            cookie = self._visitors.new_cookie(self._scope)
            if cookie is not None:
                headers.append((cookie[0].encode(), cookie[1].encode()))
                if all(name.lower() != security_headers.PRIVATE[0] for name, _ in headers):
                    headers.append(security_headers.PRIVATE)
            await self._send({**start, "headers": headers})
            message = {"type": "http.response.body", "body": html}
        await self._send(message)

    def _headers(self, message: Message) -> list[tuple[bytes, bytes]]:
        given = list(message.get("headers", ()))
        names = {name.lower() for name, _ in given}
        more = list(security_headers.ALWAYS)
        if self._https:
            more.append(security_headers.HSTS)
        if self._is_private:  # unless it says itself who may keep it
            more.append(security_headers.NO_STORE)
        kind = _kind(message)
        if kind == b"text/event-stream":
            more.append((b"x-accel-buffering", b"no"))
        elif kind == b"image/svg+xml" or (kind == b"text/html" and self._is_report):
            more.append(security_headers.STILL)
        return [*given, *((name, value) for name, value in more if name not in names)]


def _packed(
    html: bytes, headers: list[tuple[bytes, bytes]], accepted: str
) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """The page as this browser takes it, with the headers that say so."""
    encoding = choose_encoding(accepted) if len(html) >= MIN_BYTES else ""
    said = [pair for pair in headers if pair[0].lower() != b"content-length"]
    if encoding:
        html = compress(html, encoding)
        said += [(b"content-encoding", encoding.encode()), (b"vary", b"accept-encoding")]
    return html, [*said, (b"content-length", str(len(html)).encode())]


def _starts_up(scope: Scope) -> bool:
    """Gradio asks itself, from this machine, whether it has started."""
    client = scope.get("client")
    at_home = client is not None and client[0] in ("127.0.0.1", "::1")
    asks = scope["path"] == STARTS_UP and scope["method"] == "GET"
    return at_home and asks and not header(scope, "x-forwarded-for")


def _kind(message: Message) -> bytes:
    found = (v for name, v in message.get("headers", ()) if name.lower() == b"content-type")
    return bytes(next(found, b"")).partition(b";")[0].strip().lower()
