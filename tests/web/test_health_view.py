"""How a model fares, as its card shows it."""

from __future__ import annotations

import re

import pytest

from akash_gradio.catalog.listing import list_models
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


def listing(**facts: object):
    given = {"alias": "eu-1", "state": EndpointState.READY, "weight": 1, "priority": 1}
    status = EndpointStatus(**{**given, "models": (ServedModel(id="m"),), **facts})
    (found,) = list_models(CATALOG, (status,))
    return found


def test_a_card_shows_the_numbers_and_the_day() -> None:
    health = Health(first_token_s=0.412, tokens_per_s=86.6, answered=9, day=(None, 10.0, 20.0))
    html = card_html(card_view(listing(), health))
    assert "0.41 s · 87 tok/s" in html
    assert "Last 24 hours: 10 to 20 tokens per second" in html
    assert html.count("<path") == 1


def test_a_model_that_nobody_asked_shows_neither() -> None:
    html = card_html(card_view(listing()))
    assert 'class="health"' not in html
    assert "<svg" not in html


def test_failures_are_told_beside_the_numbers() -> None:
    assert health_view(Health(answered=3, failed=2)).numbers == "2 of 5 failed"


def test_there_is_a_bar_for_each_half_hour_with_an_answer_and_it_stays_inside_its_box() -> None:
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
def test_each_state_has_its_word(facts: dict[str, object], word: str) -> None:
    assert card_view(listing(**facts)).state_word == word


def test_since_when_it_is_down_travels_as_seconds_for_the_visitors_own_clock() -> None:
    found = listing(state=EndpointState.DOWN, down_since=1_700_000_000)
    assert 'data-since="1700000000"' in card_html(card_view(found))
    assert panel_html(panel_view(found)).count('data-since="1700000000"') == 2
    assert "data-since" not in card_html(card_view(listing()))


def test_the_panel_says_what_a_check_learned() -> None:
    found = {"m": Capabilities(stream_options=False, reasoning="end_tag", pictures=True)}
    html = panel_html(panel_view(listing(capabilities=found)))
    for told in ("no stream_options", "reasoning with an end tag only", "accepts pictures"):
        assert told in html


def test_every_style_of_reasoning_has_words() -> None:
    for style in ("reasoning_content", "reasoning", "tags", "end_tag"):
        assert capability_texts(Capabilities(reasoning=style)) == (texts.CAPABILITIES[style],)
    assert capability_texts(None) == capability_texts(Capabilities(streams=True)) == ()
