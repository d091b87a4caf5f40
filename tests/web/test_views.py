from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from akash_gradio.catalog import listing as listing_module
from akash_gradio.catalog.listing import Listing, ListingState
from akash_gradio.domain import errors
from akash_gradio.domain.model import ModelCard, Problem
from akash_gradio.domain.ports import EndpointState, EndpointStatus
from akash_gradio.domain.progress import Progress, Stage
from akash_gradio.domain.receipt import Attempt, Count, Receipt
from akash_gradio.embedded.errors import Reason
from akash_gradio.web import texts
from akash_gradio.web.card_view import card_view, panel_view
from akash_gradio.web.errors import error_view, failure_text
from akash_gradio.web.notices import service_notices
from akash_gradio.web.receipt_view import receipt_view
from akash_gradio.web.templating import card_html, notice_html, panel_html
from tests.web.fakes import endpoint_status, every_error, make_receipt, with_receipt

# ── errors ──────────────────────────────────────────────────────────────────


def tree(kind: type[errors.AkashGradioError]) -> set[type[errors.AkashGradioError]]:
    """The error's class and all below it, of the domain alone."""
    found = {kind}.union(*(tree(below) for below in kind.__subclasses__()))
    return {each for each in found if each.__module__ == errors.__name__}


def test_every_class_of_the_tree_has_words_of_its_own():
    codes = {kind.code for kind in tree(errors.AkashGradioError)}
    assert codes <= set(texts.ERRORS)
    assert len(codes) == len(tree(errors.AkashGradioError))


def test_every_class_of_the_tree_is_shown_in_these_tests():
    assert tree(errors.AkashGradioError) == {type(error) for error in every_error()}


def test_every_reason_for_having_no_endpoint_has_words():
    told = set(re.findall(r"`(\w+)`", errors.NoEndpoint.__doc__ or ""))
    own = {name for name in texts.ERRORS if name.startswith("no_endpoint.")}
    assert {f"no_endpoint.{reason}" for reason in told} == own


def test_whatever_a_host_limits_has_words():
    told = set(re.findall(r"`(\w+)`", errors.LimitReached.__doc__ or ""))
    own = {name for name in texts.ERRORS if name.startswith("limit_reached.")}
    assert {f"limit_reached.{what}" for what in told} == own
    told = set(re.findall(r"`(\w+)`", errors.NotAllowed.__doc__ or "")) | {"value"}
    own = {name for name in texts.ERRORS if name.startswith("not_allowed.")}
    assert {f"not_allowed.{what}" for what in told} == own


def test_the_words_for_a_failures_fact_are_those_that_failures_have():
    def told(kind: type) -> set[str]:
        return set(re.findall(r"`(\w+)`", kind.__doc__ or ""))

    assert set(texts.UNREACHABLE) == told(errors.EndpointUnreachable)
    assert set(texts.MALFORMED) == told(errors.EndpointMalformed) - {"cut"}


def test_a_connection_that_ends_is_not_called_another_protocol():
    assert (
        failure_text(errors.EndpointMalformed("e", "cut"))
        == "e closed the connection before the answer was complete."
    )


@pytest.mark.parametrize("error", every_error(), ids=str)
def test_every_error_makes_whole_sentences(error: errors.AkashGradioError):
    view = error_view(error, "Big {70B}")
    for sentence in (view["title"], view["hint"]):
        assert sentence[-1] in ".:", sentence
        assert not re.search(r"\{(?!70B)|(?<!70B)\}|None|  |\.\.", sentence), sentence
    assert view["details"] in ("", "own words")


@pytest.mark.parametrize("error", every_error(), ids=str)
def test_only_what_another_attempt_may_mend_offers_one(error: errors.AkashGradioError):
    ours = errors.RequestRefused | errors.UnknownModel | errors.NotAllowed
    at_fault = isinstance(error, ours)
    assert error_view(error, "m")["retry"] is not at_fault


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_rejected_api_key_is_for_the_operator_to_fix(status: int):
    error = errors.AllEndpointsFailed("m", errors.EndpointRefused("eu-1", status))
    assert error_view(error, "Big")["hint"].endswith(texts.ASK_OPERATOR)


