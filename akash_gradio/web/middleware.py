"""The security middleware that every request passes. It is plain ASGI, so streams aren't buffered.

Requests are refused in this order: paths that are not in the table of routes, requests for another
host, cross-site requests, requests without a session. `/v1`, `/healthz`
and `/metrics` have their own keys and limits, and their responses are not changed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from akash_gradio.auth.sign_in import SignIn, require_sign_in
from akash_gradio.auth.visitors import Visitors
from akash_gradio.domain.visitor import (
    ANONYMOUS,
    CROSS_SITE_ALLOWED,
    CURRENT_QUOTA_TOKEN,
    CURRENT_VISITOR,
)
from akash_gradio.http import security_headers
from akash_gradio.http.asgi import (
    ASGIApp,
    Message,
    Receive,
    Scope,
    Send,
    below_root,
    header,
    is_https,
    media_type,
    route_path,
    send_json,
    send_not_found,
)
from akash_gradio.http.body import LEASE, PROCESS_BODIES, BodyError, BodyLease, drain_body
from akash_gradio.http.compression import MIN_BYTES, choose_encoding, compress
from akash_gradio.http.hosts import HostRules
from akash_gradio.http.locality import is_local_request, is_proxied
from akash_gradio.http.origins import is_allowed_origin, is_cross_site
from akash_gradio.http.shutdown import RunningRequests
from akash_gradio.web.route_table import Access, OpenRoute, RouteTable

logger = logging.getLogger(__name__)

MAX_SHOWN_HOST: Final = 100
"""Longest part of a Host header that an error shows, in characters."""
RenderError = Callable[..., dict[str, object]]
"""Returns the JSON of an error, by its code and facts; see `web.errors.error_body`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginRules:
    """The page's own hosts, and other sites that may send requests to it or frame it.

    Attributes:
        hosts: The hosts that requests may be addressed to.
        allowed_origins: Origins in lower case, besides the page's own, whose pages may send
            requests.
        frame_ancestors: Sources, as in a Content-Security-Policy, besides the page's own host,
            that may show the page in a frame.
    """

    hosts: HostRules = field(default_factory=HostRules)
    allowed_origins: frozenset[str] = frozenset()
    frame_ancestors: str = "https://huggingface.co"


class SecurityMiddleware:
    """Admits requests, and secures their responses."""

    def __init__(
        self,
        app: ASGIApp,
        routes: RouteTable,
        rules: OriginRules,
        render_error: RenderError,
        running: RunningRequests,
        visitors: Visitors,
        sign_in: SignIn,
        transform_html: Callable[[bytes], bytes] = bytes,
    ) -> None:
        """Wrap an app; see `SecurityStack` for the parts."""
        self._app, self._routes, self._rules, self._render_error = app, routes, rules, render_error
        self._running, self._visitors, self._sign_in = running, visitors, sign_in
        self._transform_html = transform_html
        self._startup_checked = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            scope = below_root(scope)
            await self._dispatch(self._routes.find(route_path(scope)), scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":  # the page opens none
            await send({"type": "websocket.close", "code": 1008})

    async def _dispatch(
        self, route: OpenRoute | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        is_api = route is not None and route.access is Access.API
        if not is_api and not self._rules.hosts.admits(scope):
            logger.debug("request.refused", extra={"outcome": "host"})
            await drain_body(receive)
            name = header(scope, "host")[:MAX_SHOWN_HOST]
            await self._refuse(send, 421, "host_not_allowed", host=name)
        elif is_cross_site(scope, self._rules.allowed_origins):
            logger.debug("request.refused", extra={"outcome": "cross_site"})
            await drain_body(receive)
            await self._refuse(send, 403, "cross_site")
        elif scope["method"] != "POST":
            await self._handle(route, scope, receive, send)
        elif self._running.closing:
            await drain_body(receive)
            await self._refuse(send, 503, "shutting_down")
        else:
            with self._running.track():
                await self._handle(route, scope, receive, send)

    async def _handle(
        self, route: OpenRoute | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        CURRENT_QUOTA_TOKEN.set(header(scope, "x-ip-token"))
        if route is not None and route.access is Access.API:
            CURRENT_VISITOR.set(ANONYMOUS)  # the API identifies its clients by their keys
            await self._app(scope, receive, send)
            return
        scope = await self._sign_in.sessions.identify(scope)
        session = self._sign_in.sessions.session(scope)
        visitor = self._visitors.visitor(scope, session.user if session else "")
        CURRENT_VISITOR.set(visitor)
        with PROCESS_BODIES.lease(visitor.network or visitor.id) as lease:
            is_allowed = is_allowed_origin(scope, self._rules.allowed_origins)
            scope = {**scope, CROSS_SITE_ALLOWED: is_allowed, LEASE: lease}
            response = SecuredResponse(
                route, scope, send, self._rules, lease, self._visitors, self._transform_html
            )
            try:
                await self._admit(route, scope, receive, response.send)
            except BodyError as error:
                if not response.started:
                    await self._refuse(response.send, error.status, error.code, **error.facts)

    async def _admit(
        self, route: OpenRoute | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Pass the request on to the page if the visitor may use the route."""
        sessions = self._sign_in.sessions
        access = route.access if route is not None else Access.SESSION
        if access is Access.STARTUP and self._is_startup_check(scope):
            self._startup_checked = True
            await self._app(scope, receive, send)
        elif access is Access.SIGN_IN:
            await self._sign_in(scope, receive, send)
        elif access is not Access.PUBLIC and not sessions.admits(scope):
            await require_sign_in(scope, send, self._render_error("sign_in_required"))
        elif route is None or access is Access.STARTUP:
            await send_not_found(send)
        else:
            await self._app(scope, receive, send)

    def _is_startup_check(self, scope: Scope) -> bool:
        """Return whether this is Gradio's own request, which comes from the address it goes to.

        Gradio sends one; a proxy on this machine may look like it later.
        """
        client, server = scope.get("client"), scope.get("server")
        if self._startup_checked or scope["method"] != "GET" or client is None:
            return False
        if is_proxied(scope):
            return False
        return is_local_request(scope) or (server is not None and client[0] == server[0])

    async def _refuse(self, send: Send, status: int, code: str, **facts: object) -> None:
        """Send an error and close the connection, since the body wasn't read to its end."""
        await send_json(send, status, self._render_error(code, **facts), [("connection", "close")])


class SecuredResponse:
    """Sends a response on with the page's security headers.

    HTML is buffered until it is complete, because its policy contains the hashes of its
    scripts. Nothing else is buffered, reports included: they have no scripts and can be long.

    Attributes:
        started: Whether the status was sent.
    """

    def __init__(
        self,
        route: OpenRoute | None,
        scope: Scope,
        send: Send,
        rules: OriginRules,
        lease: BodyLease,
        visitors: Visitors,
        transform_html: Callable[[bytes], bytes],
    ) -> None:
        self._scope, self._send, self._rules, self._lease = scope, send, rules, lease
        self._visitors, self._transform_html = visitors, transform_html
        self._is_https = is_https(scope)
        self._is_report = route is not None and route.is_report
        self._is_private = route is not None and route.is_private
        self.started = False
        self._html_start: Message | None = None
        self._html: list[bytes] = []

    async def send(self, message: Message) -> None:
        """Send a message."""
        if message["type"] == "http.response.start":
            self.started = True
            self._lease.release()  # the request was parsed
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


def _media_type(message: Message) -> str:
    for name, value in message.get("headers", ()):
        if name.lower() == b"content-type":
            return media_type(bytes(value).decode("latin-1"))
    return ""
