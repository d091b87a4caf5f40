"""Records what happens to a request, and creates its receipt."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from akash_gradio.domain.chat import EMPTY_MAPPING
from akash_gradio.domain.events import (
    MediaDelta,
    NotReasoning,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from akash_gradio.domain.receipt import Attempt, Count, Receipt
from akash_gradio.domain.tokens import TOKENS_PER_MESSAGE, estimate_tokens, utf8_length
from akash_gradio.gateway.passthrough.request import RawChunk, StreamItem

MIN_MEASURED_S: Final = 0.001
"""Shortest time from the first token to the last that counts; below it they were in one packet."""
INCOMPLETE: Final = frozenset({"cancelled", "interrupted", "failed"})
"""Finish reasons of an answer that has no end from its endpoint."""


def estimate_prompt_tokens(texts: Iterable[str]) -> int:
    """Estimate the tokens of messages with these texts, the template's tokens included."""
    return sum(estimate_tokens(utf8_length(text)) + TOKENS_PER_MESSAGE for text in texts)


def tokens_per_s(tokens: float, seconds: float) -> float | None:
    """Return the speed; None for less than a token, or a time that can't be measured."""
    if tokens < 1 or not math.isfinite(seconds) or seconds <= 0:
        return None
    return tokens / seconds


class ReceiptRecorder:
    """Times and counts one request.

    One attempt is open at a time, from `start_attempt` to `fail_attempt` or
    `record_first_token`; after that `record_items` takes what is received.

    Args:
        model: The catalog id of the requested model.
        estimate_prompt: Estimates the prompt's tokens; called if the endpoint reports none.
        clock: Monotonic seconds.
    """

    def __init__(
        self, model: str, estimate_prompt: Callable[[], int], clock: Callable[[], float]
    ) -> None:
        self._model, self._estimate_prompt, self._clock = model, estimate_prompt, clock
        self._arrived_at = clock()
        self._attempts: list[Attempt] = []
        self._open_attempt: tuple[str, str, str, float] | None = None
        """Endpoint, model, reason and start of the open attempt."""
        self._first_token_at: float | None = None
        self._last_token_at = 0.0
        self._reads = 0
        """How many reads contained output."""
        self._answer_bytes = self._reasoning_bytes = self._first_read_bytes = 0
        self._usage = Usage()
        self._parameters: Mapping[str, Any] = EMPTY_MAPPING

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The attempts whose outcome is known."""
        return tuple(self._attempts)

    def estimate_prompt(self) -> int:
        """Estimate the tokens of the prompt."""
        return self._estimate_prompt()

    def start_attempt(
        self, endpoint: str, model: str, reason: str, parameters: Mapping[str, Any] = EMPTY_MAPPING
    ) -> None:
        """Open an attempt.

        Args:
            endpoint: The endpoint's alias.
            model: The catalog id of the model that is called.
            reason: Why this endpoint was chosen, see `Attempt.reason`.
            parameters: The sampling parameters in the payload.
        """
        self._open_attempt = (endpoint, model, reason, self._clock())
        self._parameters = parameters

    def fail_attempt(self, outcome: str, status: int | None = None) -> Attempt | None:
        """Close the open attempt, which failed before its first token. None if none is open."""
        return self._close_attempt(outcome, status)

    def record_first_token(self, status: int | None, lag_s: float = 0.0) -> float:
        """Close the open attempt, whose first token was received `lag_s` seconds ago.

        Returns:
            The seconds since the attempt started.
        """
        now = self._clock() - lag_s
        attempt = self._close_attempt("ok", status, now)
        self._first_token_at = self._last_token_at = now
        return attempt.elapsed_ms / 1000 if attempt is not None else 0.0

    def interrupt(self, outcome: str) -> None:
        """Change the outcome of the attempt whose answer was interrupted."""
        if self._attempts:
            self._attempts[-1] = replace(self._attempts[-1], outcome=outcome)

    def cancel(self) -> None:
        """Mark the attempt or the answer in progress as cancelled by the caller."""
        if self._close_attempt("cancelled", None) is None and self._first_token_at is not None:
            self.interrupt("cancelled")

    def record_items(self, items: Iterable[StreamItem], lag_s: float = 0.0) -> None:
        """Count the items of one read, which were received `lag_s` seconds ago."""
        has_output = False
        for item in items:
            if isinstance(item, RawChunk):
                self._answer_bytes += item.text_bytes
                self._reasoning_bytes += item.reasoning_bytes
                has_output = has_output or item.text_bytes + item.reasoning_bytes > 0
            elif isinstance(item, TextDelta):
                self._answer_bytes += utf8_length(item.text)
                has_output = True
            elif isinstance(item, ReasoningDelta):
                self._reasoning_bytes += utf8_length(item.text)
                has_output = True
            elif isinstance(item, NotReasoning):
                self._answer_bytes += self._reasoning_bytes
                self._reasoning_bytes = 0
            elif isinstance(item, ToolCallDelta):
                self._answer_bytes += utf8_length(item.name) + utf8_length(item.arguments)
                has_output = True
            elif isinstance(item, MediaDelta):
                has_output = True
            elif isinstance(item, Usage):
                self._usage = _merge_usage(self._usage, item)
        if has_output:
            self._count_read(self._clock() - lag_s)

    def record_forwarded(self, chunk: RawChunk) -> None:
        """Count plain events that were received and forwarded just now."""
        self._answer_bytes += chunk.text_bytes
        self._reasoning_bytes += chunk.reasoning_bytes
        self._count_read(self._clock())

    def receipt(self, finish: str, *, upstream_id: str = "", fingerprint: str = "") -> Receipt:
        """Create the receipt of everything recorded so far."""
        now = self._clock()
        answering = self._attempts[-1] if self._first_token_at is not None else None
        tokens_out = self._tokens_out(finish)
        return Receipt(
            requested_model=self._model,
            answering_model=answering.model if answering else "",
            endpoint=answering.endpoint if answering else "",
            attempts=self.attempts,
            first_token_s=(
                None if self._first_token_at is None else self._first_token_at - self._arrived_at
            ),
            total_s=now - self._arrived_at,
            tokens_in=self._tokens_in() if answering else None,
            tokens_out=tokens_out,
            tokens_reasoning=self._tokens_reasoning(),
            tokens_per_s=self._speed(tokens_out),
            sent=self._parameters,
            finish=finish,
            upstream_id=upstream_id,
            fingerprint=fingerprint,
        )

    def _count_read(self, received_at: float) -> None:
        if not self._reads:
            self._first_read_bytes = self._answer_bytes + self._reasoning_bytes
        self._reads += 1
        self._last_token_at = received_at

    def _close_attempt(
        self, outcome: str, status: int | None, now: float | None = None
    ) -> Attempt | None:
        if self._open_attempt is None:
            return None
        endpoint, model, reason, started_at = self._open_attempt
        self._open_attempt = None
        attempt = Attempt(
            endpoint=endpoint,
            model=model,
            reason=reason,
            outcome=outcome,
            elapsed_ms=((self._clock() if now is None else now) - started_at) * 1000,
            status=status,
        )
        self._attempts.append(attempt)
        return attempt

    def _tokens_in(self) -> Count:
        if self._usage.prompt_tokens is not None:
            return Count(tokens=self._usage.prompt_tokens, reported=True)
        return Count(tokens=self.estimate_prompt(), reported=False)

    def _tokens_out(self, finish: str) -> Count | None:
        """Return the tokens of the answer, reasoning included as in the endpoints' reports.

        A report in the middle of an answer that was not completed may be older than its last
        tokens. Each read contains at least one token, however short it is.
        """
        reported = self._usage.completion_tokens
        if self._first_token_at is None:
            return None if reported is None else Count(tokens=reported, reported=True)
        tokens = max(estimate_tokens(self._answer_bytes + self._reasoning_bytes), self._reads)
        if reported is not None and (finish not in INCOMPLETE or reported >= tokens):
            return Count(tokens=reported, reported=True)
        return Count(tokens=tokens, reported=False)

    def _tokens_reasoning(self) -> Count | None:
        if self._usage.reasoning_tokens is not None:
            return Count(tokens=self._usage.reasoning_tokens, reported=True)
        if not self._reasoning_bytes:
            return None
        return Count(tokens=estimate_tokens(self._reasoning_bytes), reported=False)

    def _speed(self, tokens_out: Count | None) -> float | None:
        """Return the tokens per second from the first token to the last.

        Tokens of the first read took none of that time, so they aren't counted; nor is the
        time after the last token, for the usage.
        """
        if tokens_out is None or self._first_token_at is None or self._reads < 2:
            return None
        seconds = self._last_token_at - self._first_token_at
        output_bytes = self._answer_bytes + self._reasoning_bytes
        if seconds < MIN_MEASURED_S or not output_bytes:
            return None
        first_read = self._first_read_bytes / output_bytes
        return tokens_per_s(tokens_out.tokens * (1 - first_read), seconds)


def _merge_usage(before: Usage, now: Usage) -> Usage:
    """Return the later report, completed with what only the earlier one contained."""
    return Usage(
        prompt_tokens=_first_known(now.prompt_tokens, before.prompt_tokens),
        completion_tokens=_first_known(now.completion_tokens, before.completion_tokens),
        reasoning_tokens=_first_known(now.reasoning_tokens, before.reasoning_tokens),
    )


def _first_known(value: int | None, otherwise: int | None) -> int | None:
    return otherwise if value is None else value
