"""One function from a task to its row. Nothing is shared between calls, nothing is kept."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Final

from akash_gradio.compare.checks import CheckResult, passes
from akash_gradio.compare.plan import Task
from akash_gradio.compare.rows import OK, Row
from akash_gradio.domain.chat import ChatRequest, Conversation, Role, Turn
from akash_gradio.domain.errors import (
    AkashGradioError,
    AllEndpointsFailed,
    EndpointRefused,
    LimitReached,
    NoEndpoint,
)
from akash_gradio.domain.events import Event, Finished, NotReasoning, ReasoningDelta, TextDelta
from akash_gradio.domain.model import ModelCard
from akash_gradio.domain.ports import ChatGateway
from akash_gradio.domain.receipt import Receipt

PATIENCE_S: Final = 300.0
"""How long one task waits, in all: for endpoints that are busy, starting or asked for a rest,
and for its visitor's share of the minute."""
OCCUPIED_PAUSE_S: Final = 1.0
Cards = Callable[[str], ModelCard | None]
"""Catalog id → its card."""
_ADDRESS: Final = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.I)


async def ask(
    task: Task,
    answerer: ChatGateway,
    cards: Cards,
    *,
    stream: bool = True,
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
) -> Row:
    """Ask until there is an answer or an error that waiting would not mend; write it down.

    cards: for the prices of the model that answered. sleep: of pauses, in seconds. Errors of
    `domain.errors` become the row's outcome; others are raised.
    """
    waited_s = 0.0
    while True:
        began = datetime.now(UTC).isoformat(timespec="milliseconds")
        said = _Said()
        try:
            await said.hear(answerer.stream(_request(task, stream=stream)))
        except AkashGradioError as error:
            wait_s = _worth_waiting_s(error)
            if wait_s is not None and waited_s + wait_s <= PATIENCE_S:
                waited_s += wait_s
                await sleep(wait_s)
                continue
            return said.row(task, cards, began, error)
        return said.row(task, cards, began)


class _Said:
    """Live: what one stream says."""

    def __init__(self) -> None:
        self._answer: list[str] = []
        self._reasoning: list[str] = []
        self._receipt: Receipt | None = None

    async def hear(self, stream: AsyncGenerator[Event, None]) -> None:
        async with aclosing(stream) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    self._answer.append(event.text)
                elif isinstance(event, ReasoningDelta):
                    self._reasoning.append(event.text)
                elif isinstance(event, NotReasoning):
                    self._answer, self._reasoning = self._answer + self._reasoning, []
                elif isinstance(event, Finished):
                    self._receipt = event.receipt

    def row(
        self, task: Task, cards: Cards, began: str, error: AkashGradioError | None = None
    ) -> Row:
        text = "".join(self._answer)
        receipt = error.receipt if error else self._receipt
        return Row(
            number=task.number,
            outcome=type(error).__name__ if error else OK,
            began=began,
            answer=text,
            reasoning="".join(self._reasoning),
            said=_words_of(error) if error else "",
            receipt=receipt,
            checks=tuple(CheckResult(check=c, passed=passes(c, text)) for c in task.prompt.checks),
            cost=cost_of(receipt, cards(receipt.answering_model)) if receipt else None,
        )


def _worth_waiting_s(error: AkashGradioError) -> float | None:
    """How long to wait for what is only occupied for a while; None where that mends nothing."""
    if isinstance(error, NoEndpoint) and error.reason in ("busy", "starting"):
        return OCCUPIED_PAUSE_S
    if isinstance(error, LimitReached) and error.reason in ("messages", "queue"):
        return error.retry_after_s
    if isinstance(error, AllEndpointsFailed) and isinstance(error.cause, EndpointRefused):
        return error.retry_after_s if error.cause.retry_after_s is not None else None
    return None


def cost_of(receipt: Receipt, card: ModelCard | None) -> float | None:
    """US dollars by the card's prices; None where a count or a price is missing."""
    if card is None or receipt.tokens_in is None or receipt.tokens_out is None:
        return None
    return card.cost(receipt.tokens_in.tokens, receipt.tokens_out.tokens)


def _request(task: Task, *, stream: bool) -> ChatRequest:
    turn = Turn(role=Role.USER, content=task.prompt.text)
    return ChatRequest(
        model=task.lane.model,
        conversation=Conversation(turns=(turn,), system=task.prompt.system or task.lane.system),
        sampling=task.lane.sampling,
        stream=stream,
        endpoint=task.lane.endpoint,
        fallback=False,  # it would be compared in the lane's name
    )


def _words_of(error: AkashGradioError) -> str:
    cause = getattr(error, "cause", error)
    detail = getattr(cause, "detail", "")
    told = f"{error} ({detail})" if detail else str(error)
    return _ADDRESS.sub("[address]", told)
