from __future__ import annotations

import base64
import html
import json
import re
import time
from collections.abc import Callable
from itertools import pairwise
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akash_gradio.domain.known_secrets import (
    PIECE,
    PLAIN_PIECE,
    REMOVED,
    KnownSecrets,
    endpoint_secrets,
)

PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
SECRETS = st.text(PRINTABLE, min_size=16, max_size=80)
LETTERS, DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "0123456789"
RANDOM_KEYS = st.lists(
    st.tuples(st.sampled_from(LETTERS), st.sampled_from(DIGITS)), min_size=12, max_size=32
).map(lambda pairs: "".join(map("".join, pairs)))

ENCODERS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON with escaped slashes": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "a URL": lambda text: quote(text, safe=""),
    "a URL in lower case": lambda text: re.sub(
        "%..", lambda code: code[0].lower(), quote(text, safe="")
    ),
    "a form": quote_plus,
    "HTML": html.escape,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64 after a byte": lambda text: base64.b64encode(b":" + text.encode()).decode(),
    "base64 between others": lambda text: base64.b64encode(f"ab{text}cd".encode()).decode(),
}


def pieces(text: str, length: int = PIECE) -> list[str]:
    return [text[i : i + length] for i in range(len(text) - length + 1)]


def longest_piece(secret: str, text: str) -> int:
    """Return the length of the longest part of a secret in a text."""
    lengths = (n for n in range(len(secret), 0, -1) if any(p in text for p in pieces(secret, n)))
    return next(lengths, 0)


@pytest.mark.parametrize("encode", ENCODERS.values(), ids=ENCODERS)
@given(
    secret=SECRETS,
    before=st.text(max_size=20),
    after=st.text(max_size=20),
    cut=st.tuples(st.integers(0, 30), st.integers(0, 30)),
)
def test_no_encoding_of_a_secret_is_left_in_an_error(
    encode: Callable[[str], str], secret: str, before: str, after: str, cut: tuple[int, int]
) -> None:
    shown = encode(secret)
    whole = KnownSecrets([secret]).redact(f"{before}{shown}{after}")
    assert secret not in whole
    assert shown not in whole
    part = shown[cut[0] : len(shown) - cut[1]]
    if len(part) >= PIECE + 3:  # base64 has up to three characters that others influence
        truncated = KnownSecrets([secret]).redact(f"{before}{part}{after}")
        assert part not in truncated


@given(
    secret=RANDOM_KEYS, cuts=st.lists(st.integers(0, 200), max_size=12), text=st.text(max_size=40)
)
def test_no_piece_of_a_key_is_left_in_a_stream_however_it_is_divided(
    secret: str, cuts: list[int], text: str
) -> None:
    whole = f"{text} {secret}{text}"
    stream = KnownSecrets([secret]).answer_stream()
    ends = [0, *sorted(cut for cut in cuts if cut < len(whole)), len(whole)]
    shown = "".join(stream.feed(whole[a:b]) for a, b in pairwise(ends))
    middle = shown.removeprefix(text).removesuffix(text)
    assert longest_piece(secret, middle) < PIECE
    assert REMOVED in shown


@given(st.lists(st.text(max_size=9), max_size=9))
def test_a_stream_without_a_secret_is_unchanged(parts: list[str]) -> None:
    stream = KnownSecrets(["Zq7Xw9Kp2Lm4Nb6V"]).answer_stream()
    assert [stream.feed(part) for part in parts] == parts


