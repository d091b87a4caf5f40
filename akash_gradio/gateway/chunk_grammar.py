"""The grammar of answers: what a choice of a chunk or a completion means, whatever its shape.

Servers deviate from OpenAI's format in many ways that a person would still understand: a number
as content, a `message` in a stream, a tool call without an index. All readers interpret choices
with `ChoiceReader`, so that the page, a stream at `/v1` and a collected completion agree.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from zlib import crc32

JsonObject: TypeAlias = dict[str, Any]

REASONING_FIELDS: Final = ("reasoning_content", "reasoning", "thinking", "reasoning_text")
"""Fields of reasoning: DeepSeek and vLLM, OpenRouter and Ollama, Ollama's own, GitHub Copilot."""
_TEXT_FIELDS: Final = ("text", "content", "thinking", "summary", "value")
"""Fields of a part that may hold its text, the usual one first."""
_REASONING_PARTS: Final = ("thinking", "reasoning", "reasoning.text", "reasoning.summary")
_OUTPUT_FIELDS: Final = (
    *("content", "refusal", "tool_calls", "function_call", "images", "audio"),
    *("reasoning_details", *REASONING_FIELDS),
)
_NO_FINISH: Final = frozenset({"", "null", "none"})
MAX_CHOICES: Final = 256
"""Choices of one answer that are interpreted; OpenAI allows 128."""
MAX_TOOL_CALLS: Final = 4096
"""Tool calls of one choice; further ones continue the last."""


class Channel:
    """Size and checksum of a text that arrives in pieces, to recognize its repetition."""

    __slots__ = ("checksum", "size_bytes")

    def __init__(self) -> None:
        self.checksum = self.size_bytes = 0

    def add(self, data: bytes) -> int:
        """Add the next piece, and return its size."""
        self.checksum = crc32(data, self.checksum)
        self.size_bytes += len(data)
        return len(data)

    def rest_of(self, text: str) -> str | None:
        """Return what the text has beyond the pieces; None unless it begins with them."""
        data = to_bytes(text)
        beginning = data[: self.size_bytes]
        if len(beginning) < self.size_bytes or crc32(beginning) != self.checksum:
            return None
        return str(data[self.size_bytes :], "utf-8", "replace")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """More of a tool call.

    Attributes:
        slot: The number of the call within its answer.
        id: The call's id, "" if this piece has none.
        name: The function's name, "" if this piece has none.
        arguments: More of the arguments.
    """

    slot: int
    id: str
    name: str
    arguments: str


@dataclass(slots=True)
class Choice:
    """One choice of a chunk or a completion, as a person would read it.

    Attributes:
        state: What is known of this choice from earlier chunks.
        raw: The choice as received.
        delta: What it adds to the message, in OpenAI's format; other fields are kept. The received
            object itself (`delta` or `message`) if nothing had to be changed.
        text: The text in it, with a refusal.
        reasoning: The reasoning in it.
        text_field: The field that alone holds the output, "" if it isn't one plain text.
        calls: The tool calls in it.
        media: Kinds of output that isn't text: `image`, `audio`, `video`, `reasoning` (encrypted).
        finish: The finish reason, None if there is none.
        whole: Whether the text is a whole message rather than a piece of one.
        size_bytes: The size of the output.
    """

    state: ChoiceState
    raw: JsonObject
    delta: JsonObject
    text: str = ""
    reasoning: str = ""
    text_field: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    media: list[str] = field(default_factory=list)
    finish: str | None = None
    whole: bool = False
    size_bytes: int = 0

    @property
    def channel(self) -> Channel:
        """The channel of a choice that is one text: content or reasoning."""
        return self.state.text if self.text else self.state.reasoning

    @property
    def has_output(self) -> bool:
        """Whether it adds anything to the answer."""
        return bool(self.text or self.reasoning or self.calls or self.media)


