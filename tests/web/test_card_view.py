from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from akash_gradio.catalog import listing as listing_module
from akash_gradio.catalog.listing import Listing, ListingState
from akash_gradio.domain.model import ModelCard
from akash_gradio.domain.ports import EndpointState, EndpointStatus
from akash_gradio.web import texts
from akash_gradio.web.card_view import card_view, panel_view
from akash_gradio.web.templating import card_html, panel_html
from tests.web.fakes import endpoint_status


def make_listing(*endpoints: EndpointStatus, **card: Any) -> Listing:
    facts: dict[str, Any] = {"id": "org/m", "name": "M"}
    state = ListingState.READY if endpoints else ListingState.UNSERVED
    reason = "" if endpoints else "no_endpoint"
    known = ModelCard(**(facts | card))
    return Listing(card=known, endpoints=endpoints, shown=True, state=state, reason=reason)


def test_every_state_has_a_text_and_no_text_is_unused() -> None:
    assert set(texts.STATES) == {*ListingState, *EndpointState}


def test_every_reason_of_a_listing_has_a_text_unless_the_state_suffices() -> None:
    """`not_used_yet` and `slow` add nothing to the text of the state."""
    reasons = set(re.findall(r"`(\w+)`", (Listing.__doc__ or "").partition("reason:")[2]))
    source = Path(listing_module.__file__).read_text(encoding="utf-8")
    assert all(f'"{reason}"' in source for reason in reasons)
    silent = {"not_used_yet", "slow"}
    assert reasons - silent <= set(texts.UNAVAILABLE_REASONS)
    assert set(texts.UNAVAILABLE_REASONS) <= (reasons - silent) | {"key", "credit"}


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
