"""The headers that tell a browser what the page may do."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

_INLINE: Final = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL | re.I)

ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (
        b"permissions-policy",
        b"camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()",
    ),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""On whatever the page sends. No X-Frame-Options: it knows no list, and a Space is framed."""

HSTS: Final = (b"strict-transport-security", b"max-age=31536000")
NO_STORE: Final = (b"cache-control", b"no-store")
PRIVATE: Final = (b"cache-control", b"private, no-cache")
"""Beside a cookie that names a visitor: no cache between may hand it to another."""
STILL: Final = (
    b"content-security-policy",
    b"default-src 'none'; style-src 'unsafe-inline'; sandbox",
)
"""Of what is only to be looked at: drawings and reports."""
KEPT_BYTES: Final = 1_000_000
"""HTML from this size on isn't kept in memory for its policy."""


def page_policy(html: bytes, frame_ancestors: str) -> bytes:
    """The Content-Security-Policy of an HTML page: no script but its own files and its own blocks.

    frame_ancestors: the hosts, beside our own, in whose frames it may stand.
    """
    return (_kept if len(html) < KEPT_BYTES else _policy)(html, frame_ancestors)


def _policy(html: bytes, frame_ancestors: str) -> bytes:
    hashes = " ".join(f"'sha256-{digest}'" for digest in _script_digests(html))
    rules = (
        "default-src 'self'",
        # Gradio's page brings inline blocks that hold its configuration: they are let in by
        # their hashes, so that no other inline script runs. 'unsafe-eval': Gradio makes functions
        # of the `js=` of events (`new AsyncFunction`), and of Svelte's templates.
        f"script-src 'self' 'unsafe-eval' {hashes}".rstrip(),
        # Gradio's components and highlighted formulas set style attributes.
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "media-src 'self' data: blob:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "frame-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        f"frame-ancestors 'self' {frame_ancestors}".rstrip(),
    )
    return "; ".join(rules).encode("latin-1", "ignore")


_kept = lru_cache(maxsize=4)(_policy)


def _script_digests(html: bytes) -> Iterable[str]:
    found = {base64.b64encode(hashlib.sha256(s).digest()).decode() for s in _INLINE.findall(html)}
    return sorted(found)
