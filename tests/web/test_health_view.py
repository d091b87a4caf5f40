"""A model's health on its card and in its panel."""

from __future__ import annotations

import re
from typing import Any

import pytest

from akash_gradio.catalog.listing import Listing, list_models
from akash_gradio.catalog.loader import Catalog
from akash_gradio.domain.capabilities import Capabilities
from akash_gradio.domain.health import Health
from akash_gradio.domain.model import ModelCard, ServedModel
from akash_gradio.domain.ports import EndpointState, EndpointStatus
from akash_gradio.web import texts
from akash_gradio.web.card_view import card_view, panel_view
from akash_gradio.web.health_view import HEIGHT, WIDTH, capability_texts, health_view
from akash_gradio.web.templating import card_html, panel_html

CATALOG = Catalog(cards=(ModelCard(id="m", name="M"),))


def make_listing(**facts: Any) -> Listing:
    fields: dict[str, Any] = {
        "alias": "eu-1",
        "state": EndpointState.READY,
        "weight": 1,
        "priority": 1,
    }
    status = EndpointStatus(**{**fields, "models": (ServedModel(id="m"),), **facts})
    (listing,) = list_models(CATALOG, (status,))
    return listing


def test_a_card_shows_the_numbers_and_the_day() -> None:
    health = Health(first_token_s=0.412, tokens_per_s=86.6, answered=9, day=(None, 10.0, 20.0))
    html = card_html(card_view(make_listing(), health))
    assert "0.41 s · 87 tok/s" in html
    assert "Last 24 hours: 10 to 20 tokens per second" in html
    assert html.count("<path") == 1


def test_a_model_without_requests_shows_neither() -> None:
    html = card_html(card_view(make_listing()))
    assert 'class="health"' not in html
    assert "<svg" not in html


def test_failures_are_shown_next_to_the_numbers() -> None:
    assert health_view(Health(answered=3, failed=2)).numbers == "2 of 5 failed"


def test_each_half_hour_with_answers_has_a_bar_inside_the_chart() -> None:
    path = health_view(Health(day=(5.0, None, 10.0, 0.0, None, None, 7.5, None))).bars
    bars = re.findall(r"M([\d.]+) ([\d.]+)V([\d.]+)", path)
    assert [float(top) for _, _, top in bars] == [9.0, 0.0, 18.0, 4.5]
    assert all(0 < float(x) < WIDTH and float(foot) == HEIGHT for x, foot, _ in bars)


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        ({"busy": True}, "Busy"),
        ({"state": EndpointState.DOWN, "waking": True, "down_since": 7}, "Loading"),
        ({"state": EndpointState.DOWN, "down_since": 1_700_000_000}, "Down"),
        ({"state": EndpointState.UNKNOWN}, "Not used yet"),
        ({"first_token_s": 9.0}, "Slow 9.00 s"),
    ],
)
def test_each_state_has_a_label(facts: dict[str, object], word: str) -> None:
    assert card_view(make_listing(**facts)).state_word == word


def test_the_start_of_downtime_is_sent_as_a_timestamp() -> None:
    listing = make_listing(state=EndpointState.DOWN, down_since=1_700_000_000)
    assert 'data-since="1700000000"' in card_html(card_view(listing))
    assert panel_html(panel_view(listing)).count('data-since="1700000000"') == 2
    assert "data-since" not in card_html(card_view(make_listing()))


def test_the_panel_shows_what_a_check_found() -> None:
    capabilities = {"m": Capabilities(stream_options=False, reasoning="end_tag", pictures=True)}
    html = panel_html(panel_view(make_listing(capabilities=capabilities)))
    for text in ("no stream_options", "reasoning with an end tag only", "accepts pictures"):
        assert text in html


def test_every_reasoning_format_has_a_text() -> None:
    for style in ("reasoning_content", "reasoning", "tags", "end_tag"):
        assert capability_texts(Capabilities(reasoning=style)) == (texts.CAPABILITIES[style],)
    assert capability_texts(None) == capability_texts(Capabilities(streams=True)) == ()
