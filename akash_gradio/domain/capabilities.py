"""What the checker and real traffic learned about how an endpoint serves a model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """Learned facts about one model at one endpoint, kept in memory.

    Attributes:
        stream_options: Whether it accepts `stream_options`; None when unknown, as below.
        streams: Whether it streams, rather than sending the whole answer at once.
        pictures: Whether it accepts pictures.
        reasoning: How it marks reasoning: `reasoning_content`, `reasoning`, `tags` or `end_tag`
            (`</think>` alone); "" when unknown.
    """

    stream_options: bool | None = None
    streams: bool | None = None
    pictures: bool | None = None
    reasoning: str = ""