class ChoiceState:
    """What is known of one choice from the chunks so far.

    Attributes:
        index: The choice's number.
        text: All content so far.
        reasoning: All reasoning so far.
        streamed: Whether any output came in a `delta`.
        finished: Whether it has a finish reason.
    """

    __slots__ = ("_calls", "_slots", "finished", "index", "reasoning", "streamed", "text")

    def __init__(self, index: int) -> None:
        self.index = index
        self.text, self.reasoning = Channel(), Channel()
        self.streamed = self.finished = False
        self._calls: dict[int, _CallState] = {}
        self._slots: dict[int, int] = {}
        """Slots by the endpoint's index, where they differ."""

    def place(self, call: JsonObject, name: str, arguments: str, position: int) -> int:
        """Return the slot of a piece of a tool call.

        Gemini omits the index, or sends 0 for each of several parallel calls; others send -1.

        Args:
            call: The piece.
            name: Its function's name.
            arguments: Its arguments.
            position: Its position in the chunk's list.
        """
        call_id = call.get("id")
        call_id = call_id if isinstance(call_id, str) else ""
        index = read_index(call.get("index"))
        if index is None:
            slot = self._slot_without_index(call_id, name, position)
        else:
            slot = self._slots.get(index, index)
            if self._begins_another(slot, call_id, name):
                slot = self._next_slot()
                if slot < MAX_TOOL_CALLS:
                    self._slots[index] = slot
        slot = min(slot, MAX_TOOL_CALLS - 1)
        if slot not in self._calls:
            self._calls[slot] = _CallState(call_id, _is_object(arguments))
        self._calls[slot].arguments.add(to_bytes(arguments))
        return slot

    def arguments(self, slot: int) -> Channel | None:
        """Return the arguments of a call so far, None if it is new."""
        call = self._calls.get(slot)
        return call.arguments if call else None

    def slot_of(self, call_id: str, position: int) -> int | None:
        """Return the slot of a call that a whole message repeats, None if it is new."""
        by_id = [slot for slot, call in self._calls.items() if call_id and call.id == call_id]
        if by_id:
            return by_id[0]
        ordered = sorted(self._calls)
        return ordered[position] if position < len(ordered) and not call_id else None

    def _slot_without_index(self, call_id: str, name: str, position: int) -> int:
        by_id = [slot for slot, call in self._calls.items() if call_id and call.id == call_id]
        if by_id:
            return by_id[-1]
        if call_id or name:
            return position if position not in self._calls else self._next_slot()
        if position and position in self._calls:
            return position
        return next(reversed(self._calls), position)

    def _begins_another(self, slot: int, call_id: str, name: str) -> bool:
        """Return whether a piece belongs to another call than the one in its slot."""
        call = self._calls.get(slot)
        if call is None or not call_id or not call.id or call_id == call.id:
            return False
        return bool(name) and call.came_whole

    def _next_slot(self) -> int:
        return max(self._calls, default=-1) + 1


class _CallState:
    __slots__ = ("arguments", "came_whole", "id")

    def __init__(self, call_id: str, came_whole: bool) -> None:
        self.id, self.came_whole = call_id, came_whole
        self.arguments = Channel()


class ChoiceReader:
    """Interprets the choices of one answer's chunks, in order."""

    def __init__(self) -> None:
        self._states: dict[int, ChoiceState] = {}

    def read(self, chunk: JsonObject) -> list[Choice]:
        """Return the choices of a chunk or a completion."""
        complete = chunk.get("object") == "chat.completion"
        choices = enumerate(choices_of(chunk))
        return [self._read_choice(choice, position, complete) for position, choice in choices]

    def _read_choice(self, raw: JsonObject, position: int, complete: bool) -> Choice:
        index = read_index(raw.get("index"))
        index = min(position if index is None else index, MAX_CHOICES)
        state = self._states.get(index)
        if state is None:
            state = self._states[index] = ChoiceState(index)
        delta = raw.get("delta")
        choice = Choice(state, raw, delta if isinstance(delta, dict) else {})
        choice.finish = _read_finish(raw.get("finish_reason"))
        content = choice.delta.get("content")
        if len(choice.delta) == 1 and type(content) is str and content:  # nearly always
            choice.text, choice.text_field = content, "content"
        else:
            self._read_other(choice, delta, complete or choice.finish is not None)
        if choice.text:
            choice.size_bytes += state.text.add(to_bytes(choice.text))
        if choice.reasoning:
            choice.size_bytes += state.reasoning.add(to_bytes(choice.reasoning))
        state.streamed = state.streamed or (choice.has_output and not choice.whole)
        state.finished = state.finished or choice.finish is not None
        return choice

    def _read_other(self, choice: Choice, delta: object, last: bool) -> None:
        if isinstance(delta, dict | None):
            if not _has_output(choice.delta):
                self._use_message(choice, last)
        else:
            choice.delta = {"content": text_of(delta)}
        _read_delta(choice)

    def _use_message(self, choice: Choice, last: bool) -> None:
        """Use the message of a choice whose delta has no output."""
        message = choice.raw.get("message")
        message = choice.raw.get("text") if message is None else message
        if message is None:
            return
        if not isinstance(message, dict):
            message = {"content": text_of(message)}
        if choice.state.streamed:
            message = {**message, **_without_repetition(message, choice.state, last)}
        else:
            choice.whole = True
        choice.delta = {**choice.delta, **message} if choice.delta else message


