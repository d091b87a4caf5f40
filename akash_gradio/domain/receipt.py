"""What happened, for every answer: who was asked, why, how fast, how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from akash_gradio.domain.chat import EMPTY_MAPPING


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One endpoint asked once.

    endpoint: its alias, never its URL. model: the catalog id asked for in this attempt.
    why: why it was chosen (`weighted`, `least_busy`, `pinned`, `failover`, `retry`,
    `fallback`, `probe`).
    outcome: `ok`, `cancelled`, or the error's class name. status: the HTTP status, if one came.
    elapsed_ms: from asking to the first token, or to the failure.
    """

    endpoint: str
    model: str
    reason: str
    outcome: str
    elapsed_ms: float
    status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A number of tokens, and whether the endpoint reported it or we estimated it."""

    tokens: int
    reported: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The record of one answer, the same for the page, `/v1`, reports and metrics.

    requested_model, answering_model: catalog ids; they differ when a fallback answered.
    endpoint: alias of the one that answered, "" when none did.
    first_token_s, total_s: from the request's arrival at the gateway, failed attempts included.
    tokens_per_s: tokens that came after the first over the time from it to the last; None when
    that can't be measured (one lump, or a single token).
    sent: the sampling parameters really sent, by their wire names.
    finish: the endpoint's finish reason, or `interrupted`, `cancelled`, `failed`.
    """

    requested_model: str
    answering_model: str = ""
    endpoint: str = ""
    attempts: tuple[Attempt, ...] = ()
    first_token_s: float | None = None
    total_s: float = 0.0
    tokens_in: Count | None = None
    tokens_out: Count | None = None
    tokens_reasoning: Count | None = None
    tokens_per_s: float | None = None
    sent: Mapping[str, Any] = field(default_factory=lambda: EMPTY_MAPPING)
    finish: str = ""
    upstream_id: str = ""
    fingerprint: str = ""

    @property
    def fallback(self) -> bool:
        """True when another model than the one asked answered."""
        return bool(self.answering_model) and self.answering_model != self.requested_model
