"""Converts what a function yields into the chunks of an OpenAI-compatible stream."""

from __future__ import annotations

import base64
import io
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Final

_KEYS: Final = ("content", "reasoning", "tool_calls", "usage", "finish_reason", "images")
_HINT: Final = (
    "yield text, or a dict with content, reasoning, tool_calls, usage, finish_reason or images"
)


class ChunkWriter:
    """Writes the chunks of one answer.

    Args:
        model: The id of the model, as the response names it.

    Attributes:
        finish_reason: Sent at the end: what the function yielded, or `stop` or `tool_calls`.
        usage: Sent at the end, None if the function yielded none.
    """

    def __init__(self, model: str) -> None:
        self.finish_reason = ""
        self.usage: Mapping[str, Any] | None = None
        self._tool_calls = 0
        self._head = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
        }

    def chunks(self, item: object) -> Iterator[dict[str, Any]]:
        """Yield the chunks for an item: none for None, an empty text, or a usage report.

        Raises:
            TypeError: The item isn't something that a function may yield.
        """
        if item is None or item == "":
            return
        if isinstance(item, str):
            yield self._chunk({"content": item})
            return
        value = _to_mapping(item)
        if value is None:
            raise TypeError(f"the function yielded {type(item).__name__}; {_HINT}")
        if "choices" in value:
            yield from self._openai_chunk(value)
            return
        if not any(key in value for key in _KEYS):
            raise TypeError(f"the function yielded a dict with {sorted(value)[:5]}; {_HINT}")
        delta = dict(self._delta(value))
        if delta:
            yield self._chunk(delta)

    def end(self) -> Iterator[dict[str, Any]]:
        """Yield the chunks that end the answer: finish reason, then usage."""
        reason = self.finish_reason or ("tool_calls" if self._tool_calls else "stop")
        yield self._chunk({}, reason)
        if self.usage is not None:
            yield {**self._head, "choices": [], "usage": dict(self.usage)}

    def _chunk(self, delta: Mapping[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return {**self._head, "choices": [choice]}

    def _openai_chunk(self, value: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Forward a chunk that has OpenAI's shape already, and keep its end for `end`."""
        self.usage = value.get("usage") or self.usage
        for choice in (value["choices"] or [])[:1]:
            choice = _to_mapping(choice) or {}
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
            delta = _to_mapping(choice.get("delta") or choice.get("message") or {}) or {}
            kept = {key: part for key, part in delta.items() if part and key != "role"}
            if kept:
                self._tool_calls += len(kept.get("tool_calls", ()))
                yield self._chunk(json.loads(json.dumps(kept, default=_to_mapping)))

    def _delta(self, value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        self.usage = value.get("usage") or self.usage
        self.finish_reason = value.get("finish_reason") or self.finish_reason
        if content := value.get("content"):
            yield "content", content
        if reasoning := value.get("reasoning"):
            yield "reasoning_content", reasoning
        if calls := value.get("tool_calls"):
            yield "tool_calls", [self._tool_call(call) for call in calls]
        if images := value.get("images"):
            parts = images if isinstance(images, list | tuple) else [images]
            yield (
                "images",
                [{"type": "image_url", "image_url": {"url": _image_url(i)}} for i in parts],
            )

    def _tool_call(self, call: Any) -> dict[str, Any]:
        call = _to_mapping(call) or {}
        function = _to_mapping(call.get("function") or call) or {}
        arguments = function.get("arguments", function.get("args"))
        if arguments is not None and not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False)
        index = call.get("index")
        if index is None:
            index = self._tool_calls
        self._tool_calls = max(self._tool_calls, index + 1)
        return {
            "index": index,
            "id": call.get("id") or f"call_{uuid.uuid4().hex[:24]}",
            "type": "function",
            "function": {"name": function.get("name") or "", "arguments": arguments or ""},
        }


def encode_event(chunk: Mapping[str, Any]) -> bytes:
    """Return a chunk as a server-sent event.

    Raises:
        TypeError: It holds something that JSON can't represent; likewise ValueError.
    """
    text = json.dumps(chunk, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return f"data: {text}\n\n".encode("utf-8", "replace")


def _to_mapping(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, Mapping):
        return value
    for method in ("model_dump", "dict", "to_dict"):  # pydantic (openai's SDK), others
        convert = getattr(value, method, None)
        if callable(convert):
            converted = convert()
            return converted if isinstance(converted, Mapping) else None
    return None


def _image_url(image: Any) -> str:
    """Return a data URL for a PIL image, bytes of a PNG or JPEG, or a URL."""
    if isinstance(image, str):
        return image
    kind = "png"
    if isinstance(image, bytes):
        data = image
        kind = "jpeg" if data.startswith(b"\xff\xd8") else "png"
    elif hasattr(image, "save"):
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        data = buffer.getvalue()
    else:
        raise TypeError(
            f"an image is {type(image).__name__}; it must be a PIL image, bytes or a URL"
        )
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