def choices_of(chunk: JsonObject) -> list[JsonObject]:
    """Return the choices that are objects; a single one may stand without its list."""
    choices = chunk.get("choices")
    if isinstance(choices, dict):
        choices = [choices]
    if not isinstance(choices, list):
        return []
    return [choice for choice in choices if isinstance(choice, dict)]


def read_index(value: object) -> int | None:
    """Return an index, also if it is a float or digits; None if it isn't one."""
    if type(value) is int:
        return value if value >= 0 else None
    if isinstance(value, float):
        return int(value) if value >= 0 and math.isfinite(value) else None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return None


def text_of(value: object) -> str:
    """Return the text in a value: a string, a number, a part, or a list of these."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, list):
        return "".join(map(text_of, value))
    if isinstance(value, dict):
        return next((text_of(value[name]) for name in _TEXT_FIELDS if value.get(name)), "")
    return json.dumps(value)


def to_bytes(text: str) -> bytes:
    """Encode as UTF-8, lone surrogates too."""
    return text.encode("utf-8", "surrogatepass")


def _has_output(delta: JsonObject) -> bool:
    content = delta.get("content")
    if content is not None and content != "":
        return True  # a digit may come as a number, 0 too
    return any(delta.get(name) for name in _OUTPUT_FIELDS)


def _read_delta(choice: Choice) -> None:
    """Read the output of the delta, and put its fields into OpenAI's format."""
    delta = choice.delta
    content, thinking = delta.get("content"), ""
    if type(content) is str:
        choice.text = content
    elif content is not None:
        choice.text, thinking = _read_content(content, choice)
    choice.text += text_of(delta.get("refusal"))
    choice.reasoning = _reasoning_of(choice, delta) or thinking
    if delta.get("audio"):
        _read_audio(choice, delta["audio"])
    if delta.get("images"):
        choice.media.append("image")
    if delta.get("tool_calls"):
        _read_tool_calls(choice, delta["tool_calls"])
    if delta.get("function_call"):
        _read_tool_call(choice, {"index": 0, "function": delta["function_call"]}, 0)
    if choice.media:
        choice.size_bytes += sum(map(_size, delta.values()))
    choice.text_field = _plain_field(choice)


def _size(value: object) -> int:
    """Return about how many bytes a value with pictures has."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_size, value.values()))
    return sum(map(_size, value)) if isinstance(value, list) else 1


def _plain_field(choice: Choice) -> str:
    """Return the field whose string is the only output, "" if there is no such field."""
    output = choice.text or choice.reasoning
    if choice.calls or choice.media or not output or (choice.text and choice.reasoning):
        return ""
    names = ("content", "refusal") if choice.text else REASONING_FIELDS
    return next((name for name in names if choice.delta.get(name) == output), "")


def _read_content(content: object, choice: Choice) -> tuple[str, str]:
    """Return text and reasoning of a content that isn't a string."""
    if not isinstance(content, list):
        text = text_of(content)
        choice.delta = {**choice.delta, "content": text}
        return text, ""
    texts: list[str] = []
    thoughts: list[str] = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in _REASONING_PARTS:
            thoughts.append(text_of(part.get("thinking") or part))
        elif media := _media_of(kind):
            choice.media.append(media)
        else:
            texts.append(text_of(part))
    return "".join(texts), "".join(thoughts)


def _media_of(kind: object) -> str:
    if not isinstance(kind, str):
        return ""
    return next((media for media in ("image", "audio", "video") if media in kind), "")


