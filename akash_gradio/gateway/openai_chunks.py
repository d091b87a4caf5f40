"""Converts parsed JSON into events: a chunk of a stream, or a complete answer."""

from __future__ import annotations

import re
from typing import Any, Final
from zlib import crc32

from akash_gradio.domain.errors import EndpointMalformed
from akash_gradio.domain.events import (
    Event,
    MediaDelta,
    NotReasoning,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from akash_gradio.domain.size_limits import ANSWER_BYTES, ANSWER_CHARACTERS
from akash_gradio.gateway.chunk_grammar import (
    Choice,
    ChoiceReader,
    JsonObject,
    ToolCall,
    to_bytes,
)
from akash_gradio.gateway.error_bodies import ErrorBody, parse_error_object
from akash_gradio.gateway.error_responses import error_from_body
from akash_gradio.gateway.reasoning import ThinkSplitter
from akash_gradio.gateway.surrogates import REPLACEMENT, SurrogateJoiner, repair_surrogates

SIZE_LIMIT: Final = "size_limit"
"""The finish reason of an answer that was ended because of its size."""
MAX_NAME_CHARACTERS: Final = 200
_FINISH: Final = re.compile(r"[\w.:/-]{1,64}")
"""What a finish reason looks like; another text isn't shown, since it could be anything."""
FAILURES: Final = frozenset(
    {
        *("error", "abort", "aborted", "network_error", "server_error", "unavailable"),
        "insufficient_system_resource",
    }
)
"""Finish reasons with which an empty answer is a failure of the endpoint."""
_ERROR_KINDS: Final = ("error", "exception", "failed", "failure")
_MAX_TOKENS: Final = float(1 << 53)
_NO_USAGE: Final = Usage()


class ChunkReader:
    """Reads the chunks of one answer.

    Args:
        alias: The endpoint's name, for errors.
        starts_in_reasoning: Whether the text starts inside the reasoning, see `reasoning`.
        passthrough: Whether all choices are read and `<think>` tags stay in the text, since a
            client receives the endpoint's own chunks. Otherwise only the first choice is read.

    Attributes:
        finish_reason: None until the endpoint sends one.
        ends_with_finish: Whether a finish reason was received, and no output after it.
        upstream_id: The answer's id, "" until the endpoint sends one; likewise `fingerprint` and
            `model`.
        has_output: Whether any text, reasoning, tool call or picture was received.
        output_bytes: The size of all output so far.
        choices: The choices of the last chunk.
        last_chunk: The last chunk, if it was an object.
        unmarked_error: A message that may have been an error: nothing marked it as one, and no
            output followed.
    """

    def __init__(
        self, alias: str, *, starts_in_reasoning: bool = False, passthrough: bool = False
    ) -> None:
        self.finish_reason: str | None = None
        self.ends_with_finish = False
        self.upstream_id = self.fingerprint = self.model = ""
        self.has_output = False
        self.output_bytes = 0
        self.choices: list[Choice] = []
        self.last_chunk: JsonObject | None = None
        self.unmarked_error: ErrorBody | None = None
        self._alias, self._passthrough = alias, passthrough
        self._characters = self._emitted_characters = 0
        self._grammar = ChoiceReader()
        self._splitter = ThinkSplitter(starts_in_reasoning=starts_in_reasoning)
        self._joiner = SurrogateJoiner()
        self._usage = _NO_USAGE

    @property
    def plain_choice(self) -> Choice | None:
        """The only choice of the last chunk, if it is one text and nothing else; None otherwise."""
        if len(self.choices) != 1:
            return None
        choice = self.choices[0]
        is_received = choice.delta is choice.raw.get("delta")
        is_read = self._passthrough or choice.state.index == 0
        if choice.text_field and is_received and is_read and choice.finish is None:
            return choice
        return None

    @property
    def too_large(self) -> bool:
        """Whether the answer has reached its longest size."""
        return self._characters > ANSWER_CHARACTERS or self.output_bytes > ANSWER_BYTES

    @property
    def room_bytes(self) -> int:
        """How many more bytes of text certainly stay below the longest size."""
        return min(ANSWER_BYTES - self.output_bytes, ANSWER_CHARACTERS - self._characters)

    def read(self, chunk: object, events: list[Event]) -> None:
        """Append the events of a chunk. A chunk without choices may have none.

        Args:
            chunk: Any JSON value.
            events: Receives the events, also those before an error in the same chunk.

        Raises:
            EndpointMalformed: The endpoint says that its answer has failed.
            EndpointError: The chunk is an error object, see `error_from_body`.
            RequestRefused: The same.
        """
        self.choices, self.last_chunk = [], None
        if not isinstance(chunk, dict):
            if isinstance(chunk, list):  # Google puts an error into a list
                self._read_without_choices(chunk)
            return
        self.choices, self.last_chunk = self._grammar.read(chunk), chunk
        if not self.upstream_id:
            self._read_names(chunk)
        for choice in self.choices:
            if self._passthrough or choice.state.index == 0:
                self._read_choice(choice, events)
        usage = chunk.get("usage") or next(filter(None, map(_nested_usage, self.choices)), None)
        if usage or "x_groq" in chunk:
            self._read_usage(usage or _nested_usage(chunk), events)
        if not self.choices or chunk.get("error"):
            self._read_without_choices(chunk)

    def read_plain(self, choice: Choice, text: str, events: list[Event]) -> None:
        """Append the events of a chunk that differs from an earlier one only in its text.

        Args:
            choice: The only choice of the earlier chunk.
            text: The text of this chunk.
            events: Receives the events.
        """
        data = to_bytes(text)
        checksum = crc32(data, choice.channel.checksum)
        self.count_plain(choice, checksum, len(data), len(text))
        if choice.text:
            self._read_content(text, False, events)
        else:
            self._read_reasoning(text, events)

    def count_plain(self, choice: Choice, checksum: int, size_bytes: int, characters: int) -> None:
        """Count such chunks without creating events.

        Args:
            choice: The only choice of the earlier chunk.
            checksum: The checksum of its channel with these chunks.
            size_bytes: The size of their text in UTF-8.
            characters: The length of their text.
        """
        choice.channel.checksum = checksum
        choice.channel.size_bytes += size_bytes
        self._characters += characters
        self.output_bytes += size_bytes
        self.ends_with_finish = False
        self.unmarked_error = None

    def flush(self, events: list[Event]) -> None:
        """Append the events of what is held, at the end of the answer."""
        for channel in self._joiner.close():
            if channel == "text":
                self._read_content(REPLACEMENT, False, events)
            elif channel == "reasoning":
                self._emit(REPLACEMENT, "", events)
            elif isinstance(channel, int):
                events.append(ToolCallDelta(channel, arguments=REPLACEMENT))
        untagged = self._splitter.reasoning_is_untagged and self.finish_reason != "length"
        reasoning, text = self._splitter.close()
        if self.has_output or reasoning.strip() or text.strip():
            self._emit(reasoning, text, events)
            if untagged:
                events.append(NotReasoning())

    def _read_without_choices(self, value: object) -> None:
        """Raise the error in a value; note a message that may or may not be one.

        Raises:
            EndpointError: It is marked as an error.
            RequestRefused: The same.
        """
        error = parse_error_object(value)
        if error is None:
            return
        first = value[0] if isinstance(value, list) else value
        if _is_marked_as_error(first):
            raise error_from_body(self._alias, error)
        self.unmarked_error = error

    def _read_names(self, chunk: JsonObject) -> None:
        self.upstream_id = self.upstream_id or _short(chunk.get("id"))
        self.model = self.model or _short(chunk.get("model"))
        self.fingerprint = self.fingerprint or _short(chunk.get("system_fingerprint"))

    def _read_choice(self, choice: Choice, events: list[Event]) -> None:
        if choice.reasoning:
            self._read_reasoning(choice.reasoning, events)
        if choice.text:
            self._read_content(choice.text, choice.whole, events)
        for call in choice.calls:
            self._read_tool_call(call, events)
        for kind in choice.media:
            self.has_output = True
            events.append(MediaDelta(kind))
        if choice.has_output:
            self._characters += len(choice.text) + len(choice.reasoning)
            self.output_bytes += choice.size_bytes
            self.ends_with_finish = False
            self.unmarked_error = None
        if choice.finish is not None:
            self._read_finish(choice.finish)
        if choice.raw.get("error"):  # OpenRouter: the provider behind it failed
            self._read_without_choices({"error": choice.raw["error"]})

    def _read_finish(self, reason: str) -> None:
        if reason in FAILURES and not self.has_output:
            detail = self.unmarked_error.detail if self.unmarked_error else ""
            raise EndpointMalformed(self._alias, "error_body", detail)
        self.finish_reason = reason if _FINISH.fullmatch(reason) else "unknown"
        self.ends_with_finish = True

    def _read_reasoning(self, text: str, events: list[Event]) -> None:
        self._splitter.expect_answer()
        self._emit(self._joiner.feed("reasoning", text), "", events)

    def _read_content(self, text: str, whole: bool, events: list[Event]) -> None:
        text = self._joiner.feed("text", text)
        if self._passthrough:
            self.has_output = self.has_output or bool(text.strip())
            if text:
                events.append(TextDelta(text))
        elif text:
            split = self._splitter.feed_complete if whole else self._splitter.feed
            self._emit(*split(text), events)

    def _emit(self, reasoning: str, text: str, events: list[Event]) -> None:
        if reasoning:
            self.has_output = True
            events.append(ReasoningDelta(self._limit(reasoning)))
        if text:
            self.has_output = True
            events.append(TextDelta(self._limit(text)))

    def _limit(self, text: str) -> str:
        """Return as much of the text as the longest answer allows: one chunk may have more."""
        if self._passthrough:
            return text
        room = ANSWER_CHARACTERS - self._emitted_characters
        self._emitted_characters += len(text)
        return text if len(text) <= room else text[: max(room, 0)]

    def _read_tool_call(self, call: ToolCall, events: list[Event]) -> None:
        arguments = self._joiner.feed(call.slot, call.arguments)
        delta = ToolCallDelta(call.slot, _short(call.id), _short(call.name), arguments)
        self.has_output = True
        if delta.id or delta.name or delta.arguments:
            events.append(delta)

    def _read_usage(self, usage: object, events: list[Event]) -> None:
        if not isinstance(usage, dict):
            return
        details = usage.get("completion_tokens_details")
        parsed = Usage(
            _tokens(usage.get("prompt_tokens")),
            _tokens(usage.get("completion_tokens")),
            _tokens(details.get("reasoning_tokens") if isinstance(details, dict) else None),
        )
        if parsed not in (self._usage, _NO_USAGE):
            self._usage = parsed
            events.append(parsed)


def _nested_usage(source: Choice | JsonObject) -> object:
    """Return the usage inside a choice (Moonshot) or inside `x_groq`."""
    if isinstance(source, Choice):
        return source.raw.get("usage")
    groq = source.get("x_groq")
    return groq.get("usage") if isinstance(groq, dict) else None


def _is_marked_as_error(value: Any) -> bool:
    """Return whether an object with a message is an error, rather than a status or a notice."""
    if value.get("error") or value.get("errors"):
        return True
    for name in ("object", "type", "status", "event", "level"):
        kind = value.get(name)
        if isinstance(kind, str) and kind.lower().endswith(_ERROR_KINDS):
            return True
    error = parse_error_object(value)
    return error is not None and (error.status is not None or error.too_long)


def _short(value: object) -> str:
    return repair_surrogates(value[:MAX_NAME_CHARACTERS]) if isinstance(value, str) else ""


def _tokens(value: object) -> int | None:
    """Return a token count, None for any other value; the comparison is false for NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value < _MAX_TOKENS else None
