"""Who may come in: the access token, the host's own password, a session of one's own.

Gradio's `/login` is not used: it isn't throttled, and its cookie doesn't reach a Space's frame.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from akash_gradio.auth.signing import Signer, cookie, cookie_of

COOKIE: Final = "ag_session"
LASTS_S: Final = 7 * 86_400
USER_LASTS_S: Final = 86_400
"""Of who signed in by name: who left an organization stays no longer."""
TRIES: Final = 10
TRIES_WINDOW_S: Final = 300.0
MOST_ADDRESSES: Final = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Who signed in. user: "" for who knows the access token. host: knows the host's password."""

    user: str = ""
    host: bool = False


class Throttle:
    """Live: wrong tries by address, at most `TRIES` in any `TRIES_WINDOW_S` seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._wrong: dict[str, deque[float]] = {}

    def wait_s(self, address: str) -> float:
        """Seconds until this address may try again, 0.0 when it may now."""
        wrong, now = self._wrong.get(address, deque()), self._clock()
        while wrong and wrong[0] <= now - TRIES_WINDOW_S:
            wrong.popleft()
        return wrong[0] + TRIES_WINDOW_S - now if len(wrong) >= TRIES else 0.0

    def wrong(self, address: str) -> None:
        """It tried, and was wrong."""
        self._wrong.setdefault(address, deque()).append(self._clock())
        if len(self._wrong) > MOST_ADDRESSES:
            del self._wrong[next(iter(self._wrong))]

    def right(self, address: str) -> None:
        """It was right: what was wrong before is forgotten."""
        self._wrong.pop(address, None)


class SessionAuth:
    """Live. token, password: "" where the host set none; circle: a print of who may come in
    with a name of their own, "" where nobody does.

    A changed token, password or circle ends the sessions that it opened.
    """

    def __init__(
        self,
        signer: Signer,
        *,
        token: str = "",
        password: str = "",
        circle: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._signer, self._clock = signer, clock
        self._token, self._password = token, password
        self.takes_users = bool(circle)
        self.throttle = Throttle(clock)
        self._prints = "".join(map(_print, (token, password, circle)))

    @property
    def closed(self) -> bool:
        """Whether a visitor needs a session at all."""
        return bool(self._token) or self.takes_users

    @property
    def has_password(self) -> bool:
        """Whether the host can sign in."""
        return bool(self._password)

    @property
    def has_token(self) -> bool:
        """Whether visitors sign in with the access token."""
        return bool(self._token)

    def session(self, scope: Mapping[str, Any]) -> Session | None:
        """Whose request this is; None without a session that still holds."""
        value = self._signer.read(self._purpose, cookie_of(scope, COOKIE), self._clock())
        if value is None:
            return None
        kind, _, user = value.partition(":")
        return Session(user=user, host=kind == "host")

    def lets_in(self, scope: Mapping[str, Any]) -> bool:
        """Whether the request may go on."""
        return not self.closed or self.session(scope) is not None

    def try_secret(self, address: str, given: str) -> Session | None:
        """A session for who gave the token or the password. None: wrong, which is counted.

        Compared in constant time, both of them always. Ask `throttle.wait_s` first, with no
        await in between.
        """
        is_token = _same(given, self._token) and bool(self._token)
        is_password = _same(given, self._password) and bool(self._password)
        if not (is_token or is_password):
            self.throttle.wrong(address)
            return None
        if is_password or not self._password:  # else who knows the token could guess on and on
            self.throttle.right(address)
        return Session(host=is_password)

    def cookie(self, scope: Mapping[str, Any], session: Session) -> tuple[str, str]:
        """The header that gives a browser its session."""
        value = f"{'host' if session.host else 'visitor'}:{session.user}"
        lasts_s = USER_LASTS_S if session.user else LASTS_S
        signed = self._signer.sign(self._purpose, value, self._clock() + lasts_s)
        return cookie(scope, COOKIE, signed, lasts_s)

    def no_cookie(self, scope: Mapping[str, Any]) -> tuple[str, str]:
        """The header that takes it away."""
        return cookie(scope, COOKIE, "", 0)

    @property
    def _purpose(self) -> str:
        return f"{COOKIE}:{self._prints}"


def _same(given: str, known: str) -> bool:
    return hmac.compare_digest(_digest(given), _digest(known))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _print(secret: str) -> str:
    return _digest(secret).hex() if secret else "-"