def test_says_who_failed_how_often_and_when_to_come_back():
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


def test_says_how_much_too_long_a_chat_is():
    error = errors.ContextExceeded("eu-1", 400, limit_tokens=8192, requested_tokens=9000)
    assert "9,000 of 8,192 tokens" in error_view(error, "m")["title"]


def test_a_failure_of_a_kind_without_words_is_told_as_its_parent():
    class EndpointOdd(errors.EndpointSilent):
        pass

    assert failure_text(EndpointOdd("eu-1")) == "eu-1 sent an empty answer."


# ── models ──────────────────────────────────────────────────────────────────


def a_listing(*endpoints: EndpointStatus, **card: Any) -> Listing:
    facts: dict[str, Any] = {"id": "org/m", "name": "M"}
    state = ListingState.READY if endpoints else ListingState.UNSERVED
    reason = "" if endpoints else "no_endpoint"
    known = ModelCard(**(facts | card))
    return Listing(card=known, endpoints=endpoints, shown=True, state=state, reason=reason)


def test_every_state_has_a_word_and_no_word_is_left_over():
    assert set(texts.STATES) == {*ListingState, *EndpointState}


def test_every_reason_of_a_listing_has_a_sentence_or_is_silent_on_purpose():
    """`not_used_yet` and `slow` say no more than the state's own word."""
    told = set(re.findall(r"`(\w+)`", (Listing.__doc__ or "").partition("reason:")[2]))
    source = Path(listing_module.__file__).read_text(encoding="utf-8")
    assert all(f'"{reason}"' in source for reason in told)
    silent = {"not_used_yet", "slow"}
    assert told - silent <= set(texts.UNAVAILABLE_REASONS)
    assert set(texts.UNAVAILABLE_REASONS) <= (told - silent) | {"key"}


@pytest.mark.parametrize("state", list(EndpointState))
def test_every_endpoint_state_is_shown_in_the_panel(state: EndpointState):
    html = panel_html(panel_view(a_listing(endpoint_status("org/m", state=state))))
    assert texts.STATES[state] in html
    assert "eu-1" in html


def test_a_ready_model_says_how_fast_it_is():
    fast = endpoint_status("org/m", first_token_s=0.41)
    slow = endpoint_status("org/m", alias="eu-2", first_token_s=3.0)
    assert card_view(a_listing(slow, fast)).state_word == "Ready 0.41 s"
    assert card_view(a_listing(endpoint_status("org/m"))).state_word == "Ready"


def test_a_model_that_takes_no_requests_offers_no_chat():
    drained = dataclasses.replace(
        a_listing(endpoint_status("org/m", weight=0)), state=ListingState.UNSERVED, reason="drained"
    )
    for listing in (drained, a_listing()):
        view = card_view(listing)
        assert not view.can_chat
        assert view.reason
        assert "data-chat" not in card_html(view) + panel_html(panel_view(listing))


def test_a_model_without_a_description_says_who_serves_it():
    view = card_view(a_listing(endpoint_status("org/m"), endpoint_status("org/m", alias="eu-2")))
    assert view.description == "org/m · eu-1, eu-2"


def test_an_id_is_safe_in_its_links():
    view = card_view(a_listing(id='a b/c&d=e#f?"<', name="M"))
    for link in (view.about_link, view.chat_link, view.picture, view.picture_dark):
        assert not re.search(r'[ #"<]|&(?!amp)|\?.*\?', link), link


def test_badges_say_what_is_known():
    facts = {"token_limit": 131_072, "parameters": "70B", "architecture": "Dense, GQA"}
    view = card_view(a_listing(**facts, reasoning=True))
    assert view.badges == ("128K", "70B", "Dense", "Reasoning")
    assert card_view(a_listing()).badges == ()