def _reasoning_of(choice: Choice, delta: JsonObject) -> str:
    """Return the reasoning. Some servers send the same under several names."""
    for name in REASONING_FIELDS:
        if delta.get(name) and (text := text_of(delta[name])):
            return text
    details = delta.get("reasoning_details")
    if not details:
        return ""
    texts = []
    for detail in details if isinstance(details, list) else [details]:
        if text := text_of(detail):
            texts.append(text)
        elif isinstance(detail, dict) and detail.get("data"):
            choice.media.append("reasoning")
    return "".join(texts)


def _read_audio(choice: Choice, audio: object) -> None:
    if isinstance(audio, dict):
        choice.text += text_of(audio.get("transcript"))
        if audio.get("data"):
            choice.media.append("audio")


def _read_tool_calls(choice: Choice, calls: object) -> None:
    items = calls if isinstance(calls, list) else [calls]
    read = [
        _read_tool_call(choice, call, position)
        for position, call in enumerate(items)
        if isinstance(call, dict)
    ]
    # The calls of a message have no index.
    pieces = [call if choice.whole else number_call(call, slot) for call, slot in read]
    if pieces != calls:
        choice.delta = {**choice.delta, "tool_calls": pieces}


def number_call(call: JsonObject, slot: int) -> JsonObject:
    """Return a piece of a tool call with its slot as the index."""
    index = call.get("index")
    return call if type(index) is int and index == slot else {**call, "index": slot}


def _read_tool_call(choice: Choice, call: JsonObject, position: int) -> tuple[JsonObject, int]:
    """Read one piece, and return it in OpenAI's format with its slot."""
    function = call.get("function")
    if not isinstance(function, dict):
        function = {"name": function} if isinstance(function, str) else {}
    name = function.get("name")
    name = name if isinstance(name, str) else ""
    given = function.get("arguments")
    arguments = given if isinstance(given, str) else "" if given is None else json.dumps(given)
    slot = choice.state.place(call, name, arguments, position)
    call_id = call.get("id")
    piece = ToolCall(slot, call_id if isinstance(call_id, str) else "", name, arguments)
    if piece.id or piece.name or piece.arguments:
        choice.calls.append(piece)
        choice.size_bytes += len(piece.id) + len(piece.name) + len(to_bytes(arguments))
    if given is not None and not isinstance(given, str):
        call = {**call, "function": {**function, "arguments": arguments}}
    return call, slot


def _without_repetition(message: JsonObject, state: ChoiceState, last: bool) -> JsonObject:
    """Return the fields of a message without what the deltas before it contained.

    Args:
        message: A message in a stream that has sent deltas.
        state: The choice so far.
        last: Whether the chunk ends the choice: then a message that differs from the deltas,
            as in its white space, is a repetition too.
    """
    fields: JsonObject = {}
    names = [("content", state.text), *((name, state.reasoning) for name in REASONING_FIELDS)]
    for name, channel in names:
        if message.get(name) and channel.size_bytes:
            text = text_of(message[name])
            rest = channel.rest_of(text)
            fields[name] = rest if rest is not None else "" if last else text
    if "reasoning_details" in message and state.reasoning.size_bytes:
        fields["reasoning_details"] = None
    calls = message.get("tool_calls")
    if isinstance(calls, list):
        fields["tool_calls"] = list(_new_calls(calls, state))
    return fields


def _new_calls(calls: list[Any], state: ChoiceState) -> Iterator[JsonObject]:
    """Yield the calls that the deltas didn't contain, and what they add to those that they did."""
    for position, call in enumerate(calls):
        if not isinstance(call, dict):
            continue
        call_id, function = call.get("id"), call.get("function")
        slot = state.slot_of(call_id if isinstance(call_id, str) else "", position)
        channel = None if slot is None else state.arguments(slot)
        if channel is None:
            yield call
        elif isinstance(function, dict) and isinstance(function.get("arguments"), str):
            rest = channel.rest_of(function["arguments"])
            if rest:
                yield {"index": slot, "function": {"arguments": rest}}


def _is_object(arguments: str) -> bool:
    if not arguments.startswith("{"):
        return False
    try:
        json.loads(arguments)
    except (ValueError, RecursionError):
        return False
    return True


def _read_finish(value: object) -> str | None:
    """Return the finish reason; some servers send an object, or the word null."""
    if value is None or value is False:
        return None
    if isinstance(value, dict):
        value = value.get("type") or value.get("reason") or "unknown"
    reason = value if isinstance(value, str) else text_of(value)
    return None if reason.strip().lower() in _NO_FINISH else reason
