"""Whose page a request comes from. Cookies alone don't say: browsers send them for others too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from akash_gradio.http.asgi import header


def is_foreign(scope: Mapping[str, Any], allowed: frozenset[str]) -> bool:
    """Whether a browser says that another site's page sends this.

    allowed: further origins, as `https://host`. Without `Origin` it is no page's script.
    """
    origin = header(scope, "origin")
    if not origin or is_invited(scope, allowed):
        return False
    theirs = _site(origin)
    # Not X-Forwarded-Host: a page can send one, because Gradio's CORS allows every header.
    return theirs is None or theirs != _site(f"//{header(scope, 'host')}")


def is_invited(scope: Mapping[str, Any], allowed: frozenset[str]) -> bool:
    """Whether a page of one of these origins sends this."""
    return header(scope, "origin").rstrip("/").lower() in allowed


def _site(url: str) -> tuple[str, int | None] | None:
    """Host and port, without a scheme's usual port: behind a proxy the schemes differ."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname:
        return None
    return parts.hostname.lower(), None if port in (80, 443) else port