def test_defaults_say_the_catalogs_value_and_nought_is_one():
    view = panel_view(a_listing(temperature=0.0))
    assert view.defaults == (("temperature", "0"), ("top_p", "provider default"))


def test_texts_of_the_catalog_may_be_wrapped_by_hand():
    wrapped = "One sentence that\ngoes on.\n\nAnother  \nwith a break."
    bullets = "* ⚡ Fast\n  and small\n* 🧠 Clever\n    * inside"
    view = panel_view(a_listing(about_content=wrapped, info_content=bullets))
    about, info = "".join(view.about), "".join(view.info)
    assert "One sentence that\ngoes on." in about
    assert "Another<br>" in about
    assert about.count("<br>") == 1
    assert "<br>" not in info
    assert info.count("<li") == 3


def test_the_secrets_of_a_card_are_in_no_view():
    secret = "sk-never-shown"
    listing = a_listing(endpoint_status("org/m"), custom_headers={"X-Key": secret})
    shown = f"{card_view(listing)}{panel_view(listing)}{panel_html(panel_view(listing))}"
    assert secret not in shown
    assert "X-Key" not in shown


# ── receipts ────────────────────────────────────────────────────────────────


def test_a_receipt_is_one_quiet_line():
    view = receipt_view(make_receipt())
    assert view["line"] == ["eu-1", "0.41 s", "87 tok/s", "512 tok"]
    assert view["flags"] == []


def test_a_receipt_says_in_flags_what_was_not_plain():
    failed = Attempt(
        endpoint="eu-2", model="m", reason="weighted", outcome="EndpointRefused", elapsed_ms=90.0,
        status=503,
    )  # fmt: skip
    receipt = make_receipt(
        attempts=(failed, make_receipt().attempts[0]),
        answering_model="org/small",
        finish="length",
        tokens_out=Count(tokens=7, reported=False),
    )
    view = receipt_view(receipt, {"org/small": "Small 8B"}.__getitem__)
    assert view["flags"] == [
        "2 attempts", "fallback: Small 8B", "token limit reached", "estimated",
    ]  # fmt: skip
    assert [(a["endpoint"], a["ok"], a["seconds"]) for a in view["attempts"]] == [
        ("eu-2", False, 0.09),
        ("eu-1", True, 0.41),
    ]
    assert "503" in view["attempts"][0]["outcome"]
    assert ("Model", "org/small") in view["rows"]
    assert ("Requested model", "m") in view["rows"]


def test_a_receipt_of_nothing_still_has_a_sheet():
    view = receipt_view(Receipt(requested_model="m", finish="failed"))
    assert view["line"] == []
    assert view["flags"] == []
    assert dict(view["rows"])["Total"] == "0.00 s"
    assert view["attempts"] == []


def test_the_rows_tell_reported_from_estimated_and_what_was_sent():
    rows = dict(receipt_view(make_receipt(tokens_in=Count(tokens=1234, reported=False)))["rows"])
    assert rows["Tokens in"] == "1,234 (estimated)"
    assert rows["Tokens out"] == "512 (reported)"
    assert rows["Parameters sent"] == "temperature 0.6"
    assert rows["Speed"] == "87 tok/s"
    bare = dict(receipt_view(make_receipt(sent={}))["rows"])
    assert bare["Parameters sent"] == "none (provider defaults)"


def test_every_reason_for_choosing_an_endpoint_has_words():
    told = set(re.findall(r"`(\w+)`", (Attempt.__doc__ or "").partition("outcome:")[0]))
    assert told == set(texts.SELECTION_REASONS)


def test_every_outcome_of_an_attempt_has_words():
    failures = {kind.__name__ for kind in tree(errors.EndpointError)} - {"EndpointError"}
    assert failures | {"ok", "cancelled"} <= set(texts.OUTCOMES)
    assert set(texts.OUTCOMES) <= {k.__name__ for k in tree(errors.AkashGradioError)} | {
        "ok",
        "cancelled",
    }


