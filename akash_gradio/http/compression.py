"""Compresses responses in an encoding that the browser accepts."""

from __future__ import annotations

import asyncio
import gzip
from typing import Final

import brotli  # type: ignore[import-untyped]  # it has no types

MIN_BYTES: Final = 600
"""Smallest body that is worth compressing."""
DYNAMIC_QUALITY: Final = 5
"""Brotli's quality for what is compressed per request: 80 kB of HTML take 1 to 2 ms."""
INLINE_BYTES: Final = 100_000
"""Larger bodies are compressed in a thread."""
STATIC_QUALITY: Final = 8
"""Brotli's quality for what is compressed once. Higher ones take ten times as long, for 7 %."""


def choose_encoding(accepted: str) -> str:
    """Return `br`, `gzip` or "" for an Accept-Encoding header; names with `;q=` don't count."""
    names = {name.strip().lower() for name in accepted.split(",")}
    return next((name for name in ("br", "gzip") if name in names), "")


def compress(body: bytes, encoding: str, *, quality: int = DYNAMIC_QUALITY) -> bytes:
    """Compress a body.

    Args:
        body: The body.
        encoding: What `choose_encoding` returned; "" leaves the body as it is.
        quality: Brotli's quality.
    """
    if encoding == "br":
        compressed: bytes = brotli.compress(body, quality=quality)
        return compressed
    return gzip.compress(body, compresslevel=6, mtime=0) if encoding else body


async def compress_off_loop(body: bytes, encoding: str) -> bytes:
    """Do the same as `compress`, in a thread if the body is large: it needs no interpreter lock."""
    if len(body) <= INLINE_BYTES:
        return compress(body, encoding)
    return await asyncio.to_thread(compress, body, encoding)
