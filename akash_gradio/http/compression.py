"""Bodies made smaller on their way to a browser, in an encoding that it takes."""

from __future__ import annotations

import gzip
from typing import Final

import brotli  # type: ignore[import-untyped]  # it has no types

MIN_BYTES: Final = 600
"""From here on it is worth the work."""
LIVE: Final = 5
"""How hard Brotli tries while a visitor waits: 80 kB of HTML take a millisecond or two."""
STATIC_QUALITY: Final = 8
"""And for what is made once and sent for days; more takes ten times as long, and saves 7 %."""


def choose_encoding(accepted: str) -> str:
    """`br`, `gzip` or "" for a request's Accept-Encoding; one with `;q=` isn't taken."""
    names = {name.strip().lower() for name in accepted.split(",")}
    return next((name for name in ("br", "gzip") if name in names), "")


def compress(body: bytes, encoding: str, *, quality: int = LIVE) -> bytes:
    """The body in that encoding of `choose_encoding`. quality: Brotli's."""
    if encoding == "br":
        packed: bytes = brotli.compress(body, quality=quality)
        return packed
    return gzip.compress(body, compresslevel=6, mtime=0) if encoding else body
