"""The security middleware that every request passes. It is plain ASGI, so streams aren't buffered.

Requests are refused in this order: cross-site requests, bodies that are too large, requests
without a session, paths of Gradio that the page doesn't use. `/v1`, `/healthz` and `/metrics`
have their own keys and limits, and their responses are not changed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from akash_gradio.auth.sign_in import SignIn, require_sign_in
from akash_gradio.auth.visitors import Visitors
from akash_gradio.domain.visitor import ANONYMOUS, CROSS_SITE_ALLOWED, CURRENT_VISITOR
from akash_gradio.http import security_headers
from akash_gradio.http.asgi import (
    ASGIApp,
    Message,
    Receive,
    Scope,
    Send,
    header,
    is_https,
    media_type,
    send_json,
    send_not_found,
)
from akash_gradio.http.body import (
    BodyError,
    BodyTooLarge,
    BoundedReceive,
    body_limit,
    check_content_length,
    drain_body,
)
from akash_gradio.http.compression import MIN_BYTES, choose_encoding, compress
from akash_gradio.http.locality import is_local_request
from akash_gradio.http.origins import is_allowed_origin, is_cross_site
from akash_gradio.http.shutdown import RunningRequests

logger = logging.getLogger(__name__)

API_PREFIX: Final = "/v1/"
API_PATHS: Final = frozenset({"/healthz", "/metrics"})
PUBLIC_PREFIX: Final = "/page/assets/"
"""Files that the sign-in page needs."""
REPORT_PREFIXES: Final = ("/page/sets/", "/page/compare/")
STARTUP_PATH: Final = "/gradio_api/startup-events"
"""Requested by Gradio itself, to check that its server has started."""
INFO_PATH: Final = "/gradio_api/info"
"""Requested by a Space's page on huggingface.co; it lists no endpoint that could be called."""
OPEN_PATHS: Final = frozenset(
    {"/", "/theme.css", "/favicon.ico", "/robots.txt", "/manifest.json", "/pwa_icon", INFO_PATH}
)
OPEN_PREFIXES: Final = ("/page/", "/assets/", "/static/")
"""With `OPEN_PATHS`, all that a browser requests. Gradio's other paths don't exist here:
uploads, files, proxies, queues, its configuration and its sign-in."""

RenderError = Callable[..., dict[str, object]]
"""Returns the JSON of an error, by its code and facts; see `web.errors.error_body`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginRules:
    """Other sites that may send requests to the page or show it in a frame.

    Attributes:
        allowed_origins: Origins in lower case, besides the page's own, whose pages may send
            requests.
        frame_ancestors: Sources, as in a Content-Security-Policy, besides the page's own host,
            that may show the page in a frame.
    """

    allowed_origins: frozenset[str] = frozenset()
    frame_ancestors: str = "https://huggingface.co"


class SecurityMiddleware:
    """Admits requests, and secures their responses."""

    def __init__(
        self,
        app: ASGIApp,
        rules: OriginRules,
        render_error: RenderError,
        running: RunningRequests,
        visitors: Visitors,
        sign_in: SignIn,
        transform_html: Callable[[bytes], bytes] = bytes,
    ) -> None:
        """Wrap an app; see `SecurityStack` for the parts."""
        self._app, self._rules, self._render_error = app, rules, render_error
        self._running, self._visitors, self._sign_in = running, visitors, sign_in
        self._transform_html = transform_html

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "websocket":  # the page opens none
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if is_cross_site(scope, self._rules.allowed_origins):
            logger.debug("request.refused", extra={"outcome": "cross_site"})
            await drain_body(receive)
            await self._refuse(send, 403, "cross_site")
        elif scope["method"] != "POST":
            await self._handle(scope, receive, send)
        elif self._running.closing:
            await drain_body(receive)
            await self._refuse(send, 503, "shutting_down")
        else:
            with self._running.track():
                await self._handle(scope, receive, send)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith(API_PREFIX) or scope["path"] in API_PATHS:
            CURRENT_VISITOR.set(ANONYMOUS)  # the API identifies its clients by their keys
            await self._app(scope, receive, send)
            return
        is_allowed = is_allowed_origin(scope, self._rules.allowed_origins)
        scope = {**scope, CROSS_SITE_ALLOWED: is_allowed}
        limit = body_limit(scope["path"])
        body = BoundedReceive(receive, limit)
        response = SecuredResponse(
            scope, send, self._rules, body, self._visitors, self._transform_html
        )
        error: BodyError | None
        try:
            check_content_length(scope, limit)
            await self._admit(scope, body, response.send)
        except Exception as exception:
            error = exception if isinstance(exception, BodyError) else body.error
            if error is None:
                raise
        else:
            error = body.error
        if error is not None and not response.started:
            await self._refuse_body(response.send_own, error)

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Identify the visitor, and pass the request on to the page if it is admitted."""
        sessions, path = self._sign_in.sessions, scope["path"]
        session = sessions.session(scope)
        visitor = self._visitors.visitor(scope, session.user if session else "")
        CURRENT_VISITOR.set(visitor)
        is_startup_check = _is_startup_check(scope)
        if self._sign_in.handles(path):
            await self._sign_in(scope, receive, send)
        elif not (sessions.admits(scope) or path.startswith(PUBLIC_PREFIX) or is_startup_check):
            await require_sign_in(scope, send, self._render_error("sign_in_required"))
        elif path in OPEN_PATHS or path.startswith(OPEN_PREFIXES) or is_startup_check:
            await self._app(scope, receive, send)
        else:
            await send_not_found(send)

    async def _refuse_body(self, send: Send, error: BodyError) -> None:
        if isinstance(error, BodyTooLarge):
            limit_mb = f"{error.limit / 1_000_000:.1f}"
            await self._refuse(send, 413, "body_too_large", limit=limit_mb)
        else:
            await self._refuse(send, 408, "body_too_slow")

    async def _refuse(self, send: Send, status: int, code: str, **facts: str) -> None:
        """Send an error and close the connection, since the body wasn't read to its end."""
        await send_json(send, status, self._render_error(code, **facts), [("connection", "close")])


