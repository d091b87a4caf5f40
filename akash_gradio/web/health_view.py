"""View data of a model's health on its card: recent numbers, the last day in bars, downtime."""

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
"""Size of the bar chart in SVG units."""
MIN_BAR_HEIGHT: Final = 2
"""A slow half hour stays visible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthView:
    """A model's health on its card.

    Attributes:
        numbers: The last 15 minutes as text, "" without requests.
        bars: The path of a bar chart with a bar for each half hour of the day.
        label: The chart as text, for screen readers.
    """

    numbers: str = ""
    bars: str = ""
    label: str = ""


@lru_cache(maxsize=1024)
def health_view(health: Health | None) -> HealthView:
    """Build the view of a model's health, empty if it had no requests."""
    if health is None:
        return HealthView()
    parts = []
    if health.first_token_s is not None and health.tokens_per_s is not None:
        parts.append(format_seconds(health.first_token_s))
        parts.append(format_speed(health.tokens_per_s))
    if health.failed:
        requests = health.answered + health.failed
        parts.append(texts.HEALTH["failed"].format(failed=health.failed, requests=requests))
    rates = [rate for rate in health.day if rate is not None]
    label = ""
    if rates:
        lowest, highest = f"{min(rates):.0f}", f"{max(rates):.0f}"
        label = texts.HEALTH["day"].format(lowest=lowest, highest=highest)
    return HealthView(numbers=" · ".join(parts), bars=_bars(health.day), label=label)


def down_since(listing: Listing) -> int | None:
    """Return since when no endpoint serves a model, in seconds of the epoch; None if one does."""
    if listing.state is not ListingState.DOWN:
        return None
    times = [e.down_since for e in listing.endpoints if e.down_since is not None]
    return max(times, default=None)


def capability_texts(capabilities: Capabilities | None) -> tuple[str, ...]:
    """Return how an endpoint serves a model, where it differs from the default."""
    if capabilities is None:
        return ()
    names = []
    if capabilities.stream_options is False:
        names.append("no_stream_options")
    if capabilities.streams is False:
        names.append("no_streams")
    if capabilities.pictures:
        names.append("pictures")
    if capabilities.reasoning:
        names.append(capabilities.reasoning)
    return tuple(texts.CAPABILITIES[name] for name in names)


def _bars(day: Sequence[float | None]) -> str:
    """Return the SVG path of the bars, scaled to the day's highest value."""
    highest = max((rate for rate in day if rate is not None), default=0.0)
    if highest <= 0:
        return ""
    step = WIDTH / len(day)
    heights = (
        (index, MIN_BAR_HEIGHT + rate / highest * (HEIGHT - MIN_BAR_HEIGHT))
        for index, rate in enumerate(day)
        if rate is not None
    )
    return "".join(
        f"M{(index + 0.5) * step:.1f} {HEIGHT}V{HEIGHT - height:.1f}" for index, height in heights
    )
