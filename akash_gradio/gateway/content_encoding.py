"""Undoes Content-Encoding in bounded steps, so that a small packet can't become much memory."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

LARGEST_PIECE: Final = 256 * 1024
"""Bytes handed out at once."""

Decode: TypeAlias = Callable[[bytes], Iterator[bytes]]
"""Takes what came, gives what it means; raises InvalidEncoding."""


class InvalidEncoding(ValueError):
    """The bytes are not what the Content-Encoding says, or it names one we don't know."""


def make_decoder(content_encoding: str | None) -> Decode | None:
    """How to read a body, None when it is plain. Knows gzip, deflate and br.

    content_encoding: the header's value. Raises InvalidEncoding for any other.
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
    """gzip, or deflate with and without zlib's header (servers send both)."""

    def __init__(self, window_bits: int) -> None:
        self._window_bits = window_bits
        self._stream = zlib.decompressobj(window_bits)
        self._begun = False
        self._head = b""
        """zlib's header has two bytes: before them it isn't known whether there is one."""

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
            piece = self._stream.decompress(data, LARGEST_PIECE)
        except zlib.error:
            if self._begun or self._window_bits != zlib.MAX_WBITS:
                raise InvalidEncoding("zlib") from None
            self._begun = True
            self._window_bits = -zlib.MAX_WBITS
            self._stream = zlib.decompressobj(self._window_bits)
            return self._inflate(self._head + data)
        if not self._begun:
            self._head += data[:2]
            self._begun = len(self._head) >= 2
        return piece


class _Brotli:
    def __init__(self) -> None:
        import brotli  # type: ignore[import-untyped]  # it has no types

        self._stream: Any = brotli.Decompressor()
        self._error: type[Exception] = brotli.error

    def __call__(self, data: bytes) -> Iterator[bytes]:
        more = True
        while more:
            try:
                piece = self._stream.process(data, output_buffer_limit=LARGEST_PIECE)
            except self._error:
                raise InvalidEncoding("br") from None
            data = b""
            more = len(piece) >= LARGEST_PIECE or not self._stream.can_accept_more_data()
            if piece:
                yield piece
