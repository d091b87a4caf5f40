"""How a model fared lately, from the answers that people really got."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Of the last 15 minutes, and a day in half hours.

    first_token_s, tokens_per_s: means; None without an answer that could be measured.
    answered, failed: attempts of the 15 minutes. day: tokens per second of each half hour,
    oldest first, None where nobody asked.
    """

    first_token_s: float | None = None
    tokens_per_s: float | None = None
    answered: int = 0
    failed: int = 0
    day: tuple[float | None, ...] = ()
