"""Converts a complete answer into the chunks of a stream, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from akash_gradio.gateway.chunk_grammar import Choice, number_call

_REPEATED: Final = frozenset(
    {"role", "id", "type", "name", "index", "object", "model", "format", "status", "signature"}
)
"""Text fields that repeat the same value in each chunk; all others are continued."""
_NUMBERED: Final = frozenset({"tool_calls", "reasoning_details"})
"""Lists whose items with the same index continue each other."""


def completion_to_chunks(
    completion: Mapping[str, Any], choices: Sequence[Choice], *, usage: bool
) -> Iterator[dict[str, Any]]:
    """Yield the chunks of a stream for a complete answer, keeping unknown fields.

    Each choice becomes one chunk with its content and one with its finish reason.

    Args:
        completion: The answer.
        choices: Its choices, as the grammar reads them.
        usage: Whether to end with the token counts, where the endpoint reported them.
    """
    common = {k: v for k, v in completion.items() if k not in ("choices", "usage", "object")}
    common["object"] = "chat.completion.chunk"
    for choice in choices:
        rest = {k: v for k, v in choice.raw.items() if k not in ("delta", "message", "text")}
        delta = {"role": "assistant", **streamed_delta(choice)}
        content = {**rest, "index": choice.state.index, "delta": delta, "finish_reason": None}
        yield {**common, "choices": [content]}
    for choice in choices:
        end = {"index": choice.state.index, "delta": {}, "finish_reason": choice.finish or "stop"}
        yield {**common, "choices": [end]}
    if usage and completion.get("usage"):
        yield {**common, "choices": [], "usage": completion["usage"]}


def streamed_delta(choice: Choice) -> dict[str, Any]:
    """Return the delta of a choice for a stream, in which tool calls are numbered."""
    calls = choice.delta.get("tool_calls")
    if not (choice.whole and calls and isinstance(calls, list)):
        return choice.delta
    numbered = [number_call(call, slot) for slot, call in enumerate(calls)]
    return {**choice.delta, "tool_calls": numbered}


class CompletionAssembler:
    """Assembles the chunks of a stream into a complete answer, in time linear in its size."""

    def __init__(self) -> None:
        self._top: dict[str, Any] = {}
        self._choices: dict[int, _Fields] = {}

    def add(self, chunk: Mapping[str, Any], choices: Sequence[Choice]) -> None:
        """Add the next chunk, with its choices as the grammar reads them."""
        for name, value in chunk.items():
            if name != "choices" and (value is not None or name not in self._top):
                self._top[name] = value
        for choice in choices:
            self._add_choice(choice)

    def end(self, finish_reason: str) -> None:
        """Set the finish reason of the choices that have none."""
        for fields in self._choices.values():
            if not fields.get("finish_reason"):
                fields["finish_reason"] = finish_reason

    def completion(self) -> dict[str, Any]:
        """Return the chunks so far as one answer."""
        choices = [self._finished(index) for index in sorted(self._choices)]
        return {**self._top, "object": "chat.completion", "choices": choices}

    def _add_choice(self, choice: Choice) -> None:
        index = choice.state.index
        fields = self._choices.get(index)
        if fields is None:
            fields = self._choices[index] = {"index": index, "message": {}}
        _merge(fields["message"], streamed_delta(choice))
        for name, value in choice.raw.items():
            if name == "logprobs":
                fields[name] = _combine(name, fields.get(name), value)
            elif name not in ("delta", "message", "text", "index") and value is not None:
                fields[name] = value
        if choice.finish is not None:
            fields["finish_reason"] = choice.finish

    def _finished(self, index: int) -> dict[str, Any]:
        choice = {name: _built(value) for name, value in self._choices[index].items()}
        message = {"role": "assistant", "content": None, **choice["message"]}
        calls = message.get("tool_calls")
        if isinstance(calls, list):
            message["tool_calls"] = [
                {k: v for k, v in call.items() if k != "index"}
                for call in calls
                if isinstance(call, dict)
            ]
        reason = choice.get("finish_reason")
        return {**choice, "message": message, "finish_reason": reason or "stop"}


class _Text:
    """A text in pieces."""

    __slots__ = ("pieces",)

    def __init__(self, piece: str) -> None:
        self.pieces = [piece]


class _List:
    """The items of several lists.

    Args:
        name: The field that holds the list.
    """

    __slots__ = ("_name", "_positions", "items")

    def __init__(self, name: str) -> None:
        self.items: list[Any] = []
        self._name = name
        self._positions: dict[int, int] = {}
        """Positions of the items with an index, in a list of `_NUMBERED`."""

    def extend(self, items: list[Any]) -> None:
        """Append the items, or merge them into those that they continue."""
        for item in items:
            position = self._continued(item)
            if position is None:
                self.items.append(item)
            else:
                self.items[position] = _combine("", self.items[position], item)

    def _continued(self, item: Any) -> int | None:
        """Return the position of the item that this one continues, None if it is another one."""
        if not isinstance(item, dict):
            return None
        last = len(self.items) - 1
        if self._name in _NUMBERED:
            index = item.get("index")
            if type(index) is not int:
                return None
            position = self._positions.get(index)
            if position is None or not _same_type(self.items[position], item):
                self._positions[index] = last + 1
                return None
            return position
        if last >= 0 and _is_text(item) and _is_text(self.items[last]):
            return last if _same_type(self.items[last], item) else None
        return None


_Fields: TypeAlias = dict[str, Any]
"""The fields of an object that is being assembled; a value may be a `_Text` or a `_List`."""


def _merge(target: _Fields, update: Mapping[str, Any]) -> None:
    for name, value in update.items():
        target[name] = _combine(name, target.get(name), value)


def _combine(name: str, before: Any, value: Any) -> Any:
    """Combine a field's value so far with its value in the next chunk."""
    if value is None:
        return before
    if isinstance(value, list):
        return _append_list(name, before, value)
    if before is None:
        return value
    if isinstance(value, str):
        return _append_text(name, before, value)
    if isinstance(before, dict) and isinstance(value, dict):
        _merge(before, value)
        return before
    return value


def _append_text(name: str, before: Any, value: str) -> Any:
    if isinstance(before, _List | list):  # Mistral: a list while it reasons, a text after it
        part = {"type": "text", "text": value}
        return _append_list(name, before, [part]) if value else before
    if name in _REPEATED:
        return value or before
    if isinstance(before, _Text):
        before.pieces.append(value)
        return before
    if isinstance(before, str):
        text = _Text(before)
        text.pieces.append(value)
        return text
    return value


def _append_list(name: str, before: Any, items: list[Any]) -> Any:
    if isinstance(before, _List):
        before.extend(items)
        return before
    combined = _List(name)
    if isinstance(before, list):
        combined.extend(before)
    elif isinstance(before, str | _Text) and _built(before):
        combined.extend([{"type": "text", "text": before}])
    combined.extend(items)
    return combined


def _is_text(part: Any) -> bool:
    """Return whether a part of a content is only text or reasoning: the next may continue it."""
    return isinstance(part, dict) and part.keys() in ({"type", "text"}, {"type", "thinking"})


def _same_type(one: Any, other: Any) -> bool:
    if not isinstance(one, dict):
        return False
    types = one.get("type"), other.get("type")
    return types[0] == types[1] or not all(types)


def _built(value: Any) -> Any:
    """Return a value without `_Text` and `_List`."""
    if isinstance(value, _Text):
        return "".join(value.pieces)
    if isinstance(value, _List):
        return [_built(item) for item in value.items]
    if isinstance(value, dict):
        return {name: _built(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_built(item) for item in value]
    return value
