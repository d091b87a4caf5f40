"""Decodes Content-Encoding in bounded pieces, so that a small packet can't expand into memory."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

MAX_PIECE_BYTES: Final = 256 * 1024
"""Largest piece that a decoder yields."""

Decode: TypeAlias = Callable[[bytes], Iterator[bytes]]
"""Decodes the next bytes of a body; raises InvalidEncoding."""


class InvalidEncoding(ValueError):
    """The body doesn't match its Content-Encoding, or the encoding isn't supported."""


def make_decoder(content_encoding: str | None) -> Decode | None:
    """Return the decoder for a Content-Encoding header, None for an unencoded body.

    Supports gzip, deflate and br.

    Raises:
        InvalidEncoding: The encoding isn't supported.
    """
    name = (content_encoding or "").strip().lower()
    if name in ("", "identity"):
        return None
    if name in ("gzip", "x-gzip"):
        return _Zlib(zlib.MAX_WBITS | 16)
    if name == "deflate":
        return _Zlib(zlib.MAX_WBITS)
    if name == "br":
        return _Brotli()
    raise InvalidEncoding(name[:40])


class _Zlib:
    """gzip, or deflate with or without the zlib header (servers send both)."""

    def __init__(self, window_bits: int) -> None:
        self._window_bits = window_bits
        self._stream = zlib.decompressobj(window_bits)
        self._header_checked = False
        self._head = b""
        """The bytes before the two of the zlib header are complete."""

    def __call__(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._stream.eof:
                self._stream = zlib.decompressobj(self._window_bits)
            piece = self._inflate(data)
            data = self._stream.unused_data or self._stream.unconsumed_tail
            if piece:
                yield piece

    def _inflate(self, data: bytes) -> bytes:
        try:
            piece = self._stream.decompress(data, MAX_PIECE_BYTES)
        except zlib.error:
            if self._header_checked or self._window_bits != zlib.MAX_WBITS:
                raise InvalidEncoding("zlib") from None
            self._header_checked = True
            self._window_bits = -zlib.MAX_WBITS
            self._stream = zlib.decompressobj(self._window_bits)
            return self._inflate(self._head + data)
        if not self._header_checked:
            self._head += data[:2]
            self._header_checked = len(self._head) >= 2
        return piece


class _Brotli:
    def __init__(self) -> None:
        import brotli  # type: ignore[import-untyped]  # it has no types

        self._stream: Any = brotli.Decompressor()
        self._error: type[Exception] = brotli.error

    def __call__(self, data: bytes) -> Iterator[bytes]:
        has_more = True
        while has_more:
            try:
                piece = self._stream.process(data, output_buffer_limit=MAX_PIECE_BYTES)
            except self._error:
                raise InvalidEncoding("br") from None
            data = b""
            has_more = len(piece) >= MAX_PIECE_BYTES or not self._stream.can_accept_more_data()
            if piece:
                yield piece
