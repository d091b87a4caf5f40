from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import brotli  # type: ignore[import-untyped]  # it has no types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from akash_gradio.gateway.content_encoding import MAX_PIECE_BYTES, InvalidEncoding, make_decoder

ENCODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-Gzip", gzip.compress),
    "gzip twice": ("gzip", lambda data: gzip.compress(data) + gzip.compress(b"")),
    "zlib": ("deflate", zlib.compress),
    "raw deflate": ("deflate", lambda data: zlib.compress(data)[2:-4]),
    "br": ("br", brotli.compress),
}


def decode_all(name: str, encoded: bytes, step: int) -> list[bytes]:
    decode = make_decoder(name)
    assert decode is not None
    return [p for at in range(0, len(encoded), step) for p in decode(encoded[at : at + step])]


@given(st.sampled_from(sorted(ENCODERS)), st.binary(max_size=2000), st.integers(1, 400))
def test_decodes_what_was_encoded_in_reads_of_any_size(
    encoder: str, data: bytes, step: int
) -> None:
    name, encode = ENCODERS[encoder]
    assert b"".join(decode_all(name, encode(data), step)) == data


@pytest.mark.parametrize("encoder", sorted(ENCODERS))
def test_a_small_packet_is_decoded_in_bounded_pieces(encoder: str) -> None:
    name, encode = ENCODERS[encoder]
    pieces = decode_all(name, encode(bytes(20_000_000)), 1 << 30)
    assert sum(map(len, pieces)) == 20_000_000
    assert max(map(len, pieces)) <= 2 * MAX_PIECE_BYTES


def test_a_flushed_event_is_available_at_once() -> None:
    encoder = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    decode = make_decoder("gzip")
    assert decode is not None
    for event in (b"data: one\n\n", b"data: two\n\n"):
        sent = encoder.compress(event) + encoder.flush(zlib.Z_SYNC_FLUSH)
        assert b"".join(decode(sent)) == event


@pytest.mark.parametrize(
    "name", [None, "", "identity", " Identity ", "UTF-8", "none", "nonsense", "utf-8, identity"]
)
def test_an_unencoded_body_needs_no_decoder(name: str | None) -> None:
    assert make_decoder(name) is None


def test_an_unknown_name_beside_a_known_one_is_ignored() -> None:
    assert b"".join(decode_all("gzip, UTF-8", gzip.compress(b"text"), 3)) == b"text"


def test_a_body_may_be_encoded_twice() -> None:
    twice = brotli.compress(gzip.compress(b"text" * 99))
    assert b"".join(decode_all("gzip, br", twice, 7)) == b"text" * 99


@pytest.mark.parametrize("step", [1, 7, 1000])
@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd", "gzip, br"])
@pytest.mark.parametrize(
    "body",
    [b'data: {"choices": []}\n\n', b'{"choices": [], "x": 1}', b": ping ping ping\n\n",
     b"\xef\xbb\xbfevent: message\ndata: {}\n\n", b"\n\n  [1, 2, 3, 4, 5, 6, 7]"],
)  # fmt: skip
def test_text_that_claims_to_be_encoded_is_read_as_it_is(body: bytes, name: str, step: int) -> None:
    assert b"".join(decode_all(name, body, step)) == body


@pytest.mark.parametrize("name", ["deflate", "br", "zstd"])
def test_a_body_in_another_encoding_is_rejected(name: str) -> None:
    with pytest.raises(InvalidEncoding):
        decode_all(name, b"\x28\xb5\x2f\xfd" + bytes(range(128, 200)), 1000)
