"""Domain → screen: what a card, a receipt, an error and a notice say. No HTML, no network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from akash_gradio.catalog.listing import Listing, ListingState
from akash_gradio.domain.health import Health
from akash_gradio.domain.model import ModelCard, Problem
from akash_gradio.domain.ports import EndpointState, EndpointStatus
from akash_gradio.domain.progress import Progress, Stage
from akash_gradio.domain.receipt import Attempt, Count, Receipt
from akash_gradio.formatting import (
    format_context_length,
    format_cost,
    format_seconds,
    format_speed,
    format_tokens,
)
from akash_gradio.markdown.renderer import render
from akash_gradio.web import texts
from akash_gradio.web.health_view import HealthView, capability_words, down_since, health_view

MEGABYTE: Final = 1_000_000


# ── models ──────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRow:
    """One endpoint in a model's panel."""

    alias: str
    state: str
    state_word: str
    detail: str
    reason: str
    down_since: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CardView:
    """A model as the gallery and its panel show it; every text is still to be escaped."""

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
    """The same with all that the panel adds. about, info: rendered blocks, safe HTML."""

    about: tuple[str, ...]
    info: tuple[str, ...]
    facts: tuple[tuple[str, str, str], ...]
    defaults: tuple[tuple[str, str], ...]
    endpoints: tuple[EndpointRow, ...]


def card_view(listing: Listing, health: Health | None = None) -> CardView:
    """What the gallery shows of one model."""
    return CardView(**_card_fields(listing, health))


