"""A whole completion as chunks of a stream, and the chunks of a stream as a whole completion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

_ONCE: Final = frozenset({"role", "id", "type", "name", "index"})
"""Texts that are the same wherever they are said; any other grows."""


def completion_to_chunks(completion: Mapping[str, Any], *, usage: bool) -> Iterator[dict[str, Any]]:
    """What a stream would have said; each choice in one chunk, its finish reason in another.

    usage: end with the tokens, where they are reported. Unknown fields stay.
    """
    common = {k: v for k, v in completion.items() if k not in ("choices", "usage", "object")}
    common["object"] = "chat.completion.chunk"
    choices = [choice for choice in completion["choices"] if isinstance(choice, dict)]
    for position, choice in enumerate(choices):
        said = {k: v for k, v in choice.items() if k not in ("delta", "message", "text")}
        delta = {"role": "assistant", **delta_from_choice(choice)}
        said = {"index": position, **said, "delta": delta, "finish_reason": None}
        yield {**common, "choices": [said]}
    for position, choice in enumerate(choices):
        end = {"index": choice.get("index", position), "delta": {}}
        yield {
            **common,
            "choices": [{**end, "finish_reason": choice.get("finish_reason") or "stop"}],
        }
    if usage and completion.get("usage"):
        yield {**common, "choices": [], "usage": completion["usage"]}


def delta_from_choice(choice: Mapping[str, Any]) -> dict[str, Any]:
    """What a choice says, as a delta, also where a server calls it otherwise."""
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
    """Live sum of a stream's chunks."""

    def __init__(self) -> None:
        self._top: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}

    def add(self, chunk: Mapping[str, Any]) -> None:
        """One more chunk."""
        for name, value in chunk.items():
            if name != "choices" and (value is not None or name not in self._top):
                self._top[name] = value
        for choice in chunk.get("choices") or ():
            index = choice.get("index")
            self._add_choice(index if type(index) is int else 0, choice)

    def completion(self) -> dict[str, Any]:
        """What came so far, as an answer that is no stream."""
        choices = [self._finished(index) for index in sorted(self._choices)]
        return {**self._top, "object": "chat.completion", "choices": choices}

    def _add_choice(self, index: int, choice: Mapping[str, Any]) -> None:
        kept = self._choices.setdefault(index, {"index": index, "message": {}})
        _merge(kept["message"], delta_from_choice(choice))
        for name, value in choice.items():
            if name not in ("delta", "message", "text", "index"):
                kept[name] = _sum(name, kept.get(name), value)

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


def _merge(kept: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        kept[name] = _sum(name, kept.get(name), value)


def _sum(name: str, before: Any, more: Any) -> Any:
    """What a field is when it was `before` and the next chunk says `more` of it."""
    if more is None or before is None:
        return before if more is None else more
    if isinstance(before, str) and isinstance(more, str):
        return more or before if name in _ONCE else before + more
    if isinstance(before, dict) and isinstance(more, dict):
        merged = dict(before)
        _merge(merged, more)
        return merged
    if isinstance(before, list) and isinstance(more, list):
        return _joined(before, more)
    return more


def _joined(before: list[Any], more: list[Any]) -> list[Any]:
    """Items that say their index are merged with the same one's; others are appended."""
    joined = list(before)
    for item in more:
        index = item.get("index") if isinstance(item, dict) else None
        same = [
            i for i, old in enumerate(joined) if index is not None and old.get("index") == index
        ]
        if same:
            joined[same[0]] = _sum("", joined[same[0]], item)
        else:
            joined.append(item)
    return joined
