"""Sessions of the page: opened by the access token, the operator's password or an account.

Gradio's `/login` is not used: it has no rate limit, and its cookie doesn't work in the frame
of a Space.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from akash_gradio.auth.signed_out import SignedOut
from akash_gradio.auth.signing import Signer, read_cookie, set_cookie
from akash_gradio.http.asgi import Scope
from akash_gradio.quota.counters import LocalCounters
from akash_gradio.quota.limiter import RateLimit, RateLimiter

COOKIE: Final = "ag_session"
CURRENT: Final = "akash_gradio.session"
"""Key of the ASGI scope: the request's session, once `SessionAuth.identify` has found it."""
SESSION_S: Final = 7 * 86_400
"""Length of a session, in seconds."""
USER_SESSION_S: Final = 86_400
"""Length of an account's session, in seconds: a user who left an organization loses access."""
SIGN_IN_LIMIT: Final = RateLimit("sign-in", limit=10, window_s=300.0)
"""Wrong attempts of one network with the access token or the password."""
OAUTH_LIMIT: Final = RateLimit("oauth", limit=10, window_s=300.0)
"""Failed sign-ins of one network with an account. They are counted separately: otherwise a visitor
with an account could reset the wrong guesses of the password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A visitor who signed in.

    Attributes:
        user: User name of the account, "" for the access token or the password.
        operator: Whether the operator's password was given.
        id: Identifies the session, so that it can be ended; random by default.
    """

    user: str = ""
    operator: bool = False
    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))


class SessionAuth:
    """Opens and reads sessions.

    A changed token, password or allow list ends the sessions that it opened.

    Attributes:
        accepts_users: Whether visitors may sign in with an account.
    """

    def __init__(
        self,
        signer: Signer,
        *,
        token: str = "",
        password: str = "",
        allow_list: str = "",
        limiter: RateLimiter | None = None,
        signed_out_file: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Initialize the sessions.

        Args:
            signer: Signs the cookies.
            token: The access token, "" if none is configured.
            password: The operator's password, "" if none is configured.
            allow_list: A fingerprint of the accounts that may sign in, "" if none may.
            limiter: Counts attempts; a separate one in this process by default.
            signed_out_file: Where ended sessions are kept, see `SignedOut`.
            clock: Unix time in seconds.
        """
        self._signer, self._clock = signer, clock
        self._token, self._password = token, password
        self._limiter = limiter or RateLimiter(LocalCounters(clock))
        self._signed_out = SignedOut(self._limiter, SESSION_S, signed_out_file, clock)
        self.accepts_users = bool(allow_list)
        fingerprints = "".join(map(_fingerprint, (token, password, allow_list)))
        self._purpose = f"{COOKIE}:2:{fingerprints}"

    @property
    def required(self) -> bool:
        """Whether a visitor needs a session."""
        return bool(self._token) or self.accepts_users

    @property
    def has_password(self) -> bool:
        """Whether the operator can sign in."""
        return bool(self._password)

    @property
    def has_token(self) -> bool:
        """Whether visitors can sign in with the access token."""
        return bool(self._token)

    def session(self, scope: Mapping[str, Any]) -> Session | None:
        """Return the session of a request that `identify` has read, None without one."""
        session: Session | None = scope.get(CURRENT)
        return session

    async def identify(self, scope: Scope) -> Scope:
        """Return the scope with the request's session, if it has a valid one that wasn't ended."""
        value = self._signer.read(self._purpose, read_cookie(scope, COOKIE), self._clock())
        session = None
        if value is not None:
            kind, session_id, user = value.split(":", 2)
            if not await self._signed_out.contains(session_id):
                session = Session(user=user, operator=kind == "host", id=session_id)
        return {**scope, CURRENT: session}

    async def end(self, scope: Mapping[str, Any]) -> None:
        """End the session of a request, at all replicas."""
        session = self.session(scope)
        if session is not None:
            await self._signed_out.add(session.id)

    def admits(self, scope: Mapping[str, Any]) -> bool:
        """Return whether a request has a session, or needs none."""
        return not self.required or self.session(scope) is not None

    async def wait_s(self, network: str) -> float:
        """Return the seconds until a network may try another secret, 0.0 for now."""
        return await self._limiter.wait_s(SIGN_IN_LIMIT, network)

    async def begin_oauth_attempt(self, network: str) -> None:
        """Count a sign-in with an account as failed until `reset_oauth_attempts`.

        So attempts that are made at the same time all count.

        Raises:
            LimitReached: The network had too many failed attempts.
        """
        await self._limiter.admit(OAUTH_LIMIT, network)

    async def reset_oauth_attempts(self, network: str) -> None:
        """Forget the failed sign-ins of a network, after a successful one."""
        await self._limiter.reset(OAUTH_LIMIT, network)

    async def try_secret(self, network: str, secret: str) -> Session | None:
        """Return a session for the token or the password, None for a wrong secret.

        The secret is compared with both in constant time. The attempt counts as wrong until it
        turns out right, so that attempts that are made at the same time all count.

        Raises:
            LimitReached: The network had too many wrong attempts.
        """
        await self._limiter.admit(SIGN_IN_LIMIT, network)
        is_token = _equal(secret, self._token) and bool(self._token)
        is_password = _equal(secret, self._password) and bool(self._password)
        if not (is_token or is_password):
            return None
        if is_password or not self._password:
            await self._limiter.reset(SIGN_IN_LIMIT, network)
        else:  # otherwise the token would allow endless guesses of the password
            await self._limiter.release(SIGN_IN_LIMIT, network)
        return Session(operator=is_password)

    def cookie(self, scope: Mapping[str, Any], session: Session) -> tuple[str, str]:
        """Return the header that sets the cookie of a session."""
        value = f"{'host' if session.operator else 'visitor'}:{session.id}:{session.user}"
        max_age_s = USER_SESSION_S if session.user else SESSION_S
        signed = self._signer.sign(self._purpose, value, self._clock() + max_age_s)
        return set_cookie(scope, COOKIE, signed, max_age_s)

    def expired_cookie(self, scope: Mapping[str, Any]) -> tuple[str, str]:
        """Return the header that deletes the cookie."""
        return set_cookie(scope, COOKIE, "", 0)


def _equal(given: str, secret: str) -> bool:
    return hmac.compare_digest(_digest(given), _digest(secret))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _fingerprint(secret: str) -> str:
    return _digest(secret).hex() if secret else "-"
