"""From a visitor's message to what their page shows of the answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, suppress
from typing import Any, Final

from akash_gradio.domain.chat import ChatRequest
from akash_gradio.domain.errors import AkashGradioError, NoEndpoint
from akash_gradio.domain.events import (
    Event,
    Finished,
    ReasoningDelta,
    Retrying,
    Started,
    TextDelta,
)
from akash_gradio.domain.ports import Answerer
from akash_gradio.domain.receipt import Receipt
from akash_gradio.ui import present
from akash_gradio.ui.markdown import GrowingMarkdown

PAUSE_S: Final = 0.05
"""Between two updates of the page: at most 20 a second, however fast tokens come."""
STARTING_PAUSE_S: Final = 0.5

PageEvent = dict[str, Any]
Sleep = Callable[[float], Awaitable[None]]


class _Growing:
    """The answer as far as it came, and what of it the page has not been told."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.changed = asyncio.Event()
        self.ended = False
        self._clock = clock
        self._began = clock()
        self._notes: list[PageEvent] = []
        self._parts = {"reasoning": GrowingMarkdown(), "answer": GrowingMarkdown()}
        self._told = {"reasoning": 0, "answer": 0}
        self._thought_from: float | None = None
        self._thought_s: float | None = None

    def take(self, event: Event) -> None:
        """Fold one event of the gateway in."""
        match event:
            case TextDelta(text=text):
                self._end_thought()
                self._parts["answer"].add(text)
            case ReasoningDelta(text=text):
                if self._thought_from is None:
                    self._thought_from = self._clock()
                self._parts["reasoning"].add(text)
            case Started(endpoint=endpoint, model=model):
                first_s = self._clock() - self._began
                self.note(type="started", endpoint=endpoint, model=model, first_s=first_s)
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
        self._notes.extend(self._patches(final=True))
        view = present.receipt_view(receipt) if receipt is not None else None
        self.note(type="done", receipt=view, thought_s=self._thought_s, **more)
        self.ended = True

    def drain(self) -> Iterator[PageEvent]:
        """All that the page has not been told yet, in order."""
        self.changed.clear()
        notes, self._notes = self._notes, []
        yield from notes
        if not self.ended:
            yield from self._patches(final=False)

    def _patches(self, *, final: bool) -> Iterator[PageEvent]:
        for part, growing in self._parts.items():
            patch = growing.finish() if final else growing.patch()
            if patch is None:
                continue
            new = growing.text[self._told[part] :]
            self._told[part] = len(growing.text)
            blocks = list(patch.blocks)
            yield {"type": "patch", "part": part, "keep": patch.keep, "blocks": blocks, "text": new}

    def _end_thought(self) -> None:
        if self._thought_from is not None and self._thought_s is None:
            self._thought_s = round(self._clock() - self._thought_from, 1)
            self.note(type="thought", seconds=self._thought_s)


async def reply(
    request: ChatRequest,
    answerer: Answerer,
    *,
    model_name: str,
    clock: Callable[[], float] = time.monotonic,
    sleep: Sleep = asyncio.sleep,
) -> AsyncGenerator[PageEvent, None]:
    """Ask, and yield what the page is to show, at most every `PAUSE_S` seconds.

    One task collects from the gateway; this generator wakes at its own pace and tells
    all that has come since. Errors become the last event; closing this closes the endpoint.
    """
    growing = _Growing(clock)
    collector = asyncio.ensure_future(_collect(request, answerer, growing, model_name, sleep))
    try:
        while not growing.ended:
            await growing.changed.wait()
            for event in growing.drain():
                yield event
            if not growing.ended:
                await sleep(PAUSE_S)
        for event in growing.drain():
            yield event
        await collector
    finally:
        collector.cancel()
        with suppress(asyncio.CancelledError):
            await collector


async def _collect(
    request: ChatRequest, answerer: Answerer, growing: _Growing, model_name: str, sleep: Sleep
) -> None:
    try:
        await _ask(request, answerer, growing, sleep)
    except AkashGradioError as error:
        growing.end(error.receipt, error=present.error_view(error, model_name))
    except asyncio.CancelledError:
        raise
    except Exception:
        growing.end(None, error=present.error_view(AkashGradioError(), model_name))
        raise


async def _ask(
    request: ChatRequest, answerer: Answerer, growing: _Growing, sleep: Sleep
) -> None:
    """Fold the answer in; a model that is being started is waited for: nothing is lost."""
    while True:
        try:
            async with aclosing(answerer.stream(request)) as events:
                async for event in events:
                    growing.take(event)
            return
        except NoEndpoint as error:
            if error.reason != "starting":
                raise
            growing.note(type="starting")
            await sleep(STARTING_PAUSE_S)