@pytest.mark.parametrize(
    ("name", "value", "parts"),
    [
        ("authorization", "Bearer s3cr3t-t0ken", ["s3cr3t-t0ken"]),
        (
            "Authorization",
            "Basic " + base64.b64encode(b"ann4-lena:pass-w0rd").decode(),
            ["ann4-lena", "pass-w0rd", "ann4-lena:pass-w0rd"],
        ),
        ("authorization", "token s3cr3t-t0ken", ["s3cr3t-t0ken"]),
        (
            "Authorization",
            'Digest username="annalena1", response="0123abcd9"',
            ["annalena1", "0123abcd9"],
        ),
        (
            "Authorization",
            "AWS4-HMAC-SHA256 Credential=AKIA1234/x, Signature=0fe12dca99",
            ["0fe12dca99"],
        ),
        (
            "Cookie",
            "theme=dark; session=abc123def%20; csrf=99aa88bb7",
            ["abc123def%20", "abc123def ", "99aa88bb7"],
        ),
        ("X-Auth", '{"tenant":"acme-12345","key":"k3y-k3y-k3y"}', ["acme-12345", "k3y-k3y-k3y"]),
        ("X-Parts", "one11111;two22222|three333", ["one11111", "two22222", "three333"]),
    ],
)
def test_the_parts_of_a_header_are_secrets(name: str, value: str, parts: list[str]) -> None:
    secrets = endpoint_secrets(None, [(name, value)])
    for part in [value, *parts]:
        assert part not in secrets.redact(f"bad {part}!")
        assert part.strip() not in secrets.redact_answer(f"I got {part}!")


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://host/v1?api-key=abc12345&api-version=2024-05-01", ["abc12345"]),
        ("https://host/v1?sig=a%2Bb12345cd", ["a+b12345cd"]),
        ("https://host/v1?api-version=2024-05-01&subscription=zz11122z", ["zz11122z"]),
        ("https://annalena:pass-w0rd@host/v1", ["annalena", "pass-w0rd"]),
    ],
)
def test_the_secrets_of_a_base_url_are_known(url: str, parts: list[str]) -> None:
    secrets = endpoint_secrets(None, [], url)
    for part in parts:
        assert part not in secrets.redact(f"bad {part}!")
    assert secrets.redact("on 2024-05-01 at https://host/v1") == "on 2024-05-01 at https://host/v1"


ORDINARY = (
    "The correct horse has a battery-powered staple. See https://akash.network and Akash Chat. "
    "Keys of OpenRouter begin with sk-or-v1-, those of Anthropic with sk-ant-api03-. A JWT begins "
    "with eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9. On 2024-05-01, token-abc is no key; password, "
    "internationalization, configuration_file, JavaScript, 1234567890."
)


@pytest.mark.parametrize(
    ("key", "headers"),
    [
        ("correct-horse-battery-staple", []),
        ("EMPTY", []),
        ("password", []),
        ("akash", [("HTTP-Referer", "https://akash.network"), ("X-Title", "Akash Chat")]),
        ("sk-or-v1-0123456789abcdef0123456789abcdef", []),
        ("sk-ant-api03-0123456789abcdef0123456789abcdef", []),
        ("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", []),
        (None, [("X-Cache", "true"), ("Accept-Language", "de-DE"), ("User-Agent", "Mozilla/5.0")]),
    ],
)
def test_ordinary_words_stay_in_answers(key: str | None, headers: list[tuple[str, str]]) -> None:
    secrets = endpoint_secrets(key, headers)
    assert secrets.redact_answer(ORDINARY) == ORDINARY
    stream = secrets.answer_stream()
    assert "".join(stream.feed(f"{word} ") for word in ORDINARY.split()) == f"{ORDINARY} "


def test_a_word_like_key_is_removed_from_twelve_characters() -> None:
    secrets = endpoint_secrets("correct-horse-battery-staple", [])
    assert secrets.redact_answer("a correct-hor b") == "a correct-hor b"
    for length in (PLAIN_PIECE, 20, 28):
        shown = secrets.redact_answer(f"a {'correct-horse-battery-staple'[:length]} b")
        assert shown == f"a {REMOVED} b"


def test_a_long_answer_is_searched_too() -> None:
    key = "sk-proj-4Fz9Qm2Lk8Vb7Xc1"
    secrets = endpoint_secrets(key, [])
    text = "word " * 2000
    for piece in (key, key[:16], key[-8:], base64.b64encode(key.encode()).decode()):
        assert REMOVED in secrets.redact_answer(f"{text}{piece} {text}")


def test_the_time_grows_linearly_with_the_text() -> None:
    secrets = endpoint_secrets("sk-proj-" + "4Fz9Qm2Lk8Vb7Xc1" * 8, [])

    def seconds(characters: int) -> float:
        text, timings = "4Fz9Qm2L" * (characters // 8), []
        for _ in range(3):
            start = time.process_time()
            secrets.redact_answer(text)
            timings.append(time.process_time() - start)
        return min(timings)

    assert seconds(64_000) < 24 * seconds(8_000) + 0.01