class SecuredResponse:
    """Sends a response on with the page's security headers.

    If reading the request's body failed, the app's response is dropped and the middleware sends an
    error. HTML is buffered until it is complete, because its policy contains the hashes of its
    scripts. Nothing else is buffered, reports included: they have no scripts and can be long.

    Attributes:
        started: Whether the status was sent.
    """

    def __init__(
        self,
        scope: Scope,
        send: Send,
        rules: OriginRules,
        body: BoundedReceive,
        visitors: Visitors,
        transform_html: Callable[[bytes], bytes],
    ) -> None:
        self._scope, self._send, self._rules, self._body = scope, send, rules, body
        self._visitors, self._transform_html = visitors, transform_html
        self._is_https = is_https(scope)
        path = scope["path"]
        self._is_report = path.startswith(REPORT_PREFIXES)
        self._is_private = path.startswith("/page/") and not path.startswith(PUBLIC_PREFIX)
        self.started = False
        self._html_start: Message | None = None
        self._html: list[bytes] = []

    async def send(self, message: Message) -> None:
        """Send a message of the app."""
        if self._body.error is None or self.started:
            await self.send_own(message)

    async def send_own(self, message: Message) -> None:
        """Send a message of the middleware itself."""
        if message["type"] == "http.response.start":
            self.started = True
            if _media_type(message) == "text/html" and not self._is_report:
                self._html_start = message
                return
            message = {**message, "headers": self._secured_headers(message)}
        elif self._html_start is not None:
            self._html.append(message.get("body", b""))
            if message.get("more_body", False):
                return
            start, self._html_start = self._html_start, None
            headers, html = self._finish_html(start, b"".join(self._html))
            await self._send({**start, "headers": headers})
            message = {"type": "http.response.body", "body": html}
        await self._send(message)

    def _finish_html(self, start: Message, html: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """Return the headers and the body of a complete page."""
        html = self._transform_html(html)
        policy = security_headers.page_policy(html, self._rules.frame_ancestors)
        headers = [*self._secured_headers(start), (b"content-security-policy", policy)]
        headers = [(name, value) for name, value in headers if name.lower() != b"content-length"]
        encoding = choose_encoding(header(self._scope, "accept-encoding"))
        if encoding and len(html) >= MIN_BYTES:
            html = compress(html, encoding)
            headers += [(b"content-encoding", encoding.encode()), (b"vary", b"accept-encoding")]
        headers.append((b"content-length", str(len(html)).encode()))
        cookie = self._visitors.new_cookie(self._scope)
        if cookie is not None:
            headers.append((cookie[0].encode(), cookie[1].encode()))
            if all(name.lower() != security_headers.PRIVATE[0] for name, _ in headers):
                headers.append(security_headers.PRIVATE)
        return headers, html

    def _secured_headers(self, message: Message) -> list[tuple[bytes, bytes]]:
        headers = list(message.get("headers", ()))
        names = {name.lower() for name, _ in headers}
        secured = list(security_headers.ALWAYS)
        if self._is_https:
            secured.append(security_headers.HSTS)
        if self._is_private:  # unless the response has a policy of its own
            secured.append(security_headers.NO_STORE)
        content = _media_type(message)
        if content == "text/event-stream":
            secured.append((b"x-accel-buffering", b"no"))
        elif content == "image/svg+xml" or (content == "text/html" and self._is_report):
            secured.append(security_headers.STATIC_POLICY)
        return [*headers, *((name, value) for name, value in secured if name not in names)]


def _is_startup_check(scope: Scope) -> bool:
    """Return whether this is Gradio's own request, which comes from the address it goes to."""
    if scope["path"] != STARTUP_PATH or scope["method"] != "GET":
        return False
    client, server = scope.get("client"), scope.get("server")
    if header(scope, "x-forwarded-for") or client is None:
        return False
    return is_local_request(scope) or (server is not None and client[0] == server[0])


def _media_type(message: Message) -> str:
    for name, value in message.get("headers", ()):
        if name.lower() == b"content-type":
            return media_type(bytes(value).decode("latin-1"))
    return ""
