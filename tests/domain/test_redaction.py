from __future__ import annotations

import io
import logging
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akash_gradio.domain.known_secrets import REMOVED
from akash_gradio.domain.redaction import SecretFilter, redact

KEY = "correct-horse-battery"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Incorrect API key provided: sk-proj-abc123DEF456.", "sk-proj-abc123DEF456"),
        ("Incorrect API key provided: sk-ab***********wxyz", "wxyz"),
        ("token hf_abcDEF123456 is bad", "hf_abcDEF123456"),
        ("Authorization: Bearer abc", "abc"),
        ("sent bearer abcdefgh", "abcdefgh"),
        ('{"authorization": "Basic dXNlcjpwYXNz"}', "dXNlcjpwYXNz"),
        ("Invalid API key: hunter2", "hunter2"),
        ('{"api_key":"hunter2"}', "hunter2"),
        ("GET https://h/v1?key=hunter2&x=1", "hunter2"),
        ("https://user:hunter2@host/v1", "hunter2"),
        ("https://user:hunt@er2@host/v1", "hunt"),
        ("AIzaSyA1234567890abcdef", "SyA1234567890"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "eyJzdWIi"),
        ("bad key 0123456789abcdef0123456789abcdef", "0123456789abcdef"),
        ("bad key Zm9vYmFyYmF6cXV4-Zm9vYmFyYmF6cXV4_1", "Zm9vYmFyYmF6cXV4"),
    ],
)
def test_removes_what_looks_like_a_key(text: str, secret: str) -> None:
    assert secret not in redact(text)
    assert REMOVED in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "The model `Meta-Llama-4-Maverick-17B-128E-Instruct-FP8` does not exist.",
        "The model `meta-llama/Llama-3.3-70B-Instruct-Turbo` does not exist.",
        "request 123e4567-e89b-12d3-a456-426614174000 failed",
        "This model's maximum context length is 4096 tokens, prompt_tokens: 5000",
        "see https://example.com/docs?page=2#keys",
        'File "/usr/lib/python3.11/site-packages/akash_gradio/gateway/stream_reader.py", line 12',
        "Unexpected token: } at 12",
        "donaudampfschifffahrtsgesellschaft 123456789012345678901234567890",
        "",
    ],
)
def test_ordinary_text_is_unchanged(text: str) -> None:
    assert redact(text) == text


@given(st.text())
def test_any_text_can_be_redacted(text: str) -> None:
    redact(text)


@pytest.mark.parametrize(
    "piece",
    [
        "://x",
        "a://",
        "bearer ",
        "api_key",
        "api key    ",
        "?key=",
        "aaaaaaaaaaaaaaa-",
        "sk-a ",
        "1",
    ],
)
def test_the_time_grows_linearly_with_the_text(piece: str) -> None:
    def seconds(characters: int) -> float:
        text, timings = piece * (characters // len(piece)), []
        for _ in range(3):
            start = time.process_time()
            redact(text)
            timings.append(time.process_time() - start)
        return min(timings)

    assert seconds(56_000) < 24 * seconds(7_000) + 0.01


def attach_filter(log: logging.Logger, *secrets: str) -> tuple[SecretFilter, io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s %(fact)s", defaults={"fact": ""}))
    filter_ = SecretFilter(*secrets)
    handler.addFilter(filter_)
    log.handlers, log.propagate = [handler], False
    log.setLevel(logging.DEBUG)
    return filter_, stream


@pytest.fixture
def log(request: pytest.FixtureRequest) -> logging.Logger:
    return logging.Logger(request.node.name)


class Holder:
    def __repr__(self) -> str:
        return f"Holder({KEY})"


class Broken:
    def __str__(self) -> str:
        raise RuntimeError(KEY)


@pytest.mark.parametrize(
    ("message", "args"),
    [
        (f"key is {KEY}", ()),
        ("key is %s", (KEY,)),
        ("key is %(key)s", ({"key": KEY},)),
        ("%s", ([{"deep": (KEY,)}],)),
        ("%s", (Holder(),)),
        ("%r", (Holder(),)),
        ("%s", (ValueError(KEY),)),
        (Holder(), ()),
        ("correct-%s", ("horse-battery",)),
        ("%s", (Broken(),)),
    ],
)
def test_a_known_secret_never_reaches_the_message(
    log: logging.Logger, message: object, args: tuple[object, ...]
) -> None:
    _, stream = attach_filter(log, KEY)
    log.info(message, *args)
    assert stream.getvalue()
    assert KEY not in stream.getvalue()


def test_a_known_secret_never_reaches_the_traceback(log: logging.Logger) -> None:
    _, stream = attach_filter(log, KEY)
    try:
        raise ValueError(KEY)
    except ValueError:
        log.exception("failed")
    assert "ValueError" in stream.getvalue()
    assert KEY not in stream.getvalue()


def test_a_known_secret_never_reaches_the_extras() -> None:
    record = logging.makeLogRecord({"msg": "x", "headers": {"auth": KEY}, "seconds": 1.5})
    assert SecretFilter(KEY).filter(record)
    assert KEY not in repr(record.__dict__)
    assert record.__dict__["seconds"] == 1.5


def test_the_exception_is_removed_from_the_record() -> None:
    try:
        raise ValueError(KEY)
    except ValueError:
        record = logging.makeLogRecord({"msg": "x", "exc_info": sys.exc_info()})
    SecretFilter(KEY).filter(record)
    assert record.exc_info is None


def test_secrets_added_later_are_removed_in_plain_and_percent_encoded_form(
    log: logging.Logger,
) -> None:
    filter_, stream = attach_filter(log)
    filter_.add("p@ss word/1")
    log.info("a p@ss word/1 b p%40ss%20word%2F1 c")
    assert stream.getvalue().strip() == f"a {REMOVED} b {REMOVED} c"


def test_the_longer_of_two_overlapping_secrets_is_removed() -> None:
    assert SecretFilter("abcdef", "abcdefghi").redact("abcdefghi") == REMOVED


def test_key_shapes_are_removed_even_if_unknown(log: logging.Logger) -> None:
    _, stream = attach_filter(log)
    log.info("api_key=%s", "hunter2")
    log.info("Bearer %s", "hunter2")
    assert "hunter2" not in stream.getvalue()
    assert "api_key=" in stream.getvalue()


def test_arguments_are_redacted_one_by_one() -> None:
    # uvicorn's access formatter unpacks them.
    args = ("1.2.3.4:5", "GET", "/v1/models?key=hunter2", "1.1", 200)
    record = logging.makeLogRecord({"msg": '%s - "%s %s HTTP/%s" %d', "args": args})
    SecretFilter(KEY).filter(record)
    assert record.args == ("1.2.3.4:5", "GET", f"/v1/models?key={REMOVED}", "1.1", 200)


def test_placeholder_keys_are_not_redacted() -> None:
    assert SecretFilter("", "none", "EMPTY").redact("none is EMPTY") == "none is EMPTY"
