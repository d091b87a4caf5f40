"""Writes down what happens to a request while it happens, and makes the receipt of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from akash_gradio.domain.chat import EMPTY_MAPPING, Conversation
from akash_gradio.domain.events import (
    NotReasoning,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from akash_gradio.domain.receipt import Attempt, Count, Receipt
from akash_gradio.domain.tokens import (
    BYTES_PER_TOKEN,
    TOKENS_PER_MESSAGE,
    estimate_tokens,
    utf8_length,
)
from akash_gradio.gateway.passthrough.request import (
    PassthroughRequest,
    Question,
    RawChunk,
    StreamItem,
)

SHORTEST_PACE_S: Final = 0.001
"""From the first token to the last; in less they came together, and were read in pieces."""


def prompt_tokens(conversation: Conversation) -> int:
    """Estimated tokens of everything that is sent, the marks of the messages too."""
    texts = [turn.content for turn in conversation.turns]
    if conversation.system:
        texts.append(conversation.system)
    return _message_tokens(texts)


def question_tokens(request: Question) -> int:
    """Estimated tokens of what is asked; pictures and such count nothing."""
    if isinstance(request, PassthroughRequest):
        return _message_tokens(request.texts())
    return prompt_tokens(request.conversation)


def _message_tokens(texts: Iterable[str]) -> int:
    return sum(estimate_tokens(utf8_length(text)) + TOKENS_PER_MESSAGE for text in texts)


def tokens_per_s(tokens: float, seconds: float) -> float | None:
    """Speed of an answer; None for less than a token or no time that can be measured."""
    if tokens < 1 or not math.isfinite(seconds) or seconds <= 0:
        return None
    return tokens / seconds


class Record:
    """Live stopwatch and tally of one request.

    clock: monotonic seconds. One attempt is open at a time: `asks`, then `fails`, or
    `hears` with whatever came (the first of it is the first token).
    """

    def __init__(self, request: Question, clock: Callable[[], float]) -> None:
        self._request, self._clock = request, clock
        self._arrived = clock()
        self._attempts: list[Attempt] = []
        self._asked: tuple[str, str, str, float] | None = None
        self._first_token: float | None = None
        self._last_token = 0.0
        self._lumps = 0
        self._answer_bytes = self._reasoning_bytes = self._opening_bytes = 0
        self._usage = Usage()
        self._sent: Mapping[str, Any] = EMPTY_MAPPING

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The attempts whose outcome is known."""
        return tuple(self._attempts)

    def asks(self, endpoint: str, model: str, why: str) -> None:
        """An endpoint is asked now."""
        self._asked = (endpoint, model, why, self._clock())
        self._sent = EMPTY_MAPPING

    def sends(self, parameters: Mapping[str, Any]) -> None:
        """The parameters that go with the attempt."""
        self._sent = parameters

    def fails(self, outcome: str, status: int | None = None) -> Attempt | None:
        """The open attempt ended before its first token. None when none was open."""
        return self._settle(outcome, status)

    def begins(self, status: int | None, lag_s: float = 0.0) -> float:
        """Its first token came, lag_s seconds ago; returns the seconds since it was asked."""
        now = self._clock() - lag_s
        attempt = self._settle("ok", status, now)
        self._first_token = self._last_token = now
        return attempt.elapsed_ms / 1000 if attempt is not None else 0.0

    def breaks_off(self, outcome: str) -> None:
        """What began to answer did not come to its end."""
        if self._attempts:
            self._attempts[-1] = replace(self._attempts[-1], outcome=outcome)

    def is_left(self) -> None:
        """The caller went away."""
        if self._settle("cancelled", None) is None and self._first_token is not None:
            self.breaks_off("cancelled")

    def hears(self, events: Iterable[StreamItem], lag_s: float = 0.0) -> None:
        """What came in one read, lag_s seconds ago."""
        said = False
        for event in events:
            if isinstance(event, RawChunk):
                self._answer_bytes += BYTES_PER_TOKEN * event.events
                said = said or event.events > 0
            elif isinstance(event, TextDelta):
                self._answer_bytes += utf8_length(event.text)
                said = True
            elif isinstance(event, ReasoningDelta):
                self._reasoning_bytes += utf8_length(event.text)
                said = True
            elif isinstance(event, NotReasoning):
                self._answer_bytes += self._reasoning_bytes
                self._reasoning_bytes = 0
            elif isinstance(event, ToolCallDelta):
                self._answer_bytes += utf8_length(event.name) + utf8_length(event.arguments)
                said = True
            elif isinstance(event, Usage):
                self._usage = _later(self._usage, event)
        if said:
            self._notes_lump(self._clock() - lag_s)

    def passes(self, events: int) -> None:
        """So many events of words came just now, and went on."""
        self._answer_bytes += BYTES_PER_TOKEN * events
        self._notes_lump(self._clock())

    def receipt(self, finish: str, *, upstream_id: str = "", fingerprint: str = "") -> Receipt:
        """The record as it stands now."""
        now = self._clock()
        answered = self._attempts[-1] if self._first_token is not None else None
        tokens_out = self._tokens_out()
        return Receipt(
            requested_model=self._request.model,
            answering_model=answered.model if answered else "",
            endpoint=answered.endpoint if answered else "",
            attempts=self.attempts,
            first_token_s=None if self._first_token is None else self._first_token - self._arrived,
            total_s=now - self._arrived,
            tokens_in=self._tokens_in() if answered else None,
            tokens_out=tokens_out,
            tokens_reasoning=self._tokens_reasoning(),
            tokens_per_s=self._speed(tokens_out),
            sent=self._sent,
            finish=finish,
            upstream_id=upstream_id,
            fingerprint=fingerprint,
        )

    def _notes_lump(self, came: float) -> None:
        if not self._lumps:
            self._opening_bytes = self._answer_bytes + self._reasoning_bytes
        self._lumps += 1
        self._last_token = came

    def _settle(self, outcome: str, status: int | None, now: float | None = None) -> Attempt | None:
        if self._asked is None:
            return None
        endpoint, model, why, since = self._asked
        self._asked = None
        attempt = Attempt(
            endpoint=endpoint,
            model=model,
            reason=why,
            outcome=outcome,
            elapsed_ms=((self._clock() if now is None else now) - since) * 1000,
            status=status,
        )
        self._attempts.append(attempt)
        return attempt

    def _tokens_in(self) -> Count:
        if self._usage.prompt_tokens is not None:
            return Count(tokens=self._usage.prompt_tokens, reported=True)
        return Count(tokens=question_tokens(self._request), reported=False)

    def _tokens_out(self) -> Count | None:
        """Reasoning is in it, as in the reports of endpoints."""
        if self._usage.completion_tokens is not None:
            return Count(tokens=self._usage.completion_tokens, reported=True)
        if self._first_token is None:
            return None
        tokens = estimate_tokens(self._answer_bytes + self._reasoning_bytes)
        return Count(tokens=tokens, reported=False)

    def _tokens_reasoning(self) -> Count | None:
        if self._usage.reasoning_tokens is not None:
            return Count(tokens=self._usage.reasoning_tokens, reported=True)
        if not self._reasoning_bytes:
            return None
        return Count(tokens=estimate_tokens(self._reasoning_bytes), reported=False)

    def _speed(self, tokens_out: Count | None) -> float | None:
        """From the first token to the last; what comes after it (usage) is no time of its own.

        What came with the first token took none of that time, and is no part of the pace.
        """
        if tokens_out is None or self._first_token is None or self._lumps < 2:
            return None
        seconds = self._last_token - self._first_token
        if seconds < SHORTEST_PACE_S:
            return None
        opening = self._opening_bytes / (self._answer_bytes + self._reasoning_bytes)
        paced = tokens_out.tokens * (1 - opening)
        return tokens_per_s(paced, seconds)


def _later(before: Usage, now: Usage) -> Usage:
    """The later report, and what only the earlier one said."""
    return Usage(
        prompt_tokens=_or(now.prompt_tokens, before.prompt_tokens),
        completion_tokens=_or(now.completion_tokens, before.completion_tokens),
        reasoning_tokens=_or(now.reasoning_tokens, before.reasoning_tokens),
    )


def _or(value: int | None, otherwise: int | None) -> int | None:
    return otherwise if value is None else value
