"""Streams an answer to the page: from a chat request to the events that its scripts show."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final

from akash_gradio.domain.chat import ChatRequest
from akash_gradio.domain.errors import AkashGradioError, NoEndpoint
from akash_gradio.domain.events import (
    Event,
    Finished,
    MediaDelta,
    NotReasoning,
    Queued,
    ReasoningDelta,
    Retrying,
    Started,
    TextDelta,
    ToolCallDelta,
)
from akash_gradio.domain.ports import ChatGateway, EndpointState
from akash_gradio.domain.receipt import Receipt
from akash_gradio.web.continuation import join_first_delta
from akash_gradio.web.errors import error_view
from akash_gradio.web.live_markdown import LiveMarkdown
from akash_gradio.web.other_output import OtherOutput
from akash_gradio.web.receipt_view import receipt_view
from akash_gradio.work.pool import WorkPool

logger = logging.getLogger(__name__)

UPDATE_INTERVAL_S: Final = 0.05
"""The page is updated at most 20 times a second, however fast tokens arrive."""
STARTING_POLL_S: Final = 0.5
"""Interval at which a starting model is checked."""

PageEvent = dict[str, Any]
"""An event as JSON, with its `type`."""
Sleep = Callable[[float], Awaitable[Any]]
DisplayName = Callable[[str], str]
"""Returns the display name of a model id."""
AnswerCost = Callable[[Receipt], float | None]
"""Returns what an answer cost in US dollars, None without a known price."""


def no_cost(_receipt: Receipt) -> float | None:
    """Return None: no price is known."""
    return None


async def reply(
    request: ChatRequest,
    gateway: ChatGateway,
    work: WorkPool,
    *,
    display_name: DisplayName = str,
    answer_cost: AnswerCost = no_cost,
    beginning: str = "",
    clock: Callable[[], float] = time.monotonic,
    sleep: Sleep = asyncio.sleep,
) -> AsyncGenerator[PageEvent, None]:
    """Request an answer and yield the page's events, at most every `UPDATE_INTERVAL_S` seconds.

    A task collects the gateway's events; at each update this generator yields those that arrived
    since the last one. An error becomes the last event. Closing the generator closes the upstream
    call.

    Args:
        request: The chat request.
        gateway: Answers it.
        work: Renders what takes long.
        display_name: See `DisplayName`.
        answer_cost: See `AnswerCost`.
        beginning: What a continued answer begins with; the patches contain it too.
        clock: Monotonic seconds.
        sleep: Waits between updates.
    """
    answer = _Answer(work, clock, display_name, answer_cost, beginning)
    collector = asyncio.ensure_future(_collect(request, gateway, answer, display_name, sleep))
    try:
        while not answer.drained:
            await answer.changed.wait()
            for event in await answer.drain():
                yield event
            if not answer.drained:
                await sleep(UPDATE_INTERVAL_S)
    finally:
        collector.cancel()
        await asyncio.wait([collector])


async def _collect(
    request: ChatRequest,
    gateway: ChatGateway,
    answer: _Answer,
    display_name: DisplayName,
    sleep: Sleep,
) -> None:
    """Collect the gateway's events. The answer always ends, unless this is cancelled."""
    try:
        await _stream(request, gateway, answer, sleep)
    except AkashGradioError as error:
        view = error_view(error, display_name(request.model))
        answer.end(error.receipt, error=view)
    except Exception as error:
        # The error's text may contain the prompt: only its class and where it was raised are
        # logged.
        frames = traceback.extract_tb(error.__traceback__)
        where = " ".join(f"{frame.name}:{frame.lineno}" for frame in frames[-5:])
        logger.error("reply.failed", extra={"kind": type(error).__name__, "where": where})
        answer.end(None, error=error_view(AkashGradioError(), display_name(request.model)))


async def _stream(
    request: ChatRequest, gateway: ChatGateway, answer: _Answer, sleep: Sleep
) -> None:
    """Collect an answer, after waiting for a model that is still starting."""
    waited = False
    while not answer.ended:
        try:
            async with aclosing(gateway.stream(request)) as events:
                async for event in events:
                    answer.add(event)
            if not answer.ended:
                raise AkashGradioError("an answer without an end")
        except NoEndpoint as error:
            if error.reason != "starting":
                raise
            if not waited:
                answer.notify(type="starting")
            waited = True
            await _wait_until_started(gateway, sleep)


async def _wait_until_started(gateway: ChatGateway, sleep: Sleep) -> None:
    """Wait until no endpoint is starting any more: each is ready or has failed."""
    await sleep(STARTING_POLL_S)
    while any(status.state is EndpointState.STARTING for status in gateway.endpoints()):
        await sleep(STARTING_POLL_S)


