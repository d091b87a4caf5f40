"""Executes one task of a run and returns its row. Tasks share no state."""

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

MAX_WAIT_S: Final = 300.0
"""Total time that a task waits for endpoints that are busy, starting or rate-limiting, and for
its visitor's rate limit."""
BUSY_PAUSE_S: Final = 1.0
"""Pause before a busy or starting endpoint is tried again."""
CardLookup = Callable[[str], ModelCard | None]
"""Catalog id → card."""
_ADDRESS: Final = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.I)


async def run_task(
    task: Task,
    gateway: ChatGateway,
    get_card: CardLookup,
    *,
    stream: bool = True,
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
) -> Row:
    """Send the task's request, retrying after temporary errors, and return the result.

    Args:
        task: What to send.
        gateway: Where to send it.
        get_card: Looks up a model's card, for its prices.
        stream: Whether to request a stream.
        sleep: Pauses for some seconds.

    Returns:
        The row. A gateway error becomes its outcome; other exceptions are raised.
    """
    waited_s = 0.0
    while True:
        began = datetime.now(UTC).isoformat(timespec="milliseconds")
        answer = _Answer()
        try:
            await answer.read(gateway.stream(_request(task, stream=stream)))
        except AkashGradioError as error:
            pause_s = _retry_pause_s(error)
            if pause_s is not None and waited_s + pause_s <= MAX_WAIT_S:
                waited_s += pause_s
                await sleep(pause_s)
                continue
            return answer.row(task, get_card, began, error)
        return answer.row(task, get_card, began)


class _Answer:
    """Collects the events of one stream."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._receipt: Receipt | None = None

    async def read(self, stream: AsyncGenerator[Event, None]) -> None:
        async with aclosing(stream) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    self._text.append(event.text)
                elif isinstance(event, ReasoningDelta):
                    self._reasoning.append(event.text)
                elif isinstance(event, NotReasoning):
                    self._text, self._reasoning = self._text + self._reasoning, []
                elif isinstance(event, Finished):
                    self._receipt = event.receipt

    def row(
        self, task: Task, get_card: CardLookup, began: str, error: AkashGradioError | None = None
    ) -> Row:
        text = "".join(self._text)
        receipt = error.receipt if error else self._receipt
        return Row(
            number=task.number,
            outcome=type(error).__name__ if error else OK,
            began=began,
            answer=text,
            reasoning="".join(self._reasoning),
            error=_describe(error) if error else "",
            receipt=receipt,
            checks=tuple(CheckResult(check=c, passed=passes(c, text)) for c in task.prompt.checks),
            cost=cost_of(receipt, get_card(receipt.answering_model)) if receipt else None,
        )


def _retry_pause_s(error: AkashGradioError) -> float | None:
    """Return the pause before another try, None if another try won't help."""
    if isinstance(error, NoEndpoint) and error.reason in ("busy", "starting"):
        return BUSY_PAUSE_S
    if isinstance(error, LimitReached) and error.reason in ("messages", "queue", "reserved"):
        return error.retry_after_s
    if isinstance(error, AllEndpointsFailed) and isinstance(error.cause, EndpointRefused):
        return error.retry_after_s if error.cause.retry_after_s is not None else None
    return None


def cost_of(receipt: Receipt, card: ModelCard | None) -> float | None:
    """Return the cost in US dollars by the card's prices; None if a count or price is missing."""
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
        fallback=False,  # its answer would be attributed to the lane's model
    )


def _describe(error: AkashGradioError) -> str:
    cause = getattr(error, "cause", error)
    detail = getattr(cause, "detail", "")
    text = f"{error} ({detail})" if detail else str(error)
    return _ADDRESS.sub("[address]", text)
