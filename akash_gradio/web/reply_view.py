"""From a visitor's message to what their page shows of the answer."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Any, Final

from akash_gradio.domain.chat import ChatRequest
from akash_gradio.domain.errors import AkashGradioError, NoEndpoint
from akash_gradio.domain.events import (
    Event,
    Finished,
    NotReasoning,
    Queued,
    ReasoningDelta,
    Retrying,
    Started,
    TextDelta,
)
from akash_gradio.domain.ports import ChatGateway, EndpointState
from akash_gradio.domain.receipt import Receipt
from akash_gradio.markdown.renderer import GrowingMarkdown
from akash_gradio.web import views
from akash_gradio.web.continuation import joined
from akash_gradio.web.errors import error_view

logger = logging.getLogger(__name__)

PAUSE_S: Final = 0.05
"""Between two updates of the page: at most 20 a second, however fast tokens come."""
STARTING_PAUSE_S: Final = 0.5

PageEvent = dict[str, Any]
Sleep = Callable[[float], Awaitable[Any]]
NameOf = Callable[[str], str]
"""The name that people read, of a model id."""
CostOf = Callable[[Receipt], float | None]
"""US dollars that an answer cost; None when its price isn't known."""


def free(_receipt: Receipt) -> float | None:
    """No price is known."""
    return None


class _Part:
    """The answer or its reasoning, and how much of it the page has been told. Live state."""

    def __init__(self, before: str = "") -> None:
        self._growing = GrowingMarkdown()
        self._growing.add(before)
        self._told_chars = 0
        self._blocks = 0

    @property
    def text(self) -> str:
        return self._growing.text

    def add(self, text: str) -> None:
        self._growing.add(text)

    def patch(self, *, final: bool) -> PageEvent | None:
        """What the page is to change. The last one brings all of the text, drawn or not."""
        patch = self._growing.finish() if final else self._growing.patch()
        new = self._growing.text[self._told_chars :]
        if patch is None and not (final and new):
            return None
        keep, blocks = (patch.keep, list(patch.blocks)) if patch else (self._blocks, [])
        self._told_chars += len(new)
        self._blocks = keep + len(blocks)
        return {"keep": keep, "blocks": blocks, "text": new}


class _Growing:
    """The answer as far as it came, and what of it the page has not been told. Live state.

    It is drawn where it is drained, so that a burst costs one drawing.
    """

    def __init__(
        self, clock: Callable[[], float], name_of: NameOf, cost_of: CostOf, before: str = ""
    ) -> None:
        self.changed = asyncio.Event()
        self.told_all = False
        self._clock, self._name_of, self._cost_of = clock, name_of, cost_of
        self._began = clock()
        self._notes: list[PageEvent] = []
        self._last: PageEvent | None = None
        self._before = before
        self._parts = {"reasoning": _Part(), "answer": _Part(before)}
        self._thought_from: float | None = None
        self._thought_s: float | None = None

    @property
    def ended(self) -> bool:
        """Nothing more comes."""
        return self._last is not None

    def take(self, event: Event) -> None:
        """Fold one event of the gateway in."""
        match event:
            case TextDelta(text=text):
                self._end_thought()
                self._parts["answer"].add(self._joined(text))
            case ReasoningDelta(text=text):
                if self._thought_from is None:
                    self._thought_from = self._clock()
                self._parts["reasoning"].add(text)
            case NotReasoning():
                self._recast()
            case Started(endpoint=endpoint, model=model):
                first_s = self._clock() - self._began
                self.note(type="started", endpoint=endpoint, model=model, first_s=first_s)
            case Queued(position=place):
                self.note(type="queued", place=place)
            case Retrying(failed=failed, wait_s=wait_s):
                self.note(type="retrying", endpoint=failed.endpoint, wait_s=round(wait_s, 1))
            case Finished(receipt=receipt):
                self.end(receipt)
            case _:
                return
        self.changed.set()

    def note(self, **event: Any) -> None:
        """Tell the page something in between."""
        self._notes.append(event)
        self.changed.set()

    def end(self, receipt: Receipt | None, **more: Any) -> None:
        """The last event: the receipt, and the error if there is one."""
        self._end_thought()
        view = None
        if receipt is not None:
            view = views.receipt_view(receipt, self._name_of, self._cost_of(receipt))
        self._last = {"type": "done", "receipt": view, "thought_s": self._thought_s, **more}
        self.changed.set()

    def drain(self) -> list[PageEvent]:
        """All that the page has not been told yet, in order."""
        self.changed.clear()
        events, self._notes = self._notes, []
        events += self._patches()
        if self._last is not None:
            events.append(self._last)
            self.told_all = True
        return events

    def _patches(self) -> Iterator[PageEvent]:
        for name, part in self._parts.items():
            patch = part.patch(final=self.ended)
            if patch is not None:
                yield {"type": "patch", "part": name, **patch}

    def _joined(self, text: str) -> str:
        """The words as they stand in the answer; only the first of a continuation are changed."""
        if not (self._before and text):
            return text
        before, self._before = self._before, ""
        return joined(before, text)

    def _recast(self) -> None:
        """What was shown as reasoning is shown as the answer."""
        said = self._parts["reasoning"].text
        self._parts["reasoning"] = _Part()
        self._parts["answer"].add(self._joined(said))
        self._thought_from = self._thought_s = None
        self.note(type="not_reasoning")

    def _end_thought(self) -> None:
        if self._thought_from is not None and self._thought_s is None:
            self._thought_s = round(self._clock() - self._thought_from, 1)
            self.note(type="thought", seconds=self._thought_s)


