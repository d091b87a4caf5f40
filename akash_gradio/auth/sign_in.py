"""`page/sign-in` and `page/sign-out`: the form, its response, and where it leads to."""

from __future__ import annotations

import math
from typing import Final, Protocol
from urllib.parse import parse_qs, quote, unquote_plus

from akash_gradio.auth.session import SessionAuth
from akash_gradio.auth.visitors import Visitors
from akash_gradio.domain.errors import LimitReached
from akash_gradio.http.asgi import (
    NO_STORE,
    Headers,
    Receive,
    Scope,
    Send,
    route_path,
    send_json,
    send_not_found,
    send_redirect,
    send_response,
)
from akash_gradio.http.body import BodyTooLarge, ClientDisconnected, read_body

SIGN_IN_PATH: Final = "/page/sign-in"
SIGN_OUT_PATH: Final = "/page/sign-out"
MAX_FORM_BYTES: Final = 8_192
MAX_NEXT_LENGTH: Final = 500
"""Longest query of the page to return to, in characters."""


class RenderSignIn(Protocol):
    """Renders the sign-in page."""

    def __call__(self, *, form: str, hub: str, fault: str, wait_s: int, after: str) -> str:
        """Return the HTML.

        Args:
            form: `token`, `password`, or "" for no form.
            hub: Who can sign in with Hugging Face, `everybody` or `named`, "" for no one.
            fault: `wrong`, `throttled`, one of `OAUTH_ERRORS`, or "" for no error.
            wait_s: Seconds to wait when throttled.
            after: Query of the page to return to.
        """
        ...


OAUTH_ERRORS: Final = frozenset(
    {"hub_refused", "hub_denied", "hub_stale", "hub_down", "hub_secret", "hub_often"}
)
"""Codes of failed sign-ins with Hugging Face, as they are in the page's query."""


class OAuthRoutes(Protocol):
    """The routes below `page/sign-in/`: an `OAuthLogin`."""

    @property
    def admits_everyone(self) -> bool:
        """Whether any account is admitted."""
        ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request."""
        ...


class SignIn:
    """The routes of signing in and out."""

    def __init__(
        self,
        sessions: SessionAuth,
        visitors: Visitors,
        render: RenderSignIn,
        oauth: OAuthRoutes | None = None,
    ) -> None:
        """Initialize the routes.

        Args:
            sessions: Opens and reads sessions.
            visitors: Identifies networks, which have a limited number of attempts.
            render: Renders the sign-in page.
            oauth: Sign-in with Hugging Face, None where that isn't offered.
        """
        self.sessions, self._visitors, self._render = sessions, visitors, render
        self._oauth = oauth

    def handles(self, path: str) -> bool:
        """Return whether the path is one of these routes."""
        return path in (SIGN_OUT_PATH, SIGN_IN_PATH) or path.startswith(f"{SIGN_IN_PATH}/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request for one of these routes."""
        path, method = route_path(scope), scope["method"]
        if path.startswith(f"{SIGN_IN_PATH}/") and self._oauth is not None:
            await self._oauth(scope, receive, send)
        elif path == SIGN_OUT_PATH and method == "POST":
            await self.sessions.end(scope)
            await send_redirect(send, "../", [self.sessions.expired_cookie(scope)])
        elif path == SIGN_IN_PATH and method == "POST":
            await self._try_secret(scope, receive, send)
        elif path == SIGN_IN_PATH and method in ("GET", "HEAD"):
            await self._show_form(scope, send)
        else:
            await send_not_found(send)

    async def _show_form(
        self, scope: Scope, send: Send, status: int = 200, error: str = "", wait_s: float = 0.0
    ) -> None:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        as_operator = query.get("as", [""])[0] == "host" or not self.sessions.required
        form = "password" if as_operator else "token"
        offered = self.sessions.has_password if as_operator else self.sessions.has_token
        if not error and not as_operator:
            error = self._oauth_error(query.get("fault", [""])[0])
        html = self._render(
            form=form if offered else "",
            hub="" if as_operator else self._oauth_offer(),
            fault=error,
            wait_s=math.ceil(wait_s),
            after=return_query(scope),
        )
        headers: Headers = [NO_STORE]
        if wait_s:
            headers = [NO_STORE, ("retry-after", str(math.ceil(wait_s)))]
        content_type, is_head = "text/html; charset=utf-8", scope["method"] == "HEAD"
        await send_response(send, status, html.encode(), content_type, headers, head=is_head)

    def _oauth_error(self, code: str) -> str:
        """Return the error of a sign-in with Hugging Face, "" without one."""
        if self._oauth is None:
            return "hub_unset" if self.sessions.accepts_users else ""
        return code if code in OAUTH_ERRORS else ""

    def _oauth_offer(self) -> str:
        if self._oauth is None:
            return ""
        return "everybody" if self._oauth.admits_everyone else "named"

    async def _try_secret(self, scope: Scope, receive: Receive, send: Send) -> None:
        network = self._visitors.network_id(scope)
        wait_s = await self.sessions.wait_s(network)
        if wait_s > 0:  # refused before the secret is even read
            await self._show_form(scope, send, 429, "throttled", wait_s)
            return
        form = await _read_form(receive)
        try:
            session = await self.sessions.try_secret(network, form.get("secret", ""))
        except LimitReached as error:
            await self._show_form(scope, send, 429, "throttled", error.retry_after_s)
            return
        if session is None:
            await self._show_form(scope, send, 401, "wrong")
        else:
            cookie = self.sessions.cookie(scope, session)
            await send_redirect(send, f"../{return_query(scope)}", [cookie])


async def require_sign_in(scope: Scope, send: Send, error: object) -> None:
    """Redirect a visitor without a session to the form, or send a script the error as JSON."""
    is_page = scope["method"] in ("GET", "HEAD") and route_path(scope) == "/"
    if not is_page:
        await send_json(send, 401, error)
        return
    query = scope["query_string"].decode("latin-1")[:MAX_NEXT_LENGTH]
    target = f".{SIGN_IN_PATH}?next={quote('?' + query, safe='')}" if query else f".{SIGN_IN_PATH}"
    await send_redirect(send, target)


def return_query(scope: Scope) -> str:
    """Return the query of the page to return to, "" for its start; never another site's URL."""
    value = parse_qs(scope["query_string"].decode("latin-1")).get("next", [""])[0]
    if not value.startswith("?"):
        return ""
    return quote(value[:MAX_NEXT_LENGTH], safe="?&=/:%+,.-_~")


async def _read_form(receive: Receive) -> dict[str, str]:
    """Return the fields of a form; none for a body that is too long or incomplete."""
    try:
        body = await read_body(receive, limit_bytes=MAX_FORM_BYTES)
    except (BodyTooLarge, ClientDisconnected):
        return {}
    fields = (pair.partition("=") for pair in body.decode("latin-1").split("&"))
    return {unquote_plus(name): unquote_plus(value) for name, _, value in fields}
