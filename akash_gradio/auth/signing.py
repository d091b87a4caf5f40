"""Values that a browser keeps for us and can't change."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final

from akash_gradio.http.asgi import header, is_https

SECRET_BYTES: Final = 32


class Signer:
    """Live, because replicas agree on one secret after they have started.

    secret: random when "", so that nothing outlives the process.
    """

    def __init__(self, secret: str = "") -> None:
        self.fixed = bool(secret)
        self._secret = secret.encode() if secret else secrets.token_bytes(SECRET_BYTES)

    def adopt(self, secret: bytes) -> None:
        """Sign with this one from now on."""
        self._secret = secret

    def sign(self, purpose: str, value: str, until: float) -> str:
        """The value with its end (seconds of the Unix clock), in characters that cookies take."""
        text = f"{_packed(value.encode())}.{int(until)}"
        return f"{text}.{self._mark(purpose, text)}"

    def read(self, purpose: str, signed: str, now: float) -> str | None:
        """The value; None when it was changed, is over, or was signed for something else."""
        text, _, mark = signed.rpartition(".")
        if not hmac.compare_digest(mark.encode(), self._mark(purpose, text).encode()):
            return None
        packed, _, until = text.partition(".")
        if not until.isdigit() or int(until) <= now:
            return None
        try:
            return base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)).decode()
        except (ValueError, binascii.Error):
            return None

    def opaque(self, value: str) -> str:
        """A name for the value that tells nothing of it."""
        return self._mark("name", value)[:22]

    def _mark(self, purpose: str, text: str) -> str:
        said = f"{purpose}\0{text}".encode()
        return _packed(hmac.new(self._secret, said, hashlib.sha256).digest())


def cookie(scope: Mapping[str, Any], name: str, value: str, lasts_s: float) -> tuple[str, str]:
    """The header that sets a cookie; one that no script can read. value "": takes it away.

    Behind TLS it is for frames on other sites too (a Space is shown in one), each site's apart.
    (Starlette's `partitioned=True` raises below Python 3.14.)
    """
    parts = [f"{name}={value}", "Path=/", f"Max-Age={int(lasts_s) if value else 0}", "HttpOnly"]
    parts += ["SameSite=None", "Secure", "Partitioned"] if is_https(scope) else ["SameSite=Lax"]
    return "set-cookie", "; ".join(parts)


def cookie_of(scope: Mapping[str, Any], name: str) -> str:
    """The cookie's value, "" when there is none."""
    jar: SimpleCookie = SimpleCookie()
    for part in header(scope, "cookie").replace(",", ";").split(";"):
        if part.strip().startswith(f"{name}="):
            try:
                jar.load(part.strip())
            except CookieError:
                return ""
    return jar[name].value if name in jar else ""


def _packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
