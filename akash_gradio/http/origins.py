"""Detects cross-site requests by their Origin: browsers send cookies with these requests too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from akash_gradio.http.asgi import header


def is_cross_site(scope: Mapping[str, Any], allowed: frozenset[str]) -> bool:
    """Return whether another site's page sends the request.

    A request without an Origin isn't sent by a page.

    Args:
        scope: The ASGI scope of the request.
        allowed: Further origins whose pages may send requests, as `https://host`.
    """
    origin = header(scope, "origin")
    if not origin or is_allowed_origin(scope, allowed):
        return False
    site = _site(origin)
    # X-Forwarded-Host doesn't count: Gradio's CORS lets a page send any header.
    return site is None or site != _site(f"//{header(scope, 'host')}")


def is_allowed_origin(scope: Mapping[str, Any], allowed: frozenset[str]) -> bool:
    """Return whether a page of one of these origins sends the request."""
    return header(scope, "origin").rstrip("/").lower() in allowed


def _site(url: str) -> tuple[str, int | None] | None:
    """Return host and port, without a default port: behind a proxy the schemes differ."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname:
        return None
    return parts.hostname.lower(), None if port in (80, 443) else port
