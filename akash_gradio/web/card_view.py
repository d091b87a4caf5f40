"""View data of a model, for its card in the gallery and for its panel; not yet HTML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from akash_gradio.catalog.listing import Listing, ListingState
from akash_gradio.domain.health import Health
from akash_gradio.domain.model import ModelCard
from akash_gradio.domain.ports import EndpointStatus
from akash_gradio.formatting import format_context_length, format_seconds
from akash_gradio.markdown.renderer import render
from akash_gradio.web import texts
from akash_gradio.web.health_view import HealthView, capability_texts, down_since, health_view


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRow:
    """One endpoint in a model's panel.

    Attributes:
        detail: Weight, priority, speed and capabilities as text.
        reason: Why it doesn't answer, "" if it does.
        down_since: Seconds of the epoch, None unless it is down.
    """

    alias: str
    state: str
    state_word: str
    detail: str
    reason: str
    down_since: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CardView:
    """A model as the gallery and its panel show it. No text is escaped yet.

    Attributes:
        state_word: The state as text, with the time to the first token where it is known.
        reason: Why the model can't answer, "" if it can.
        picture: The relative address of its picture, `picture_dark` for the dark theme.
        down_since: Seconds of the epoch, None unless it is down.
    """

    id: str
    name: str
    description: str
    state: str
    state_word: str
    reason: str
    can_chat: bool
    badges: tuple[str, ...]
    picture: str
    picture_dark: str
    about_link: str
    chat_link: str
    compare_link: str
    context_tokens: int
    reasoning: bool
    vision: bool
    discovered: bool
    deploy_url: str
    down_since: int | None
    health: HealthView


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelView(CardView):
    """A card with everything that the panel adds.

    Attributes:
        about: Rendered blocks, safe HTML; so is `info`.
        facts: Label, value and link ("" without one) of each row.
        defaults: Label and value of each parameter.
    """

    about: tuple[str, ...]
    info: tuple[str, ...]
    facts: tuple[tuple[str, str, str], ...]
    defaults: tuple[tuple[str, str], ...]
    endpoints: tuple[EndpointRow, ...]


def card_view(listing: Listing, health: Health | None = None) -> CardView:
    """Build the view of a model's card.

    Args:
        listing: The model and the endpoints that serve it.
        health: Its recent health, None if it had no requests.
    """
    return CardView(**_card_fields(listing, health))


def panel_view(listing: Listing, health: Health | None = None) -> PanelView:
    """Build the view of a model's panel; see `card_view` for the arguments."""
    card = listing.card
    return PanelView(
        **_card_fields(listing, health),
        about=render(card.about_content, soft_breaks=True),
        info=render(card.info_content, soft_breaks=True),
        facts=_facts(card),
        defaults=_defaults(card),
        endpoints=tuple(_endpoint_row(status, card.id) for status in listing.endpoints),
    )


def _card_fields(listing: Listing, health: Health | None) -> dict[str, Any]:
    card = listing.card
    link = quote(card.id, safe="/:")
    times = (status.first_token_s for status in listing.endpoints if status.first_token_s)
    first = min(times, default=None)
    state_text = texts.STATES[listing.state]
    if listing.state in ("ready", "slow") and first is not None:
        state_text = f"{state_text} {format_seconds(first)}"
    return {
        "id": card.id,
        "name": card.name,
        "description": card.description or _fallback_description(card, listing),
        "state": listing.state,
        "state_word": state_text,
        "reason": texts.UNAVAILABLE_REASONS.get(listing.reason, ""),
        "can_chat": bool(listing.endpoints) and listing.state is not ListingState.UNSERVED,
        "badges": _badges(card),
        "picture": f"page/thumbnail/light?model={quote(card.id, safe='')}",
        "picture_dark": f"page/thumbnail/dark?model={quote(card.id, safe='')}",
        "about_link": f"./?about={link}",
        "chat_link": f"./?model={link}",
        "compare_link": f"./?view=compare&with={link}",
        "context_tokens": card.context_tokens or 0,
        "reasoning": card.reasoning,
        "vision": card.vision,
        "discovered": card.discovered,
        "deploy_url": card.deploy_url,
        "down_since": down_since(listing),
        "health": health_view(health),
    }


def _fallback_description(card: ModelCard, listing: Listing) -> str:
    aliases = ", ".join(status.alias for status in listing.endpoints[:3])
    return f"{card.id} · {aliases}" if aliases else card.id


def _badges(card: ModelCard) -> tuple[str, ...]:
    badges = [format_context_length(card.context_tokens)] if card.context_tokens else []
    badges.append(card.parameters)
    badges.append(card.architecture.partition(",")[0])
    badges += [texts.PANEL["reasoning"]] * card.reasoning + [texts.PANEL["vision"]] * card.vision
    return tuple(badge for badge in badges if badge)


def _facts(card: ModelCard) -> tuple[tuple[str, str, str], ...]:
    name = texts.PANEL
    context = name["context_value"].format(tokens=f"{card.context_tokens or 0:,}")
    rows = [
        (name["context"], context if card.context_tokens else "", ""),
        (name["parameters"], card.parameters, ""),
        (name["architecture"], card.architecture, ""),
        (name["repository"], card.hf_repo, f"https://huggingface.co/{card.hf_repo}"),
        (name["id"], card.id, ""),
    ]
    return tuple(row for row in rows if row[1])


def _defaults(card: ModelCard) -> tuple[tuple[str, str], ...]:
    own = texts.PANEL["own"]
    return tuple(
        (texts.PANEL[name], own if value is None else f"{value:g}")
        for name, value in (("temperature", card.temperature), ("top_p", card.top_p))
    )


def _endpoint_row(status: EndpointStatus, model: str) -> EndpointRow:
    parts = [texts.PANEL["weight"].format(weight=status.weight)]
    if status.priority != 1:
        parts.append(texts.PANEL["priority"].format(priority=status.priority))
    if status.first_token_s is not None:
        parts.append(format_seconds(status.first_token_s))
    parts += capability_texts(status.capabilities.get(model))
    return EndpointRow(
        alias=status.alias,
        state=str(status.state),
        state_word=texts.STATES[str(status.state)],
        detail=" · ".join(parts),
        reason=texts.UNAVAILABLE_REASONS.get(status.reason, texts.OUTCOMES.get(status.reason, "")),
        down_since=status.down_since,
    )
