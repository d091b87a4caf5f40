"""Response headers that restrict what a browser lets the page do."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

_INLINE_SCRIPT: Final = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL | re.I)

ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (
        b"permissions-policy",
        b"camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()",
    ),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""On every response of the page. Not X-Frame-Options, which allows no list of sites: a Space is
shown in a frame."""

HSTS: Final = (b"strict-transport-security", b"max-age=31536000")
NO_STORE: Final = (b"cache-control", b"no-store")
PRIVATE: Final = (b"cache-control", b"private, no-cache")
"""Beside a visitor's cookie, so that no shared cache gives it to another visitor."""
STATIC_POLICY: Final = (
    b"content-security-policy",
    b"default-src 'none'; style-src 'unsafe-inline'; sandbox",
)
"""For drawings and reports, which run no script."""
MAX_CACHED_BYTES: Final = 1_000_000
"""Largest HTML whose policy is cached; the cache holds the HTML."""


def page_policy(html: bytes, frame_ancestors: str) -> bytes:
    """Return the Content-Security-Policy of a page: it runs only its own files and inline scripts.

    Args:
        html: The complete page; inline scripts are allowed by their hashes.
        frame_ancestors: Sources, besides the page's own host, that may show it in a frame.
    """
    return (_cached_policy if len(html) < MAX_CACHED_BYTES else _policy)(html, frame_ancestors)


def _policy(html: bytes, frame_ancestors: str) -> bytes:
    hashes = " ".join(f"'sha256-{digest}'" for digest in _script_digests(html))
    directives = (
        "default-src 'self'",
        # Gradio's page has inline scripts with its configuration. Their hashes allow these and
        # no other. 'unsafe-eval': Gradio compiles the `js=` of events (`new AsyncFunction`), and
        # Svelte's templates.
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
    return "; ".join(directives).encode("latin-1", "ignore")


_cached_policy = lru_cache(maxsize=4)(_policy)


def _script_digests(html: bytes) -> Iterable[str]:
    scripts = _INLINE_SCRIPT.findall(html)
    return sorted({base64.b64encode(hashlib.sha256(s).digest()).decode() for s in scripts})
