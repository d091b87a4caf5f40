"""What is known of how an endpoint serves a model, beside what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """Learned by checking, kept in memory; None and "" where nothing is known.

    stream_options: whether it takes them. streams: False where its answers come in one
    lump. pictures: whether it takes them. reasoning: how it marks it: `reasoning_content`,
    `reasoning`, `tags`, or `end_tag` (`</think>` alone).
    """

    stream_options: bool | None = None
    streams: bool | None = None
    pictures: bool | None = None
    reasoning: str = ""