class _Answer:
    """An answer as received so far, and the events that the page has not received yet.

    Rendering happens in `drain`, so that a burst of events is rendered once.
    """

    def __init__(
        self,
        work: WorkPool,
        clock: Callable[[], float],
        display_name: DisplayName,
        answer_cost: AnswerCost,
        beginning: str = "",
    ) -> None:
        self.changed = asyncio.Event()
        self.drained = False
        self._work, self._clock = work, clock
        self._display_name, self._answer_cost = display_name, answer_cost
        self._began = clock()
        self._notifications: list[PageEvent] = []
        self._last: PageEvent | None = None
        self._beginning = beginning
        self._parts = {"reasoning": _Part(work), "answer": _Part(work, beginning)}
        self._other = OtherOutput()
        self._reasoning_began: float | None = None
        self._reasoning_s: float | None = None

    @property
    def ended(self) -> bool:
        """Whether the last event has arrived."""
        return self._last is not None

    def add(self, event: Event) -> None:
        """Add an event of the gateway."""
        match event:
            case TextDelta(text=text):
                self._end_reasoning()
                self._parts["answer"].add(self._join(text))
            case ReasoningDelta(text=text):
                if self._reasoning_began is None:
                    self._reasoning_began = self._clock()
                self._parts["reasoning"].add(text)
            case ToolCallDelta() | MediaDelta():
                self._other.add(event)
            case NotReasoning():
                self._turn_reasoning_into_answer()
            case Started(endpoint=endpoint, model=model):
                first_s = self._clock() - self._began
                self.notify(type="started", endpoint=endpoint, model=model, first_s=first_s)
            case Queued(position=position):
                self.notify(type="queued", position=position)
            case Retrying(failed=failed, wait_s=wait_s):
                self.notify(type="retrying", endpoint=failed.endpoint, wait_s=round(wait_s, 1))
            case Finished(receipt=receipt):
                self.end(receipt)
            case _:
                return
        self.changed.set()

    def notify(self, **event: Any) -> None:
        """Add an event for the page that is not part of the text."""
        self._notifications.append(event)
        self.changed.set()

    def end(self, receipt: Receipt | None, **fields: Any) -> None:
        """Set the last event: the receipt, and the error if there is one."""
        self._end_reasoning()
        if other := self._other.markdown():
            text = self._parts["answer"].text
            self._parts["answer"].add(f"\n\n{other}" if text else other)
        view = None
        if receipt is not None:
            view = receipt_view(receipt, self._display_name, self._answer_cost(receipt))
        self._last = {"type": "done", "receipt": view, "thought_s": self._reasoning_s, **fields}
        self.changed.set()

    async def drain(self) -> list[PageEvent]:
        """Return the events that the page has not received yet, in order."""
        self.changed.clear()
        events, self._notifications = self._notifications, []
        last = self._last  # before rendering, which may take a while
        for name, part in tuple(self._parts.items()):
            patch = await part.patch(final=last is not None)
            if patch is not None:
                events.append({"type": "patch", "part": name, **patch})
        if last is not None:
            events.append(last)
            self.drained = True
        return events

    def _join(self, text: str) -> str:
        """Return the text as it follows the beginning of a continued answer."""
        if not (self._beginning and text):
            return text
        beginning, self._beginning = self._beginning, ""
        return join_first_delta(beginning, text)

    def _turn_reasoning_into_answer(self) -> None:
        text = self._parts["reasoning"].text
        self._parts["reasoning"] = _Part(self._work)
        self._parts["answer"].add(self._join(text))
        self._reasoning_began = self._reasoning_s = None
        self.notify(type="not_reasoning")

    def _end_reasoning(self) -> None:
        if self._reasoning_began is not None and self._reasoning_s is None:
            self._reasoning_s = round(self._clock() - self._reasoning_began, 1)
            self.notify(type="thought", seconds=self._reasoning_s)


class _Part:
    """The markdown of the answer or of its reasoning, and how much of it the page has received."""

    def __init__(self, work: WorkPool, beginning: str = "") -> None:
        self._markdown = LiveMarkdown(work)
        self._unsent: list[str] = []
        self._sent_blocks = 0
        self.add(beginning)

    @property
    def text(self) -> str:
        return self._markdown.text

    def add(self, text: str) -> None:
        self._markdown.add(text)
        self._unsent.append(text)

    async def patch(self, *, final: bool) -> PageEvent | None:
        """Return the change since the last call. The final one contains the rest of the text."""
        unsent, self._unsent = self._unsent, []
        patch = await self._markdown.patch(final=final)
        new_text = "".join(unsent)
        if patch is None and not (final and new_text):
            self._unsent = [*unsent, *self._unsent]
            return None
        keep, blocks = (patch.keep, list(patch.blocks)) if patch else (self._sent_blocks, [])
        self._sent_blocks = keep + len(blocks)
        return {"keep": keep, "blocks": blocks, "text": new_text}