def panel_view(listing: Listing, health: Health | None = None) -> PanelView:
    """What the model's own panel shows."""
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
    first = min((e.first_token_s for e in listing.endpoints if e.first_token_s), default=None)
    word = texts.STATES[listing.state]
    if listing.state in ("ready", "slow") and first is not None:
        word = f"{word} {format_seconds(first)}"
    return {
        "id": card.id,
        "name": card.name,
        "description": card.description or _stand_in(card, listing),
        "state": listing.state,
        "state_word": word,
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


def _stand_in(card: ModelCard, listing: Listing) -> str:
    """What a model without a description says of itself: who serves it."""
    aliases = ", ".join(e.alias for e in listing.endpoints[:3])
    return f"{card.id} · {aliases}" if aliases else card.id


def _badges(card: ModelCard) -> tuple[str, ...]:
    found = [format_context_length(card.context_tokens)] if card.context_tokens else []
    found.append(card.parameters)
    found.append(card.architecture.partition(",")[0])
    found += [texts.PANEL["reasoning"]] * card.reasoning + [texts.PANEL["vision"]] * card.vision
    return tuple(badge for badge in found if badge)


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
    parts += capability_words(status.capabilities.get(model))
    return EndpointRow(
        alias=status.alias,
        state=str(status.state),
        state_word=texts.STATES[str(status.state)],
        detail=" · ".join(parts),
        reason=texts.UNAVAILABLE_REASONS.get(status.reason, texts.OUTCOMES.get(status.reason, "")),
        down_since=status.down_since,
    )


# ── receipts ────────────────────────────────────────────────────────────────


UNFINISHED: Final = ("length", "interrupted", "cancelled")
"""Finish reasons after which an answer can be gone on with."""


def receipt_view(
    receipt: Receipt, name_of: Callable[[str], str] = str, cost: float | None = None
) -> dict[str, Any]:
    """The quiet line, the amber flags, the rows and the timeline of one receipt, all in words.

    name_of: the name that people read, of a model id. cost: US dollars, None when unknown.
    Times of the timeline are in seconds from the request's arrival. facts: the numbers alone,
    for what is measured against another answer.
    """
    return {
        "line": _receipt_line(receipt, cost),
        "flags": _receipt_flags(receipt, name_of),
        "rows": _receipt_rows(receipt, cost),
        "facts": _receipt_facts(receipt, cost),
        "attempts": [_attempt_view(attempt) for attempt in receipt.attempts],
        "total_s": receipt.total_s,
        "unfinished": receipt.finish in UNFINISHED,
    }


def _receipt_facts(receipt: Receipt, cost: float | None) -> dict[str, Any]:
    tokens, tokens_in, thought = receipt.tokens_out, receipt.tokens_in, receipt.tokens_reasoning
    return {
        "model": receipt.answering_model,
        "first_token_s": receipt.first_token_s,
        "tokens_per_s": receipt.tokens_per_s,
        "tokens_out": tokens.tokens if tokens else None,
        "reported": tokens.reported if tokens else None,
        "tokens_in": tokens_in.tokens if tokens_in else None,
        "tokens_in_reported": tokens_in is not None and tokens_in.reported,
        "tokens_reasoning": thought.tokens if thought else None,
        "cost": cost,
        "endpoint": receipt.endpoint,
        "total_s": receipt.total_s,
        "finish": receipt.finish,
        "sent": dict(receipt.sent),
    }


def _receipt_line(receipt: Receipt, cost: float | None) -> list[str]:
    parts = [receipt.endpoint]
    if receipt.first_token_s is not None:
        parts.append(format_seconds(receipt.first_token_s))
    if receipt.tokens_per_s is not None:
        parts.append(format_speed(receipt.tokens_per_s))
    if receipt.tokens_out is not None:
        parts.append(format_tokens(receipt.tokens_out.tokens))
    if cost is not None:
        parts.append(format_cost(cost))
    return [part for part in parts if part]


def _receipt_flags(receipt: Receipt, name_of: Callable[[str], str]) -> list[str]:
    flags = []
    if len(receipt.attempts) > 1:
        flags.append(texts.ATTEMPTS.format(count=len(receipt.attempts)))
    if receipt.fallback:
        flags.append(texts.FALLBACK.format(model=name_of(receipt.answering_model)))
    if receipt.finish in texts.FINISH:
        flags.append(texts.FINISH[receipt.finish])
    if receipt.tokens_out is not None and not receipt.tokens_out.reported:
        flags.append(texts.ESTIMATED)
    return flags


def _receipt_rows(receipt: Receipt, cost: float | None) -> list[tuple[str, str]]:
    name = texts.RECEIPT_ROWS
    sent = ", ".join(f"{key} {value}" for key, value in receipt.sent.items())
    speed = format_speed(receipt.tokens_per_s) if receipt.tokens_per_s is not None else ""
    first = format_seconds(receipt.first_token_s) if receipt.first_token_s is not None else ""
    rows = [
        (name["model"], receipt.answering_model),
        (name["requested"], receipt.requested_model if receipt.fallback else ""),
        (name["endpoint"], receipt.endpoint),
        (name["first"], first),
        (name["total"], format_seconds(receipt.total_s)),
        (name["speed"], speed),
        (name["tokens_in"], _count(receipt.tokens_in)),
        (name["tokens_out"], _count(receipt.tokens_out)),
        (name["tokens_reasoning"], _count(receipt.tokens_reasoning)),
        (name["cost"], "" if cost is None else format_cost(cost)),
        (name["sent"], sent or name["sent_none"]),
        (name["finish"], receipt.finish),
        (name["upstream_id"], receipt.upstream_id),
        (name["fingerprint"], receipt.fingerprint),
    ]
    return [row for row in rows if row[1]]


def _attempt_view(attempt: Attempt) -> dict[str, Any]:
    outcome = texts.OUTCOMES.get(attempt.outcome, attempt.outcome)
    if attempt.status is not None and attempt.outcome != "ok":
        outcome = f"{outcome} ({attempt.status})"
    return {
        "endpoint": attempt.endpoint,
        "why": texts.SELECTION_REASONS.get(attempt.reason, attempt.reason),
        "outcome": outcome,
        "ok": attempt.outcome == "ok",
        "seconds": attempt.elapsed_ms / 1000,
    }


def _count(count: Count | None) -> str:
    if count is None:
        return ""
    return f"{count.tokens:,} ({texts.REPORTED if count.reported else texts.ESTIMATED})"


# ── notices ─────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A bar above the gallery and the chat. share: percent done; endless: working, no measure."""

    title: str
    body: str = ""
    lines: tuple[str, ...] = ()
    calm: bool = False
    share: int | None = None
    endless: bool = False


def notices(
    problems: Sequence[Problem],
    endpoints: Sequence[EndpointStatus],
    progress: Progress | None,
) -> tuple[Notice, ...]:
    """All that a visitor should know before asking, most pressing first."""
    found = [_problem_notice(problems)] if problems else []
    if progress is not None and progress.stage is not Stage.READY:
        found.append(_progress_notice(progress))
    elif progress is not None:
        found.append(
            Notice(title=texts.EMBEDDED["note"], body=texts.EMBEDDED["note_more"], calm=True)
        )
    if not endpoints and progress is None and not problems:
        found.append(Notice(title=texts.NOTICES["none"], body=texts.NOTICES["none_hint"]))
    down = [status for status in endpoints if status.state is EndpointState.DOWN]
    refused = all(status.reason == "key" for status in down)  # `host_notices` says what to mend
    if endpoints and len(down) == len(endpoints) and not refused:
        found.append(Notice(title=texts.NOTICES["all_down"], body=texts.NOTICES["all_down_hint"]))
    return tuple(found)


def _problem_notice(problems: Sequence[Problem]) -> Notice:
    title = texts.NOTICES["problems"]
    if len(problems) > 1:
        title = texts.NOTICES["problems_many"].format(count=len(problems))
    return Notice(title=title, lines=tuple(str(problem) for problem in problems))


def _progress_notice(progress: Progress) -> Notice:
    if progress.stage is Stage.UNAVAILABLE:
        reason = texts.EMBEDDED_REASONS.get(progress.reason, texts.EMBEDDED_REASONS["load_failed"])
        other = progress.reason not in ("no_wheel", "no_libgomp", "no_avx2")
        more = texts.EMBEDDED["or_off"] if other else ""
        return Notice(
            title=texts.EMBEDDED["unavailable"].format(reason=reason),
            body=texts.EMBEDDED["unavailable_hint"].format(more=more),
        )
    title = texts.EMBEDDED[progress.stage].format(
        done=f"{progress.done_bytes / MEGABYTE:.0f}", total=f"{progress.total_bytes / MEGABYTE:.0f}"
    )
    measured = progress.stage is Stage.FETCHING and progress.total_bytes > 0
    share = min(100, 100 * progress.done_bytes // progress.total_bytes) if measured else None
    body = texts.EMBEDDED["first_time"]
    return Notice(title=title, body=body, calm=True, share=share, endless=not measured)