async def reply(
    request: ChatRequest,
    answerer: ChatGateway,
    *,
    name_of: NameOf = str,
    cost_of: CostOf = free,
    before: str = "",
    clock: Callable[[], float] = time.monotonic,
    sleep: Sleep = asyncio.sleep,
) -> AsyncGenerator[PageEvent, None]:
    """Ask, and yield what the page is to show, at most every `PAUSE_S` seconds.

    before: of an answer that is gone on with, what is there already; the patches bring it too.

    One task collects from the gateway; this generator wakes at its own pace and tells
    all that has come since. Errors become the last event; closing this closes the endpoint.
    """
    growing = _Growing(clock, name_of, cost_of, before)
    collector = asyncio.ensure_future(_collect(request, answerer, growing, name_of, sleep))
    try:
        while not growing.told_all:
            await growing.changed.wait()
            for event in growing.drain():
                yield event
            if not growing.told_all:
                await sleep(PAUSE_S)
    finally:
        collector.cancel()
        await asyncio.wait([collector])


async def _collect(
    request: ChatRequest, answerer: ChatGateway, growing: _Growing, name_of: NameOf, sleep: Sleep
) -> None:
    """Fold the answer in, whatever becomes of it: an end always comes, unless cancelled."""
    try:
        await _ask(request, answerer, growing, sleep)
    except AkashGradioError as error:
        view = error_view(error, name_of(request.model))
        growing.end(error.receipt, error=view)
    except Exception as error:
        # Its text may hold the prompt: only what kind it is and where it was raised is told.
        frames = traceback.extract_tb(error.__traceback__)
        where = " ".join(f"{frame.name}:{frame.lineno}" for frame in frames[-5:])
        logger.error("reply.failed", extra={"kind": type(error).__name__, "where": where})
        growing.end(None, error=error_view(AkashGradioError(), name_of(request.model)))


async def _ask(
    request: ChatRequest, answerer: ChatGateway, growing: _Growing, sleep: Sleep
) -> None:
    """Fold the answer in; a model that is being started is waited for: nothing is lost."""
    waited = False
    while not growing.ended:
        try:
            async with aclosing(answerer.stream(request)) as events:
                async for event in events:
                    growing.take(event)
            if not growing.ended:
                raise AkashGradioError("a reply without an end")
        except NoEndpoint as error:
            if error.reason != "starting":
                raise
            if not waited:
                growing.note(type="starting")
            waited = True
            await _until_started(answerer, sleep)


async def _until_started(answerer: ChatGateway, sleep: Sleep) -> None:
    """Wait until nothing is starting any more, whether it is ready or was given up."""
    await sleep(STARTING_PAUSE_S)
    while any(status.state is EndpointState.STARTING for status in answerer.endpoints()):
        await sleep(STARTING_PAUSE_S)
