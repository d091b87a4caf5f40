"""`page/sign-in` and `page/sign-out`: a form, its answer, and where to go from there."""

from __future__ import annotations

import math
from typing import Final, Protocol
from urllib.parse import parse_qs, quote, unquote_plus

from akash_gradio.auth.session import SessionAuth
from akash_gradio.auth.visitors import Visitors
from akash_gradio.http.asgi import (
    NO_STORE,
    Headers,
    Receive,
    Scope,
    Send,
    answer,
    answer_json,
    redirect,
)

PATH: Final = "/page/sign-in"
OUT: Final = "/page/sign-out"
FORM_BYTES: Final = 8_192
NEXT_LENGTH: Final = 500


class Draw(Protocol):
    """Makes the sign-in page.

    form: `token`, `password` or "" for none. hub: who may sign in with Hugging Face,
    `everybody` or `named`, "" where that isn't offered.
    fault: `wrong`, `throttled`, one of `HUB_FAULTS` or ""; wait_s: to wait when throttled.
    after: the query of the page to go to then.
    """

    def __call__(self, *, form: str, hub: str, fault: str, wait_s: int, after: str) -> str:
        """The HTML."""
        ...


HUB_FAULTS: Final = frozenset(
    {"hub_refused", "hub_denied", "hub_stale", "hub_down", "hub_secret", "hub_often"}
)


class Elsewhere(Protocol):
    """Answers below `page/sign-in/`: a `OAuthLogin`."""

    @property
    def everybody(self) -> bool:
        """Whether any account will do."""
        ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request for it."""
        ...


class SignIn:
    """The pages of entry. hub: sign-in with Hugging Face, None where that isn't offered."""

    def __init__(
        self, entry: SessionAuth, visitors: Visitors, draw: Draw, hub: Elsewhere | None = None
    ) -> None:
        self.entry, self._visitors, self._draw, self._hub = entry, visitors, draw, hub

    def answers(self, path: str) -> bool:
        """Whether the path is one of these pages."""
        return path in (OUT, PATH) or path.startswith(f"{PATH}/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request for one of them."""
        path, method = scope["path"], scope["method"]
        if path.startswith(f"{PATH}/") and self._hub is not None:
            await self._hub(scope, receive, send)
        elif path == OUT and method == "POST":
            await redirect(send, "../", [self.entry.no_cookie(scope)])
        elif path == PATH and method == "POST":
            await self._try(scope, receive, send)
        elif path == PATH and method in ("GET", "HEAD"):
            await self.show(scope, send)
        else:
            await answer(send, 404, b"", "text/plain")

    async def show(
        self, scope: Scope, send: Send, status: int = 200, fault: str = "", wait_s: float = 0.0
    ) -> None:
        """The form."""
        query = parse_qs(scope["query_string"].decode("latin-1"))
        as_host = query.get("as", [""])[0] == "host" or not self.entry.closed
        form = "password" if as_host else "token"
        offered = self.entry.has_password if as_host else self.entry.has_token
        html = self._draw(
            form=form if offered else "",
            hub="" if as_host else self._offer(),
            fault=fault or ("" if as_host else self._told(query.get("fault", [""])[0])),
            wait_s=math.ceil(wait_s),
            after=after(scope),
        )
        headers: Headers = [NO_STORE]
        if wait_s:
            headers = [NO_STORE, ("retry-after", str(math.ceil(wait_s)))]
        kind = "text/html; charset=utf-8"
        await answer(send, status, html.encode(), kind, headers, head=scope["method"] == "HEAD")

    def _told(self, fault: str) -> str:
        """What came of signing in elsewhere, "" where nothing did."""
        if self._hub is None:
            return "hub_unset" if self.entry.takes_users else ""
        return fault if fault in HUB_FAULTS else ""

    def _offer(self) -> str:
        if self._hub is None:
            return ""
        return "everybody" if self._hub.everybody else "named"

    async def _try(self, scope: Scope, receive: Receive, send: Send) -> None:
        address = self._visitors.network(scope)
        wait_s = self.entry.throttle.wait_s(address)
        if wait_s > 0:  # before the secret is even read
            await self.show(scope, send, 429, "throttled", wait_s)
            return
        form = await _form(receive)
        wait_s = self.entry.throttle.wait_s(address)
        if wait_s > 0:  # others of this address were wrong in the meantime
            await self.show(scope, send, 429, "throttled", wait_s)
            return
        session = self.entry.try_secret(address, form.get("secret", ""))
        if session is None:
            await self.show(scope, send, 401, "wrong")
        else:
            await redirect(send, f"../{after(scope)}", [self.entry.cookie(scope, session)])


async def turn_away(scope: Scope, send: Send, refusal: object) -> None:
    """To the form, or for what a script asks a refusal that it understands."""
    wants_page = scope["method"] in ("GET", "HEAD") and scope["path"] == "/"
    if not wants_page:
        await answer_json(send, 401, refusal)
        return
    query = scope["query_string"].decode("latin-1")[:NEXT_LENGTH]
    await redirect(send, f".{PATH}?next={quote('?' + query, safe='')}" if query else f".{PATH}")


def after(scope: Scope) -> str:
    """Where this request's visitor was going: a query of the page, "" for its first view.

    Never another site's address, whatever the link says.
    """
    to = parse_qs(scope["query_string"].decode("latin-1")).get("next", [""])[0]
    return quote(to[:NEXT_LENGTH], safe="?&=/:%+,.-_~") if to.startswith("?") else ""


async def _form(receive: Receive) -> dict[str, str]:
    """The fields of a form, each once; {} when it is longer than a form can be."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if message["type"] == "http.disconnect" or len(body) > FORM_BYTES:
            return {}
        if not message.get("more_body", False):
            break
    fields = (pair.partition("=") for pair in body.decode("latin-1").split("&"))
    return {unquote_plus(name): unquote_plus(value) for name, _, value in fields}
