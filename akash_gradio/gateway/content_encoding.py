"""Decodes Content-Encoding in bounded pieces, so that a small packet can't expand into memory."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

MAX_PIECE_BYTES: Final = 256 * 1024
"""Largest piece that a decoder yields."""

_SNIFFED_BYTES: Final = 16
_TEXT: Final = re.compile(rb"\s*(?:\xef\xbb\xbf)?(?:[{\[:]|data|event|retry|id)[\t\n\r -~]*")
"""The beginning of JSON or of an event stream."""
_MAYBE_TEXT: Final = re.compile(rb"\s*(?:\xef(?:\xbb(?:\xbf)?)?)?(?:[{\[:deri][\t\n\r -~]*)?")

Decode: TypeAlias = Callable[[bytes], Iterator[bytes]]
"""Decodes the next bytes of a body; raises InvalidEncoding."""


class InvalidEncoding(ValueError):
    """The body doesn't match its Content-Encoding, or the encoding isn't supported."""


def make_decoder(content_encoding: str | None) -> Decode | None:
    """Return the decoder for a Content-Encoding header, None for an unencoded body.

    Supports gzip, deflate and br. Other names are ignored, since servers write `UTF-8` or `none`
    there, and a body that is plain text is read as it is, whatever the header says.
    """
    decode: Decode | None = None
    for name in reversed((content_encoding or "").lower().split(",")):
        make = _DECODERS.get(name.strip())
        if make is not None:
            decode = make() if decode is None else _Chain(decode, make())
    return decode


class _Chain:
    """Decodes a body that was encoded twice."""

    def __init__(self, outer: Decode, inner: Decode) -> None:
        self._outer, self._inner = outer, inner

    def __call__(self, data: bytes) -> Iterator[bytes]:
        for piece in self._outer(data):
            yield from self._inner(piece)


class _UnlessText:
    """A decoder that lets plain text through.

    Args:
        decode: The decoder.
        magic: What every encoded body begins with, b"" if it isn't known.
    """

    def __init__(self, decode: Decode, magic: bytes = b"") -> None:
        self._decode, self._magic = decode, magic
        self._head: bytes | None = b""
        """The first bytes, None once it is known whether they are encoded."""
        self._is_text = False

    def __call__(self, data: bytes) -> Iterator[bytes]:
        if self._head is not None:
            data = self._head + data
            start = data[:_SNIFFED_BYTES]
            if self._magic:
                self._is_text = not start.startswith(self._magic)
            elif len(start) < _SNIFFED_BYTES and _MAYBE_TEXT.fullmatch(start):
                self._head = data
                return
            else:
                self._is_text = _TEXT.fullmatch(start) is not None
            self._head = None
        if self._is_text:
            yield data
        else:
            yield from self._decode(data)


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


_DECODERS: Final[dict[str, Callable[[], Decode]]] = {
    "gzip": lambda: _UnlessText(_Zlib(zlib.MAX_WBITS | 16), b"\x1f"),
    "x-gzip": lambda: _UnlessText(_Zlib(zlib.MAX_WBITS | 16), b"\x1f"),
    "deflate": lambda: _UnlessText(_Zlib(zlib.MAX_WBITS)),
    "br": lambda: _UnlessText(_Brotli()),
    "zstd": lambda: _UnlessText(_reject, b"\x28\xb5"),
}


def _reject(_data: bytes) -> Iterator[bytes]:
    """Raise InvalidEncoding: zstd isn't supported."""
    raise InvalidEncoding("zstd")
