"""Dates that visitors and endpoints send."""

from __future__ import annotations

from datetime import UTC, datetime


def to_utc(moment: datetime) -> datetime:
    """Return a date with a time zone in UTC.

    Raises:
        ValueError: The date is outside the years 1 to 9999 there.
    """
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("the date is out of range") from None
