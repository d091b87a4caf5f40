from __future__ import annotations

import re

import pytest

from akash_gradio.domain import errors
from akash_gradio.web import texts
from akash_gradio.web.errors import error_view, failure_text
from tests.web.fakes import error_classes, every_error, make_receipt, with_receipt


def test_every_error_has_its_own_text() -> None:
    codes = {kind.code for kind in error_classes(errors.AkashGradioError)}
    assert codes <= set(texts.ERRORS)
    assert len(codes) == len(error_classes(errors.AkashGradioError))


def test_every_error_is_tested_here() -> None:
    assert error_classes(errors.AkashGradioError) == {type(error) for error in every_error()}


def test_every_reason_of_no_endpoint_has_a_text() -> None:
    reasons = set(re.findall(r"`(\w+)`", errors.NoEndpoint.__doc__ or ""))
    own = {name for name in texts.ERRORS if name.startswith("no_endpoint.")}
    assert {f"no_endpoint.{reason}" for reason in reasons} == own


def test_every_limit_has_a_text() -> None:
    reasons = set(re.findall(r"`(\w+)`", errors.LimitReached.__doc__ or ""))
    own = {name for name in texts.ERRORS if name.startswith("limit_reached.")}
    assert {f"limit_reached.{what}" for what in reasons} == own
    reasons = set(re.findall(r"`(\w+)`", errors.NotAllowed.__doc__ or "")) | {"value"}
    own = {name for name in texts.ERRORS if name.startswith("not_allowed.")}
    assert {f"not_allowed.{what}" for what in reasons} == own


def test_the_texts_of_failure_reasons_match_the_reasons() -> None:
    def reasons(kind: type) -> set[str]:
        return set(re.findall(r"`(\w+)`", kind.__doc__ or ""))

    assert set(texts.UNREACHABLE) == reasons(errors.EndpointUnreachable)
    assert set(texts.MALFORMED) == reasons(errors.EndpointMalformed) - {"cut"}


def test_a_lost_connection_is_not_called_an_invalid_response() -> None:
    assert (
        failure_text(errors.EndpointMalformed("e", "cut"))
        == "e closed the connection before the answer was complete."
    )


@pytest.mark.parametrize("error", every_error(), ids=str)
def test_every_error_makes_complete_sentences(error: errors.AkashGradioError) -> None:
    view = error_view(error, "Big {70B}")
    for sentence in (view["title"], view["hint"]):
        assert sentence[-1] in ".:", sentence
        assert not re.search(r"\{(?!70B)|(?<!70B)\}|None|  |\.\.", sentence), sentence
    assert view["details"] in ("", "own words")


@pytest.mark.parametrize("error", every_error(), ids=str)
def test_a_retry_is_offered_only_where_it_can_help(error: errors.AkashGradioError) -> None:
    ours = errors.RequestRefused | errors.UnknownModel | errors.NotAllowed
    at_fault = isinstance(error, ours)
    assert error_view(error, "m")["retry"] is not at_fault


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_rejected_api_key_is_for_the_operator_to_fix(status: int) -> None:
    error = errors.AllEndpointsFailed("m", errors.EndpointRefused("eu-1", status))
    assert error_view(error, "Big")["hint"].endswith(texts.ASK_OPERATOR)


def test_paused_endpoints_are_named_with_the_delay_and_not_as_failed_attempts() -> None:
    cause = errors.EndpointRefused("eu-1", 429)
    error = errors.AllEndpointsFailed("m", cause, retry_after_s=12.4, resting=True)
    view = error_view(with_receipt(error, make_receipt(attempts=())), "Big")
    assert view["title"] == "All endpoints of Big are paused."
    assert view["hint"] == (
        "The endpoint's rate limit is reached (eu-1, 429). Try again in 13 s. Your message is kept."
    )
    assert str(error).startswith("all endpoints of 'm' are paused for 13 s: ")


def test_the_limit_of_the_whole_request_is_not_called_silence() -> None:
    cause = errors.EndpointTimeout("eu-1", "request", 3600)
    assert "not finished within 3600 s" in failure_text(cause)
    assert "not finished within 3600 s" in str(cause)


def test_the_hint_contains_the_attempts_the_cause_and_the_delay() -> None:
    cause = errors.EndpointRefused("eu-1", 429, detail="slow down")
    error = errors.AllEndpointsFailed("m", cause, retry_after_s=12.4)
    attempt = make_receipt().attempts[0]
    view = error_view(with_receipt(error, make_receipt(attempts=(attempt, attempt))), "Big")
    assert view["title"] == "Big is unavailable."
    assert view["hint"] == (
        "2 attempts failed. Last error: The endpoint's rate limit is reached (eu-1, 429). "
        "Try again in 13 s. Your message is kept."
    )
    assert view["details"] == "slow down"


def test_the_error_of_a_long_chat_contains_both_lengths() -> None:
    error = errors.ContextExceeded("eu-1", 400, limit_tokens=8192, requested_tokens=9000)
    assert "9,000 of 8,192 tokens" in error_view(error, "m")["title"]


def test_an_error_without_a_text_uses_that_of_its_base_class() -> None:
    class EndpointOdd(errors.EndpointSilent):
        pass

    assert failure_text(EndpointOdd("eu-1")) == "eu-1 sent an empty answer."


def test_a_reached_limit_shows_when_it_is_reset() -> None:
    view = error_view(errors.LimitReached("tokens", limit=20_000, retry_after_s=4000), "m")
    assert view["title"] == "You have used your 20,000 tokens for today."
    assert "in 1 h 7 min" in view["hint"]
    view = error_view(errors.LimitReached("messages", limit=6, retry_after_s=12.4), "m")
    assert "in 13 s" in view["hint"]
    view = error_view(errors.NotAllowed("temperature", low=0, high=1.2), "m")
    assert view["title"] == "temperature must be between 0 and 1.2."
    view = error_view(errors.NotAllowed("presence_penalty", low=-2, high=0), "m")
    assert view["title"] == "presence_penalty must be between -2 and 0."
