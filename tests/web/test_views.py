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
    """Return the class and all its subclasses in the domain package."""
    classes = {kind}.union(*(tree(below) for below in kind.__subclasses__()))
    return {each for each in classes if each.__module__ == errors.__name__}


def test_every_error_has_its_own_text() -> None:
    codes = {kind.code for kind in tree(errors.AkashGradioError)}
    assert codes <= set(texts.ERRORS)
    assert len(codes) == len(tree(errors.AkashGradioError))


def test_every_error_is_tested_here() -> None:
    assert tree(errors.AkashGradioError) == {type(error) for error in every_error()}


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


# ── models ──────────────────────────────────────────────────────────────────


def make_listing(*endpoints: EndpointStatus, **card: Any) -> Listing:
    facts: dict[str, Any] = {"id": "org/m", "name": "M"}
    state = ListingState.READY if endpoints else ListingState.UNSERVED
    reason = "" if endpoints else "no_endpoint"
    known = ModelCard(**(facts | card))
    return Listing(card=known, endpoints=endpoints, shown=True, state=state, reason=reason)


def test_every_state_has_a_text_and_no_text_is_unused() -> None:
    assert set(texts.STATES) == {*ListingState, *EndpointState}


def test_every_reason_of_a_listing_has_a_text_unless_the_state_suffices() -> None:
    """`not_used_yet` and `slow` say no more than the state's own word."""
    reasons = set(re.findall(r"`(\w+)`", (Listing.__doc__ or "").partition("reason:")[2]))
    source = Path(listing_module.__file__).read_text(encoding="utf-8")
    assert all(f'"{reason}"' in source for reason in reasons)
    silent = {"not_used_yet", "slow"}
    assert reasons - silent <= set(texts.UNAVAILABLE_REASONS)
    assert set(texts.UNAVAILABLE_REASONS) <= (reasons - silent) | {"key"}


@pytest.mark.parametrize("state", list(EndpointState))
def test_every_endpoint_state_is_shown_in_the_panel(state: EndpointState) -> None:
    html = panel_html(panel_view(make_listing(endpoint_status("org/m", state=state))))
    assert texts.STATES[state] in html
    assert "eu-1" in html


def test_a_ready_model_shows_its_time_to_the_first_token() -> None:
    fast = endpoint_status("org/m", first_token_s=0.41)
    slow = endpoint_status("org/m", alias="eu-2", first_token_s=3.0)
    assert card_view(make_listing(slow, fast)).state_word == "Ready 0.41 s"
    assert card_view(make_listing(endpoint_status("org/m"))).state_word == "Ready"


def test_a_model_without_endpoints_offers_no_chat() -> None:
    drained = dataclasses.replace(
        make_listing(endpoint_status("org/m", weight=0)),
        state=ListingState.UNSERVED,
        reason="drained",
    )
    for listing in (drained, make_listing()):
        view = card_view(listing)
        assert not view.can_chat
        assert view.reason
        assert "data-chat" not in card_html(view) + panel_html(panel_view(listing))


def test_a_model_without_a_description_shows_its_endpoints() -> None:
    view = card_view(make_listing(endpoint_status("org/m"), endpoint_status("org/m", alias="eu-2")))
    assert view.description == "org/m · eu-1, eu-2"


def test_an_id_is_safe_in_its_links() -> None:
    view = card_view(make_listing(id='a b/c&d=e#f?"<', name="M"))
    for link in (view.about_link, view.chat_link, view.picture, view.picture_dark):
        assert not re.search(r'[ #"<]|&(?!amp)|\?.*\?', link), link


def test_badges_show_what_is_known() -> None:
    facts = {"token_limit": 131_072, "parameters": "70B", "architecture": "Dense, GQA"}
    view = card_view(make_listing(**facts, reasoning=True))
    assert view.badges == ("128K", "70B", "Dense", "Reasoning")
    assert card_view(make_listing()).badges == ()


def test_defaults_show_the_catalogs_value_and_zero_is_one() -> None:
    view = panel_view(make_listing(temperature=0.0))
    assert view.defaults == (("temperature", "0"), ("top_p", "provider default"))


def test_texts_of_the_catalog_may_be_wrapped_by_hand() -> None:
    wrapped = "One sentence that\ngoes on.\n\nAnother  \nwith a break."
    bullets = "* ⚡ Fast\n  and small\n* 🧠 Clever\n    * inside"
    view = panel_view(make_listing(about_content=wrapped, info_content=bullets))
    about, info = "".join(view.about), "".join(view.info)
    assert "One sentence that\ngoes on." in about
    assert "Another<br>" in about
    assert about.count("<br>") == 1
    assert "<br>" not in info
    assert info.count("<li") == 3


def test_the_secrets_of_a_card_are_in_no_view() -> None:
    secret = "sk-never-shown"
    listing = make_listing(endpoint_status("org/m"), custom_headers={"X-Key": secret})
    shown = f"{card_view(listing)}{panel_view(listing)}{panel_html(panel_view(listing))}"
    assert secret not in shown
    assert "X-Key" not in shown


# ── receipts ────────────────────────────────────────────────────────────────


def test_a_receipt_has_a_summary_line() -> None:
    view = receipt_view(make_receipt())
    assert view["line"] == ["eu-1", "0.41 s", "87 tok/s", "512 tok"]
    assert view["flags"] == []


def test_a_receipt_flags_what_was_unusual() -> None:
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


