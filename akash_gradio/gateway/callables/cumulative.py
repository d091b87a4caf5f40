"""Adapts the functions of `gr.ChatInterface`: message and history in, the whole text so far out."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from typing import Any


def to_history(messages: Sequence[Mapping[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """Return the last message's text, and the messages before it as `gr.ChatInterface` has them."""
    *history, last = messages
    return _text(last), [
        {"role": m["role"], "content": _text(m), "metadata": None, "options": None} for m in history
    ]


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(
            part["text"] for part in content if isinstance(part, dict) and part.get("text")
        )
    return content if isinstance(content, str) else ""


class CumulativeText:
    """Turns the texts so far into what each adds.

    A text that doesn't begin with the one before, such as a "Thinking…" that is replaced, can't
    be taken back from a stream: it is sent whole, as a new paragraph.
    """

    def __init__(self) -> None:
        self._before = ""

    def delta(self, item: object) -> object:
        """Return what an item adds; an item that isn't a text is returned unchanged."""
        text = _cumulative_text(item)
        if text is None:
            return item
        before, self._before = self._before, text
        if text.startswith(before):
            return text[len(before) :]
        return f"\n\n{text}"


def _cumulative_text(item: object) -> str | None:
    if isinstance(item, str):
        return item
    # A dict, or a gr.ChatMessage.
    content = item.get("content") if isinstance(item, Mapping) else getattr(item, "content", None)
    return content if isinstance(content, str) else None


def cumulative_to_deltas(result: Any) -> Any:
    """Return the result of a function with its texts replaced by what each adds.

    Args:
        result: A value, an iterator, an awaitable or an async iterator.
    """
    if hasattr(result, "__aiter__"):
        return _deltas_async(result)
    if inspect.isawaitable(result):
        return _delta_of_awaitable(result)
    if isinstance(result, Iterator):
        return _deltas(result)
    return CumulativeText().delta(result)


def _deltas(items: Iterator[Any]) -> Iterator[object]:
    text = CumulativeText()
    try:
        for item in items:
            yield text.delta(item)
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()


async def _deltas_async(items: AsyncIterator[Any]) -> AsyncIterator[object]:
    text = CumulativeText()
    try:
        async for item in items:
            yield text.delta(item)
    finally:
        aclose = getattr(items, "aclose", None)
        if aclose is not None:
            await aclose()


async def _delta_of_awaitable(result: Awaitable[Any]) -> object:
    return CumulativeText().delta(await result)
