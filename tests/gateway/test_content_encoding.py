from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import brotli  # type: ignore[import-untyped]  # it has no types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from akash_gradio.gateway.content_encoding import MAX_PIECE_BYTES, InvalidEncoding, make_decoder

PACKERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-Gzip", gzip.compress),
    "gzip twice": ("gzip", lambda data: gzip.compress(data) + gzip.compress(b"")),
    "zlib": ("deflate", zlib.compress),
    "raw deflate": ("deflate", lambda data: zlib.compress(data)[2:-4]),
    "br": ("br", brotli.compress),
}


def unpacked(name: str, packed: bytes, step: int) -> list[bytes]:
    decode = make_decoder(name)
    assert decode is not None
    return [p for at in range(0, len(packed), step) for p in decode(packed[at : at + step])]


@given(st.sampled_from(sorted(PACKERS)), st.binary(max_size=2000), st.integers(1, 400))
def test_unpacks_what_was_packed_however_it_is_cut(packer: str, data: bytes, step: int) -> None:
    name, pack = PACKERS[packer]
    assert b"".join(unpacked(name, pack(data), step)) == data


@pytest.mark.parametrize("packer", sorted(PACKERS))
def test_a_small_packet_never_becomes_much_at_once(packer: str) -> None:
    name, pack = PACKERS[packer]
    pieces = unpacked(name, pack(bytes(20_000_000)), 1 << 30)
    assert sum(map(len, pieces)) == 20_000_000
    assert max(map(len, pieces)) <= 2 * MAX_PIECE_BYTES


def test_an_event_is_there_as_soon_as_it_was_flushed() -> None:
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    decode = make_decoder("gzip")
    assert decode is not None
    for event in (b"data: one\n\n", b"data: two\n\n"):
        sent = packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH)
        assert b"".join(decode(sent)) == event


@pytest.mark.parametrize("name", [None, "", "identity", " Identity "])
def test_plain_bytes_need_no_decoder(name: str | None) -> None:
    assert make_decoder(name) is None


@pytest.mark.parametrize("name", ["gzip", "deflate", "br"])
def test_what_only_claims_to_be_packed_is_broken(name: str) -> None:
    with pytest.raises(InvalidEncoding):
        unpacked(name, b"<html>not packed at all</html>" * 9, 1000)


@pytest.mark.parametrize("name", ["zstd", "gzip, br", "nonsense"])
def test_an_unknown_packing_is_broken(name: str) -> None:
    with pytest.raises(InvalidEncoding):
        make_decoder(name)