def test_a_receipt_without_attempts_has_rows() -> None:
    view = receipt_view(Receipt(requested_model="m", finish="failed"))
    assert view["line"] == []
    assert view["flags"] == []
    assert dict(view["rows"])["Total"] == "0.00 s"
    assert view["attempts"] == []


def test_the_rows_distinguish_reported_from_estimated_tokens() -> None:
    rows = dict(receipt_view(make_receipt(tokens_in=Count(tokens=1234, reported=False)))["rows"])
    assert rows["Tokens in"] == "1,234 (estimated)"
    assert rows["Tokens out"] == "512 (reported)"
    assert rows["Parameters sent"] == "temperature 0.6"
    assert rows["Speed"] == "87 tok/s"
    bare = dict(receipt_view(make_receipt(sent={}))["rows"])
    assert bare["Parameters sent"] == "none (provider defaults)"


def test_every_selection_reason_has_a_text() -> None:
    reasons = set(re.findall(r"`(\w+)`", (Attempt.__doc__ or "").partition("outcome:")[0]))
    assert reasons == set(texts.SELECTION_REASONS)


def test_every_outcome_of_an_attempt_has_a_text() -> None:
    failures = {kind.__name__ for kind in tree(errors.EndpointError)} - {"EndpointError"}
    assert failures | {"ok", "cancelled"} <= set(texts.OUTCOMES)
    assert set(texts.OUTCOMES) <= {k.__name__ for k in tree(errors.AkashGradioError)} | {
        "ok",
        "cancelled",
    }


# ── notices ─────────────────────────────────────────────────────────────────

PROBLEM = Problem(where="ENDPOINTS[2]", field="url", value="ftp://x", hint="write https://…")


@pytest.mark.parametrize("stage", list(Stage))
def test_every_stage_of_the_embedded_model_has_a_notice(stage: Stage) -> None:
    (notice,) = service_notices((), (), Progress(stage=stage, reason="disk_full"))
    assert notice.title
    assert "{" not in notice.title + notice.body
    assert notice.calm is (stage is not Stage.UNAVAILABLE)
    assert notice_html(notice)


@pytest.mark.parametrize("reason", list(Reason))
def test_every_failure_of_the_embedded_model_has_a_text(reason: Reason) -> None:
    progress = Progress(stage=Stage.UNAVAILABLE, reason=reason, detail="/home/operator/own words")
    (notice,) = service_notices((), (), progress)
    assert reason in texts.EMBEDDED_REASONS
    assert texts.EMBEDDED_REASONS[reason] in notice.title
    assert "/home/operator" not in f"{notice}"
    assert "ENDPOINTS" in notice.body


def test_every_text_of_a_failure_has_a_reason() -> None:
    assert set(texts.EMBEDDED_REASONS) == set(Reason)


@pytest.mark.parametrize(
    ("done", "total", "share", "endless"),
    [(0, 0, None, True), (5, 0, None, True), (0, 200, 0, False), (50, 200, 25, False),
     (300, 200, 100, False)],
)  # fmt: skip
def test_a_download_is_measured_when_its_size_is_known(
    done: int, total: int, share: int | None, endless: bool
) -> None:
    progress = Progress(stage=Stage.FETCHING, done_bytes=done, total_bytes=total)
    (notice,) = service_notices((), (), progress)
    assert (notice.share, notice.endless) == (share, endless)


def test_problems_come_first_and_are_counted() -> None:
    first, second = service_notices((PROBLEM, PROBLEM), (), Progress(stage=Stage.LOADING))
    assert first.title == "The configuration has 2 errors"
    assert first.lines == (str(PROBLEM), str(PROBLEM))
    assert second.calm


def test_a_notice_reports_that_nothing_is_configured() -> None:
    (notice,) = service_notices((), (), None)
    assert notice.title == "No endpoint is configured"


def test_a_notice_reports_that_no_endpoint_responds() -> None:
    down = endpoint_status("m", state=EndpointState.DOWN)
    (notice,) = service_notices((), (down, down), None)
    assert notice.title == "No endpoint is available right now"
    assert service_notices((), (down, endpoint_status("m")), None) == ()


def test_without_a_price_there_is_no_cost() -> None:
    view = receipt_view(make_receipt())
    assert "Cost" not in dict(view["rows"])
    assert view["facts"]["cost"] is None


def test_a_receipt_contains_reported_token_counts() -> None:
    facts = receipt_view(make_receipt(tokens_reasoning=Count(tokens=7, reported=False)))["facts"]
    assert (facts["model"], facts["tokens_in"], facts["tokens_in_reported"]) == ("m", 20, True)
    assert facts["tokens_reasoning"] == 7
    guessed = receipt_view(make_receipt(tokens_in=Count(tokens=20, reported=False)))["facts"]
    assert guessed["tokens_in_reported"] is False


def test_a_reached_limit_shows_when_it_is_reset() -> None:
    view = error_view(errors.LimitReached("tokens", limit=20_000, retry_after_s=4000), "m")
    assert view["title"] == "You have used your 20,000 tokens for today."
    assert "in 1 h 7 min" in view["hint"]
    view = error_view(errors.LimitReached("messages", limit=6, retry_after_s=12.4), "m")
    assert "in 13 s" in view["hint"]
    view = error_view(errors.NotAllowed("temperature", low=0, high=1.2), "m")
    assert view["title"] == "temperature must be between 0 and 1.2."
