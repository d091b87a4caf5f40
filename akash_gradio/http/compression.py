"""Bodies made smaller on their way to a browser, in an encoding that it takes."""

from __future__ import annotations

import gzip
from typing import Final

import brotli  # type: ignore[import-untyped]  # it has no types

SMALL_BYTES: Final = 600
"""From here on it is worth the work."""
LIVE: Final = 5
"""How hard Brotli tries while a visitor waits: 80 kB of HTML take a millisecond or two."""
KEPT: Final = 8
"""And for what is made once and sent for days; more takes ten times as long, and saves 7 %."""


def encoding_for(accepted: str) -> str:
    """`br`, `gzip` or "" for a request's Accept-Encoding; one with `;q=` isn't taken."""
    names = {name.strip().lower() for name in accepted.split(",")}
    return next((name for name in ("br", "gzip") if name in names), "")


def pack(body: bytes, encoding: str, *, quality: int = LIVE) -> bytes:
    """The body in that encoding of `encoding_for`. quality: Brotli's."""
    if encoding == "br":
        packed: bytes = brotli.compress(body, quality=quality)
        return packed
    return gzip.compress(body, compresslevel=6, mtime=0) if encoding else body
