"""Executes one task of a run and returns its row. Tasks share no state."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Final

from akash_gradio.compare.checks import Check, CheckResult, check_answer
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
from akash_gradio.work.pool import WorkFailed, WorkPool

MAX_WAIT_S: Final = 300.0
"""Total time that a task waits for endpoints that are busy, starting or rate-limiting, and for
its visitor's rate limit."""
BUSY_PAUSE_S: Final = 1.0
"""Pause before a busy or starting endpoint is tried again."""
CardLookup = Callable[[str], ModelCard | None]
"""Catalog id → card."""
EvaluateChecks = Callable[[Sequence[Check], str], Awaitable[tuple[CheckResult, ...]]]
"""Evaluates the checks of an answer."""
_ADDRESS: Final = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.I)


async def evaluate_here(checks: Sequence[Check], answer: str) -> tuple[CheckResult, ...]:
    """Evaluate the checks at once, for a command that serves one person."""
    return check_answer(checks, answer)


def evaluate_in(work: WorkPool) -> EvaluateChecks:
    """Return a function that evaluates checks in a worker; those that take too long fail."""

    async def evaluate(checks: Sequence[Check], answer: str) -> tuple[CheckResult, ...]:
        try:
            return await work.run(check_answer, checks, answer)
        except (WorkFailed, LimitReached):
            return tuple(CheckResult(check=check, passed=False) for check in checks)

    return evaluate


async def run_task(
    task: Task,
    gateway: ChatGateway,
    get_card: CardLookup,
    *,
    stream: bool = True,
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    evaluate: EvaluateChecks = evaluate_here,
) -> Row:
    """Send the task's request, retrying after temporary errors, and return the result.

    Args:
        task: What to send.
        gateway: Where to send it.
        get_card: Looks up a model's card, for its prices.
        stream: Whether to request a stream.
        sleep: Pauses for some seconds.
        evaluate: Evaluates the prompt's checks.

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
            return await answer.row(task, get_card, began, evaluate, error)
        return await answer.row(task, get_card, began, evaluate)


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

    async def row(
        self,
        task: Task,
        get_card: CardLookup,
        began: str,
        evaluate: EvaluateChecks,
        error: AkashGradioError | None = None,
    ) -> Row:
        text, checks = "".join(self._text), task.prompt.checks
        receipt = error.receipt if error else self._receipt
        return Row(
            number=task.number,
            outcome=type(error).__name__ if error else OK,
            began=began,
            answer=text,
            reasoning="".join(self._reasoning),
            error=_describe(error) if error else "",
            receipt=receipt,
            checks=await evaluate(checks, text) if checks else (),
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
