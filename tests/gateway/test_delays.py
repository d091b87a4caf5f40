from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akash_gradio.gateway.delays import (
    delay_from_headers,
    delay_from_resets,
    delay_from_text,
    parse_duration,
    parse_retry_after,
)

NOW = datetime(2026, 11, 5, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("9999", 3600.0),
        ("Thu, 05 Nov 2026 12:00:09 GMT", 9.0),
        ("Thursday, 05-Nov-26 12:00:09 GMT", 9.0),
        ("Thu, 05 Nov 2026 11:00:00 GMT", 0.0),
        ("Thu, 05 Nov 2099 12:00:00 GMT", 3600.0),
        ("Thu, 05 Nov 2026 13:00:09 +0100", 9.0),
    ],
)
def test_retry_after_is_parsed(value: str, seconds: float) -> None:
    assert parse_retry_after(value, now=NOW) == seconds


@pytest.mark.parametrize(
    "value", ["", "soon", "-5", "nan", "inf", "1e9", "٣", "1 2", "Thu, 99 Nov 2026", "9" * 400]
)
def test_an_invalid_retry_after_is_none(value: str) -> None:
    assert parse_retry_after(value, now=NOW) is None


@given(st.text())
def test_any_retry_after_is_none_or_within_the_cap(value: str) -> None:
    seconds = parse_retry_after(value, now=NOW)
    assert seconds is None or 0 <= seconds <= 3600


@given(st.integers(0, 3599))
def test_a_date_gives_the_same_delay_as_seconds(seconds: int) -> None:
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert parse_retry_after(date, now=NOW) == seconds


def test_milliseconds_take_precedence_over_seconds() -> None:
    headers = {"retry-after": "9", "retry-after-ms": "250"}
    assert delay_from_headers(headers, now=NOW) == 0.25
    assert delay_from_headers({**headers, "retry-after-ms": "soon"}, now=NOW) == 9
    assert delay_from_headers({}, now=NOW) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("26s", 26),
        ("26.5s", 26.5),
        ("26.123456789012s", 26.123456789012),
        ("6m0s", 360),
        ("1m12.5s", 72.5),
        ("120ms", 0.12),
        ("1h2m3s", 3600),
        ("1h", 3600),
        ("2 days", 3600),
        ("20 seconds", 20),
        ("1 minute", 60),
        ("1 minute and 5 seconds", 65),
        ("3 mins", 180),
        ("7", 7),
    ],
)
def test_durations_are_parsed(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "5 apples", "s", "-5s", "٣s"])
def test_other_texts_are_no_duration(text: str) -> None:
    assert parse_duration(text) is None


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        (
            "Rate limit reached for model `m` on tokens per minute (TPM): Limit 6000, Used 5034, "
            "Requested 1443. Please try again in 4.77s. Visit https://h for more information.",
            4.77,
        ),
        ("Rate limit reached. Please try again in 1m12.5s.", 72.5),
        ("Please try again in 20ms. Contact us.", 0.02),
        ("Requests have exceeded the rate limit. Please retry after 20 seconds.", 20),
        ("You exceeded your current quota.\nPlease retry in 26.360393457s.", 26.360393457),
        ("Too many requests. Try again in about 5 minutes", 300),
        ("Please wait 30 seconds before sending another request.", 30),
        ("The limit resets in 2m.", 120),
        ("available again after 10 s", 10),
    ],
)
def test_the_delay_of_a_message_is_read(message: str, seconds: float) -> None:
    assert delay_from_text(message) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "message",
    [
        "Rate limit reached: 60 requests per minute.",
        "Please try again later.",
        "Try again in a moment.",
        "The model was loaded in 20 seconds.",
    ],
)
def test_other_messages_name_no_delay(message: str) -> None:
    assert delay_from_text(message) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        # OpenAI, Groq
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "6m0s"}, 1),
        (
            {
                "x-ratelimit-remaining-requests": "99",
                "x-ratelimit-reset-requests": "12ms",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "6m0s",
            },
            360,
        ),
        # Azure
        ({"x-ratelimit-reset-tokens": "-1"}, None),
        ({"x-ratelimit-reset-tokens": "0"}, None),
        ({"x-ratelimit-reset-tokens": "38"}, 38),
        # Anthropic
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2026-11-05T12:00:30Z",
            },
            30,
        ),
        # GitHub, OpenRouter: seconds and milliseconds of the epoch
        ({"x-ratelimit-reset": str(int(NOW.timestamp()) + 40)}, 40),
        ({"x-ratelimit-reset": str(int(NOW.timestamp()) * 1000 + 41_000)}, 41),
        ({"ratelimit-reset": "50"}, 50),
        ({"x-ratelimit-reset": "soon"}, None),
        ({}, None),
    ],
)
def test_the_resets_of_used_up_rate_limits_are_read(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert delay_from_resets(headers, now=NOW) == seconds


@given(st.text(), st.text(), st.text())
def test_no_text_causes_an_exception(first: str, second: str, third: str) -> None:
    for delay_s in (
        parse_duration(first),
        delay_from_text(f"try again in {first}"),
        delay_from_resets(
            {"x-ratelimit-reset-tokens": second, "x-ratelimit-reset": third}, now=NOW
        ),
    ):
        assert delay_s is None or 0 <= delay_s <= 3600
