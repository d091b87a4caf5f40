"""Sign-in with Hugging Face: `page/sign-in/hub`, and the path that the provider returns to.

A signed cookie holds what the second request needs (the state, the PKCE verifier, and where to
redirect afterwards), so that any replica can complete a sign-in that another one started.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import parse_qs, urlencode

from akash_gradio.auth.openid_provider import Account, Provider, SignInError
from akash_gradio.auth.session import Session, SessionAuth
from akash_gradio.auth.sign_in import SIGN_IN_PATH, return_query
from akash_gradio.auth.signing import Signer, read_cookie, set_cookie
from akash_gradio.auth.visitors import Visitors
from akash_gradio.domain.errors import LimitReached
from akash_gradio.http.asgi import (
    Receive,
    Scope,
    Send,
    header,
    is_https,
    route_path,
    send_not_found,
    send_redirect,
)

logger = logging.getLogger(__name__)

START_PATH: Final = f"{SIGN_IN_PATH}/hub"
CALLBACK_PATH: Final = f"{START_PATH}/back"
COOKIE: Final = "ag_hub"
COOKIE_MAX_AGE_S: Final = 600
"""Time that a visitor has to sign in at the provider, in seconds."""
SCOPES: Final = "openid profile"


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowList:
    """The accounts that may sign in. If both lists are empty, every account may.

    Attributes:
        users: User names in lower case.
        orgs: Organizations in lower case, whose members may sign in.
    """

    users: frozenset[str] = frozenset()
    orgs: frozenset[str] = frozenset()

    @property
    def admits_everyone(self) -> bool:
        """Whether any account is admitted."""
        return not (self.users or self.orgs)

    @property
    def fingerprint(self) -> str:
        """A text that is equal for equal lists; never ""."""
        return json.dumps([sorted(self.users), sorted(self.orgs)])

    def admits(self, account: Account) -> bool:
        """Return whether this account is admitted."""
        is_named = account.preferred_username.lower() in self.users
        return self.admits_everyone or is_named or bool(account.org_names & self.orgs)


class _PendingLogin(NamedTuple):
    """The contents of the cookie between the two requests.

    Attributes:
        state: OAuth's state, "" where no sign-in was started.
        verifier: The PKCE code verifier (RFC 7636).
        return_query: See `sign_in.return_query`.
    """

    state: str = ""
    verifier: str = ""
    return_query: str = ""


class OAuthLogin:
    """Signs visitors in with the authorization code flow."""

    def __init__(
        self,
        provider: Provider,
        allow_list: AllowList,
        sessions: SessionAuth,
        signer: Signer,
        visitors: Visitors,
        *,
        hosts: tuple[str, ...] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Initialize the routes.

        Args:
            provider: Hugging Face.
            allow_list: The accounts that may sign in.
            sessions: Opens sessions, and limits the failed sign-ins of a network.
            signer: Signs the cookie.
            visitors: Identifies networks.
            hosts: The page's own hosts where they are known. Otherwise the request's Host
                counts, which `http.hosts` has checked, and which the provider compares with the
                registered callback URLs.
            clock: Unix time in seconds.
        """
        self._provider, self._allow_list, self._sessions = provider, allow_list, sessions
        self._signer, self._visitors, self._hosts, self._clock = signer, visitors, hosts, clock

    @property
    def admits_everyone(self) -> bool:
        """Whether any account is admitted."""
        return self._allow_list.admits_everyone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request for one of the two paths."""
        path = route_path(scope)
        if scope["method"] != "GET" or path not in (START_PATH, CALLBACK_PATH):
            await send_not_found(send)
            return
        is_start = path == START_PATH
        try:
            await (self._start if is_start else self._finish)(scope, send)
        except SignInError as error:
            logger.warning("sign_in.failed", extra={"outcome": error.code})
            query = {"fault": error.code}
            target = return_query(scope) if is_start else self._pending(scope).return_query
            if target:
                query["next"] = target
            up = "../" if is_start else "../../"
            location = f"{up}sign-in?{urlencode(query)}"
            await send_redirect(send, location, [_expired_cookie(scope)])

    async def _start(self, scope: Scope, send: Send) -> None:
        endpoints = await self._provider.endpoints()
        state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        query = {
            "response_type": "code",
            "client_id": self._provider.client.id,
            "redirect_uri": self._redirect_uri(scope),
            "scope": SCOPES,
            "state": state,
            "code_challenge": _code_challenge(verifier),
            "code_challenge_method": "S256",
        }
        pending = f"{state} {verifier} {return_query(scope)}"
        signed = self._signer.sign(COOKIE, pending, self._clock() + COOKIE_MAX_AGE_S)
        separator = "&" if "?" in endpoints.authorization_endpoint else "?"
        location = f"{endpoints.authorization_endpoint}{separator}{urlencode(query)}"
        await send_redirect(send, location, [set_cookie(scope, COOKIE, signed, COOKIE_MAX_AGE_S)])

    async def _finish(self, scope: Scope, send: Send) -> None:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        state, code, error = (query.get(name, [""])[0] for name in ("state", "code", "error"))
        pending = self._pending(scope)
        if not pending.state or not hmac.compare_digest(pending.state.encode(), state.encode()):
            raise SignInError("hub_stale")
        if error or not code:
            raise SignInError("hub_denied" if error == "access_denied" else "hub_down")
        network = self._visitors.network_id(scope)
        try:
            await self._sessions.begin_oauth_attempt(network)
        except LimitReached:
            raise SignInError("hub_often") from None
        account = await self._provider.account(code, pending.verifier, self._redirect_uri(scope))
        if not self._allow_list.admits(account):
            raise SignInError("hub_refused")
        await self._sessions.reset_oauth_attempts(network)
        logger.info("sign_in.passed", extra={"outcome": "hub"})
        session = self._sessions.cookie(scope, Session(user=account.preferred_username))
        location = f"../../../{pending.return_query}"
        await send_redirect(send, location, [session, _expired_cookie(scope)])

    def _pending(self, scope: Scope) -> _PendingLogin:
        """Return the sign-in that this browser started, an empty one if there is none."""
        text = self._signer.read(COOKIE, read_cookie(scope, COOKIE), self._clock())
        return _PendingLogin(*text.split(" ", 2)) if text else _PendingLogin()

    def _redirect_uri(self, scope: Scope) -> str:
        host = header(scope, "host").lower()
        if self._hosts:
            host = host if host in self._hosts else self._hosts[0]
        scheme = "https" if self._hosts or is_https(scope) else "http"
        return f"{scheme}://{host}{CALLBACK_PATH}"


def _expired_cookie(scope: Scope) -> tuple[str, str]:
    """Delete the cookie, so that no state is used twice."""
    return set_cookie(scope, COOKIE, "", 0)


def _code_challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
