"""How a model fares, for its card: a line of numbers, a day in bars, since when it is down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from akash_gradio.catalog.listing import Listing, ListingState
from akash_gradio.domain.capabilities import Capabilities
from akash_gradio.domain.health import Health
from akash_gradio.formatting import format_seconds, format_speed
from akash_gradio.web import texts

WIDTH: Final = 96
HEIGHT: Final = 20
"""Of the day's drawing, in its units."""
LEAST: Final = 2
"""Of a bar, so that a slow half hour is seen too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthView:
    """numbers: of the last 15 minutes, "" without any. bars: the path of a bar for each half
    hour of the day, in an SVG of WIDTH × HEIGHT. says: the same for who can't see it.
    """

    numbers: str = ""
    bars: str = ""
    says: str = ""


@lru_cache(maxsize=1024)
def health_view(health: Health | None) -> HealthView:
    """What a card shows of a model's health."""
    if health is None:
        return HealthView()
    parts = []
    if health.first_token_s is not None and health.tokens_per_s is not None:
        parts.append(format_seconds(health.first_token_s))
        parts.append(format_speed(health.tokens_per_s))
    if health.failed:
        asked = health.answered + health.failed
        parts.append(texts.HEALTH["failed"].format(failed=health.failed, asked=asked))
    rates = [rate for rate in health.day if rate is not None]
    says = ""
    if rates:
        least, most = f"{min(rates):.0f}", f"{max(rates):.0f}"
        says = texts.HEALTH["day"].format(least=least, most=most)
    return HealthView(numbers=" · ".join(parts), bars=_bars(health.day), says=says)


def down_since(listing: Listing) -> int | None:
    """Seconds of the epoch since when nobody serves it; None while somebody does."""
    if listing.state is not ListingState.DOWN:
        return None
    since = [e.down_since for e in listing.endpoints if e.down_since is not None]
    return max(since, default=None)


def capability_words(found: Capabilities | None) -> tuple[str, ...]:
    """What is known of how an endpoint serves a model, where it differs from the usual."""
    if found is None:
        return ()
    told = []
    if found.stream_options is False:
        told.append("no_stream_options")
    if found.streams is False:
        told.append("no_streams")
    if found.pictures:
        told.append("pictures")
    if found.reasoning:
        told.append(found.reasoning)
    return tuple(texts.CAPABILITIES[name] for name in told)


def _bars(day: Sequence[float | None]) -> str:
    """The path of the bars, from the bottom up, the day's most as high as the drawing."""
    most = max((rate for rate in day if rate is not None), default=0.0)
    if most <= 0:
        return ""
    step = WIDTH / len(day)
    heights = (
        (place, LEAST + rate / most * (HEIGHT - LEAST))
        for place, rate in enumerate(day)
        if rate is not None
    )
    return "".join(
        f"M{(place + 0.5) * step:.1f} {HEIGHT}V{HEIGHT - height:.1f}" for place, height in heights
    )
