"""How long something takes, in words."""

from __future__ import annotations

import math

from akash_gradio.web import texts


def format_duration(seconds: float) -> str:
    """`12 s`, `3 min`, `5 h 20 min`: rounded up, never nothing."""
    whole = max(1, math.ceil(seconds))
    if whole < 90:
        return texts.SECONDS.format(count=whole)
    minutes = math.ceil(whole / 60)
    if minutes < 60:
        return texts.MINUTES.format(count=minutes)
    return texts.HOURS.format(hours=minutes // 60, minutes=minutes % 60)
