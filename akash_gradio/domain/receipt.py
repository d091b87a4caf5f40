"""The record of an answer: endpoint, attempts, timings, tokens and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from akash_gradio.domain.chat import EMPTY_MAPPING


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One upstream call of a request.

    Attributes:
        endpoint: The endpoint's alias, never its URL.
        model: The catalog id requested in this attempt.
        reason: Why the endpoint was chosen: `weighted`, `least_busy`, `pinned`, `failover`,
            `retry`, `fallback` or `probe`.
        outcome: `ok`, `cancelled`, or the class name of the error.
        elapsed_ms: Time to the first token, or to the failure.
        status: The HTTP status, None when no response came.
    """

    endpoint: str
    model: str
    reason: str
    outcome: str
    elapsed_ms: float
    status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A number of tokens, and whether the endpoint reported it or it is an estimate."""

    tokens: int
    reported: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The record of one answer, used by the page, `/v1`, reports and metrics.

    Attributes:
        requested_model: The catalog id of the request.
        answering_model: The catalog id of the model that answered, "" when none did.
        endpoint: The alias of the endpoint that answered, "" when none did.
        first_token_s: Time from the request's arrival to the first token, failed attempts
            included.
        total_s: Time from the request's arrival to the end.
        tokens_per_s: Tokens after the first, divided by the time from the first to the last;
            None when it can't be measured (everything came at once, or a single token).
        sent: The sampling parameters that were sent, by their wire names.
        finish: The endpoint's finish reason, or `interrupted`, `cancelled` or `failed`.
        upstream_id: The endpoint's id of the answer, "" when it sent none.
        fingerprint: The endpoint's `system_fingerprint`, "" when it sent none.
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
        """Whether another model than the requested one answered."""
        return bool(self.answering_model) and self.answering_model != self.requested_model
