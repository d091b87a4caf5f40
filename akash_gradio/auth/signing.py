"""Signed values in cookies, which a browser stores and can't change."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any, Final

from akash_gradio.http.asgi import header, is_https

SECRET_BYTES: Final = 32


class Signer:
    """Signs values. Replicas may replace its secret after they have started.

    Attributes:
        fixed: Whether the secret was configured, or agreed on by the replicas.
    """

    def __init__(self, secret: str = "") -> None:
        """Initialize the signer.

        Args:
            secret: The secret; "" creates a random one, which is lost when the process ends.
        """
        self.fixed = bool(secret)
        self._secret = secret.encode() if secret else secrets.token_bytes(SECRET_BYTES)

    def adopt(self, secret: bytes) -> None:
        """Sign with this secret from now on."""
        self._secret = secret

    def sign(self, purpose: str, value: str, until: float) -> str:
        """Return a signed value, in characters that are valid in a cookie.

        Args:
            purpose: What it is for; it can't be read for another purpose.
            value: The value, which is signed but not encrypted.
            until: Unix time in seconds at which it expires.
        """
        text = f"{_encode(value.encode())}.{int(until)}"
        return f"{text}.{self._signature(purpose, text)}"

    def read(self, purpose: str, signed: str, now: float) -> str | None:
        """Return the value, None if it was changed, has expired or has another purpose."""
        text, _, signature = signed.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(purpose, text).encode()):
            return None
        encoded, _, until = text.partition(".")
        if not until.isdigit() or int(until) <= now:
            return None
        try:
            return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
        except (ValueError, binascii.Error):
            return None

    def opaque(self, value: str) -> str:
        """Return an identifier of the value that reveals nothing of it."""
        return self._signature("name", value)[:22]

    def _signature(self, purpose: str, text: str) -> str:
        message = f"{purpose}\0{text}".encode()
        return _encode(hmac.new(self._secret, message, hashlib.sha256).digest())


def stored_secret(path: Path) -> bytes | None:
    """Return the secret in a file that only this user can read, after creating it if needed.

    Args:
        path: The file. Processes that create it at once get the same secret.

    Returns:
        None if it can't be read or created.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as file:
                file.write(secrets.token_bytes(SECRET_BYTES))
                file.flush()
                with suppress(FileExistsError):
                    os.link(file.name, path)
        secret = path.read_bytes()
    except OSError:
        return None
    return secret if len(secret) == SECRET_BYTES else None


def set_cookie(
    scope: Mapping[str, Any], name: str, value: str, max_age_s: float
) -> tuple[str, str]:
    """Return the header that sets a cookie which no script can read; an empty value deletes it.

    With TLS the cookie also works in frames on other sites, as a Space is shown in one, and is
    separate for each of these sites. (Starlette's `partitioned=True` raises below Python 3.14.)
    """
    parts = [f"{name}={value}", "Path=/", f"Max-Age={int(max_age_s) if value else 0}", "HttpOnly"]
    parts += ["SameSite=None", "Secure", "Partitioned"] if is_https(scope) else ["SameSite=Lax"]
    return "set-cookie", "; ".join(parts)


def read_cookie(scope: Mapping[str, Any], name: str) -> str:
    """Return a cookie's value, "" when it is missing."""
    cookies: SimpleCookie = SimpleCookie()
    for part in header(scope, "cookie").replace(",", ";").split(";"):
        if part.strip().startswith(f"{name}="):
            try:
                cookies.load(part.strip())
            except CookieError:
                return ""
    return cookies[name].value if name in cookies else ""


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
