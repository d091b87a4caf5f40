"""`page/sign-in/hub` and where the visitor comes back to: sign-in with Hugging Face.

What must be remembered in between (the state, PKCE's verifier, where to go then) is in a
signed cookie, so that any replica can finish what another one began.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import parse_qs, urlencode

from akash_gradio.auth.openid_provider import Account, Provider, SignInFault
from akash_gradio.auth.session import Session, SessionAuth, Throttle
from akash_gradio.auth.sign_in import PATH, after
from akash_gradio.auth.signing import Signer, cookie, cookie_of
from akash_gradio.auth.visitors import Visitors
from akash_gradio.http.asgi import Receive, Scope, Send, answer, header, is_https, redirect

logger = logging.getLogger(__name__)

START: Final = f"{PATH}/hub"
BACK: Final = f"{START}/back"
COOKIE: Final = "ag_hub"
LASTS_S: Final = 600
"""From the button to the way back, with a password and a second factor in between."""
SCOPES: Final = "openid profile"
_HOST: Final = re.compile(r"[A-Za-z0-9.-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowList:
    """Who may come in, in lower case; both empty: whoever has an account."""

    users: frozenset[str] = frozenset()
    orgs: frozenset[str] = frozenset()

    @property
    def everybody(self) -> bool:
        """Whether any account will do."""
        return not (self.users or self.orgs)

    @property
    def print(self) -> str:
        """The same for the same circle, another for every other; never ""."""
        return json.dumps([sorted(self.users), sorted(self.orgs)])

    def takes(self, account: Account) -> bool:
        """Whether this one may come in."""
        by_name = account.preferred_username.lower() in self.users
        return self.everybody or by_name or bool(account.org_names & self.orgs)


class _Kept(NamedTuple):
    """Between the two requests. after: see `sign_in.after`."""

    state: str = ""
    verifier: str = ""
    after: str = ""


class OAuthLogin:
    """Live. hosts: the names of this page where they are known; else the browser's word counts,
    which the provider compares with what it was told.
    """

    def __init__(
        self,
        provider: Provider,
        circle: AllowList,
        entry: SessionAuth,
        signer: Signer,
        visitors: Visitors,
        *,
        hosts: tuple[str, ...] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._provider, self._circle, self._entry = provider, circle, entry
        self._signer, self._visitors, self._hosts, self._clock = signer, visitors, hosts, clock
        self._tries = Throttle(clock)

    @property
    def everybody(self) -> bool:
        """Whether any account will do."""
        return self._circle.everybody

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request for one of the two."""
        path = scope["path"]
        if scope["method"] != "GET" or path not in (START, BACK):
            await answer(send, 404, b"", "text/plain")
            return
        try:
            await (self._begin if path == START else self._come_back)(scope, send)
        except SignInFault as fault:
            logger.warning("sign_in.failed", extra={"outcome": fault.kind})
            up = "../" if path == START else "../../"
            told = {"fault": fault.kind}
            if to := after(scope) if path == START else self._kept(scope).after:
                told["next"] = to
            await redirect(send, f"{up}sign-in?{urlencode(told)}", [self._forget(scope)])

    async def _begin(self, scope: Scope, send: Send) -> None:
        where = await self._provider.addresses()
        state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        asked = {
            "response_type": "code",
            "client_id": self._provider.client.id,
            "redirect_uri": self._redirect_uri(scope),
            "scope": SCOPES,
            "state": state,
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
        }
        kept = f"{state} {verifier} {after(scope)}"
        signed = self._signer.sign(COOKIE, kept, self._clock() + LASTS_S)
        between = "&" if "?" in where.authorization_endpoint else "?"
        to = f"{where.authorization_endpoint}{between}{urlencode(asked)}"
        await redirect(send, to, [cookie(scope, COOKIE, signed, LASTS_S)])

    async def _come_back(self, scope: Scope, send: Send) -> None:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        state, code, error = (query.get(name, [""])[0] for name in ("state", "code", "error"))
        kept = self._kept(scope)
        if not kept.state or not hmac.compare_digest(kept.state.encode(), state.encode()):
            raise SignInFault("hub_stale")
        if error or not code:
            raise SignInFault("hub_denied" if error == "access_denied" else "hub_down")
        address = self._visitors.network(scope)
        if self._tries.wait_s(address) > 0:
            raise SignInFault("hub_often")
        self._tries.wrong(address)  # until it turns out right: others may come meanwhile
        account = await self._provider.account(code, kept.verifier, self._redirect_uri(scope))
        if not self._circle.takes(account):
            raise SignInFault("hub_refused")
        self._tries.right(address)
        logger.info("sign_in.passed", extra={"outcome": "hub"})
        session = self._entry.cookie(scope, Session(user=account.preferred_username))
        await redirect(send, f"../../../{kept.after}", [session, self._forget(scope)])

    def _kept(self, scope: Scope) -> _Kept:
        """What this browser began, empty when that was nothing or too long ago."""
        text = self._signer.read(COOKIE, cookie_of(scope, COOKIE), self._clock())
        return _Kept(*text.split(" ", 2)) if text else _Kept()

    def _redirect_uri(self, scope: Scope) -> str:
        host = header(scope, "host").lower()
        if self._hosts:
            host = host if host in self._hosts else self._hosts[0]
        elif not _HOST.fullmatch(host):
            raise SignInFault("hub_stale")
        scheme = "https" if self._hosts or is_https(scope) else "http"
        return f"{scheme}://{host}{BACK}"

    def _forget(self, scope: Scope) -> tuple[str, str]:
        """It was used, or is of no use: no state serves twice."""
        return cookie(scope, COOKIE, "", 0)


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
