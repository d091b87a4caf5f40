"""The recent speed and failures of a model, measured on real traffic."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Measurements of the last 15 minutes, and of the last 24 hours in steps of half an hour.

    Attributes:
        first_token_s: Mean time to the first token, None without a measured answer.
        tokens_per_s: Mean speed, None without a measured answer.
        answered: Successful attempts of the last 15 minutes.
        failed: Failed attempts of the last 15 minutes.
        day: Tokens per second of each half hour, oldest first, None for one without requests.
    """

    first_token_s: float | None = None
    tokens_per_s: float | None = None
    answered: int = 0
    failed: int = 0
    day: tuple[float | None, ...] = ()
