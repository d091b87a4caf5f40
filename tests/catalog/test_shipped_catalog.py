from __future__ import annotations

import re

import pytest

from akash_gradio.catalog.loader import read_catalog
from akash_gradio.domain.model import ModelCard

CATALOG = read_catalog(None)

CONTEXT_FIGURE = re.compile(
    r"\b(\d+(?:\.\d+)?)(K)\b|\b(\d+(?:\.\d+)?)(M)(?= (?:tokens|context))|\b([\d,]{4,}) tokens"
    r"|(one) (million) tokens"
)


def each_card() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("card", CATALOG.cards, ids=lambda card: card.id)


def texts(card: ModelCard) -> str:
    return "\n".join([card.description, card.about_content, card.info_content, *card.starters])


def context_figures(text: str) -> list[tuple[float, float]]:
    """Return the context windows in a text, as the least and most tokens each may mean."""
    figures = []
    for k, _, m, _, tokens, one, _ in CONTEXT_FIGURE.findall(text):
        if k:
            figures.append((float(k) * 1000, float(k) * 1024))
        elif m or one:
            figures.append((float(m or 1) * 1000**2, float(m or 1) * 1024**2))
        else:
            figures.append((float(tokens.replace(",", "")),) * 2)
    return figures


def test_the_shipped_catalog_has_no_problems() -> None:
    assert CATALOG.problems == ()
    assert len(CATALOG.cards) >= 20


@each_card()
def test_an_entry_has_everything_a_card_shows(card: ModelCard) -> None:
    assert card.available is None
    assert card.token_limit
    assert card.parameters
    assert card.architecture
    assert card.hf_repo
    assert 30 <= len(card.description) <= 90
    assert len(card.about_content) > 100
    assert 3 <= len(card.info_content.splitlines()) <= 4
    assert all(line.startswith("* ") for line in card.info_content.splitlines())
    assert len(card.name) <= 24
    assert not card.starters or 3 <= len(card.starters) <= 4


@each_card()
def test_the_figures_in_the_text_agree_with_the_context_window(card: ModelCard) -> None:
    assert card.token_limit is not None
    for least, most in context_figures(texts(card)):
        assert least <= card.token_limit <= most


def test_every_form_of_a_context_size_is_recognized() -> None:
    figures = context_figures("128K context, 131,072 tokens, 1M context, one million tokens, 135M")
    assert figures == [(128000, 131072), (131072, 131072), (1e6, 2**20), (1e6, 2**20)]


@each_card()
def test_the_bullets_contain_the_context_window(card: ModelCard) -> None:
    assert len(context_figures(card.info_content)) == 1


@each_card()
def test_the_size_in_the_name_agrees_with_the_parameters(card: ModelCard) -> None:
    for figure in re.findall(r"\b(\d+(?:\.\d+)?)[BM]\b", card.name):
        parameters = re.match(r"[\d.]+", card.parameters)
        assert parameters is not None
        assert abs(float(parameters[0]) - float(figure)) <= 0.06 * float(figure)


@each_card()
def test_the_text_of_a_reasoning_model_mentions_reasoning(card: ModelCard) -> None:
    if card.reasoning:
        assert re.search(r"think|reason|thought", texts(card), re.IGNORECASE)


@each_card()
def test_the_text_mentions_pictures_only_for_vision_models(card: ModelCard) -> None:
    assert card.vision is bool(re.search(r"picture", texts(card), re.IGNORECASE))


@each_card()
def test_the_repository_is_the_id_except_for_the_embedded_model(card: ModelCard) -> None:
    if card.id != "smollm2-135m-instruct":
        assert card.hf_repo == card.id


def test_the_embedded_model_describes_itself() -> None:
    card = CATALOG.get("smollm2-135m-instruct")
    assert card is not None
    assert card.name == "SmolLM2 135M"
    assert card.token_limit == 4096  # 8192, halved by two slots
    assert card.hf_repo == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert "small demo model that runs on this computer" in card.description
    assert "wrong" in card.info_content


def test_no_entry_names_a_picture_that_is_not_shipped() -> None:
    assert {card.thumbnail_id for card in CATALOG.cards} == {""}
    assert not any(card.custom_headers or card.deploy_url for card in CATALOG.cards)


def test_names_are_unique() -> None:
    names = [card.name for card in CATALOG.cards]
    assert len(names) == len(set(names))
