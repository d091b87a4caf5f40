from __future__ import annotations

import gzip

import brotli  # type: ignore[import-untyped]
import pytest

from akash_gradio.http.compression import choose_encoding, compress

BODY = b"words and words and words " * 100


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("GZip , deflate", "gzip"),
        ("br;q=0, gzip", "gzip"),
        ("identity", ""),
        ("", ""),
        ("brotli", ""),
    ],
)
def test_the_encoding_is_one_that_the_browser_accepts(accepted: str, encoding: str) -> None:
    assert choose_encoding(accepted) == encoding


def test_a_compressed_body_decompresses_to_the_original() -> None:
    assert brotli.decompress(compress(BODY, "br")) == BODY
    assert gzip.decompress(compress(BODY, "gzip")) == BODY
    assert compress(BODY, "") == BODY
    assert len(compress(BODY, "br")) < len(BODY) / 10 > len(compress(BODY, "gzip"))
