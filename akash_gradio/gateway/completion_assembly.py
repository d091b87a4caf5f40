"""Converts a complete answer into the chunks of a stream, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

_REPEATED: Final = frozenset({"role", "id", "type", "name", "index"})
"""Text fields that repeat the same value in each chunk; all others are continued."""


def completion_to_chunks(completion: Mapping[str, Any], *, usage: bool) -> Iterator[dict[str, Any]]:
    """Yield the chunks of a stream for a complete answer, keeping unknown fields.

    Each choice becomes one chunk with its content and one with its finish reason.

    Args:
        usage: Whether to end with the token counts, where the endpoint reported them.
    """
    common = {k: v for k, v in completion.items() if k not in ("choices", "usage", "object")}
    common["object"] = "chat.completion.chunk"
    choices = completion["choices"] or []
    for position, choice in enumerate(choices):
        rest = {k: v for k, v in choice.items() if k not in ("delta", "message", "text")}
        delta = {"role": "assistant", **delta_from_choice(choice)}
        content = {"index": position, **rest, "delta": delta, "finish_reason": None}
        yield {**common, "choices": [content]}
    for position, choice in enumerate(choices):
        end = {"index": choice.get("index", position), "delta": {}}
        yield {
            **common,
            "choices": [{**end, "finish_reason": choice.get("finish_reason") or "stop"}],
        }
    if usage and completion.get("usage"):
        yield {**common, "choices": [], "usage": completion["usage"]}


def delta_from_choice(choice: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a choice as a delta, whichever field the server uses for it."""
    delta = choice.get("delta")
    if isinstance(delta, dict):
        return delta
    message = choice.get("message")
    if not isinstance(message, dict):
        return {"content": choice["text"]} if "text" in choice else {}
    calls = message.get("tool_calls")
    if not isinstance(calls, list):
        return message
    numbered = enumerate(call for call in calls if isinstance(call, dict))
    return {**message, "tool_calls": [{"index": i, **call} for i, call in numbered]}


class CompletionAssembler:
    """Assembles the chunks of a stream into a complete answer."""

    def __init__(self) -> None:
        self._top: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}

    def add(self, chunk: Mapping[str, Any]) -> None:
        """Add the next chunk."""
        for name, value in chunk.items():
            if name != "choices" and (value is not None or name not in self._top):
                self._top[name] = value
        for choice in chunk.get("choices") or ():
            index = choice.get("index")
            self._add_choice(index if type(index) is int else 0, choice)

    def completion(self) -> dict[str, Any]:
        """Return the chunks so far as one answer."""
        choices = [self._finished(index) for index in sorted(self._choices)]
        return {**self._top, "object": "chat.completion", "choices": choices}

    def _add_choice(self, index: int, choice: Mapping[str, Any]) -> None:
        assembled = self._choices.setdefault(index, {"index": index, "message": {}})
        _merge(assembled["message"], delta_from_choice(choice))
        for name, value in choice.items():
            if name not in ("delta", "message", "text", "index"):
                assembled[name] = _combine(name, assembled.get(name), value)

    def _finished(self, index: int) -> dict[str, Any]:
        choice = self._choices[index]
        message = {"role": "assistant", "content": None, **choice["message"]}
        if "tool_calls" in message:
            calls = message["tool_calls"] or []
            message["tool_calls"] = [{k: v for k, v in c.items() if k != "index"} for c in calls]
        return {
            **choice,
            "message": message,
            "finish_reason": choice.get("finish_reason") or "stop",
        }


def _merge(target: dict[str, Any], update: Mapping[str, Any]) -> None:
    for name, value in update.items():
        target[name] = _combine(name, target.get(name), value)


def _combine(name: str, before: Any, value: Any) -> Any:
    """Combine a field's value so far with its value in the next chunk."""
    if value is None or before is None:
        return before if value is None else value
    if isinstance(before, str) and isinstance(value, str):
        return value or before if name in _REPEATED else before + value
    if isinstance(before, dict) and isinstance(value, dict):
        merged = dict(before)
        _merge(merged, value)
        return merged
    if isinstance(before, list) and isinstance(value, list):
        return _combine_lists(before, value)
    return value


def _combine_lists(before: list[Any], items: list[Any]) -> list[Any]:
    """Merge items with the same index; append the others."""
    combined = list(before)
    for item in items:
        index = item.get("index") if isinstance(item, dict) else None
        same = [
            i for i, old in enumerate(combined) if index is not None and old.get("index") == index
        ]
        if same:
            combined[same[0]] = _combine("", combined[same[0]], item)
        else:
            combined.append(item)
    return combined