# ── notices ─────────────────────────────────────────────────────────────────

PROBLEM = Problem(where="ENDPOINTS[2]", field="url", value="ftp://x", hint="write https://…")


@pytest.mark.parametrize("stage", list(Stage))
def test_every_stage_of_the_small_model_has_a_notice(stage: Stage):
    (notice,) = service_notices((), (), Progress(stage=stage, reason="disk_full"))
    assert notice.title
    assert "{" not in notice.title + notice.body
    assert notice.calm is (stage is not Stage.UNAVAILABLE)
    assert notice_html(notice)


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_why_the_small_model_cannot_run_has_a_sentence(reason: Reason):
    progress = Progress(stage=Stage.UNAVAILABLE, reason=reason, detail="/home/host/own words")
    (notice,) = service_notices((), (), progress)
    assert reason in texts.EMBEDDED_REASONS
    assert texts.EMBEDDED_REASONS[reason] in notice.title
    assert "/home/host" not in f"{notice}"
    assert "ENDPOINTS" in notice.body


def test_no_reason_is_told_that_cannot_happen():
    assert set(texts.EMBEDDED_REASONS) == set(Reason)


@pytest.mark.parametrize(
    ("done", "total", "share", "endless"),
    [(0, 0, None, True), (5, 0, None, True), (0, 200, 0, False), (50, 200, 25, False),
     (300, 200, 100, False)],
)  # fmt: skip
def test_a_download_is_measured_when_its_size_is_known(
    done: int, total: int, share: int | None, endless: bool
):
    progress = Progress(stage=Stage.FETCHING, done_bytes=done, total_bytes=total)
    (notice,) = service_notices((), (), progress)
    assert (notice.share, notice.endless) == (share, endless)


def test_mistakes_come_first_and_are_counted():
    first, second = service_notices((PROBLEM, PROBLEM), (), Progress(stage=Stage.LOADING))
    assert first.title == "The configuration has 2 errors"
    assert first.lines == (str(PROBLEM), str(PROBLEM))
    assert second.calm


def test_says_when_nothing_is_configured():
    (notice,) = service_notices((), (), None)
    assert notice.title == "No endpoint is configured"


def test_says_when_nobody_answers():
    down = endpoint_status("m", state=EndpointState.DOWN)
    (notice,) = service_notices((), (down, down), None)
    assert notice.title == "No endpoint is available right now"
    assert service_notices((), (down, endpoint_status("m")), None) == ()


def test_without_a_price_nothing_is_said_of_costs():
    view = receipt_view(make_receipt())
    assert "Cost" not in dict(view["rows"])
    assert view["facts"]["cost"] is None


def test_a_receipt_tells_the_page_what_to_learn_from():
    facts = receipt_view(make_receipt(tokens_reasoning=Count(tokens=7, reported=False)))["facts"]
    assert (facts["model"], facts["tokens_in"], facts["tokens_in_reported"]) == ("m", 20, True)
    assert facts["tokens_reasoning"] == 7
    guessed = receipt_view(make_receipt(tokens_in=Count(tokens=20, reported=False)))["facts"]
    assert guessed["tokens_in_reported"] is False


def test_a_polite_stop_says_when_it_opens_again():
    view = error_view(errors.LimitReached("tokens", limit=20_000, retry_after_s=4000), "m")
    assert view["title"] == "You have used your 20,000 tokens for today."
    assert "in 1 h 7 min" in view["hint"]
    view = error_view(errors.LimitReached("messages", limit=6, retry_after_s=12.4), "m")
    assert "in 13 s" in view["hint"]
    view = error_view(errors.NotAllowed("temperature", low=0, high=1.2), "m")
    assert view["title"] == "temperature must be between 0 and 1.2."
