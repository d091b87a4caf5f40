"""Converts parsed JSON into events: a chunk of a stream, or a complete answer."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

from akash_gradio.domain.errors import EndpointMalformed
from akash_gradio.domain.events import (
    Event,
    NotReasoning,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from akash_gradio.gateway.error_responses import error_from_body, parse_error_object
from akash_gradio.gateway.reasoning import ThinkSplitter
from akash_gradio.gateway.surrogates import REPLACEMENT, SurrogateJoiner, repair_surrogates

MAX_TOOL_CALLS: Final = 128
MAX_NAME_CHARACTERS: Final = 200
_MAX_TOKENS: Final = float(1 << 53)
_NO_USAGE: Final = Usage()


class ChunkReader:
    """Reads the chunks of one answer.

    Args:
        alias: The endpoint's name, for errors.
        starts_in_reasoning: Whether the text starts inside the reasoning, see `reasoning`.

    Attributes:
        finish_reason: None until the endpoint sends one.
        upstream_id: The answer's id, "" until the endpoint sends one; likewise `fingerprint` and
            `model`.
        has_output: Whether any text, reasoning or tool call was received.
    """

    def __init__(self, alias: str, *, starts_in_reasoning: bool = False) -> None:
        self.finish_reason: str | None = None
        self.upstream_id = self.fingerprint = self.model = ""
        self.has_output = False
        self._alias = alias
        self._splitter = ThinkSplitter(starts_in_reasoning=starts_in_reasoning)
        self._joiner = SurrogateJoiner()
        self._usage = _NO_USAGE

    def read(self, chunk: object, events: list[Event]) -> None:
        """Append the events of a chunk. A chunk without choices may have none.

        Raises:
            EndpointMalformed: The chunk doesn't follow the protocol.
            EndpointError: The chunk is an error object, see `error_from_body`.
            RequestRefused: The same.
        """
        if not isinstance(chunk, dict):
            self._raise_if_error(chunk)
            self._raise_malformed()
        choices = chunk.get("choices")
        if not choices or chunk.get("error"):
            self._raise_if_error(chunk)
        if not self.upstream_id:
            self._read_names(chunk)
        usage = chunk.get("usage")
        if choices:
            choice = self._first_choice(choices)
            if choice is not None:
                usage = usage or choice.get("usage")  # Moonshot puts it there
                self._read_choice(choice, events)
        if usage:
            self._read_usage(usage, events)

    def read_text(self, text: str, in_reasoning: bool, events: list[Event]) -> None:
        """Append the events of a chunk that holds only this text, as content or as reasoning."""
        if in_reasoning:
            self._read_reasoning(text, events)
        else:
            self._read_content(text, False, events)

    def flush(self, events: list[Event]) -> None:
        """Append the events of what is held, at the end of the answer."""
        for channel in self._joiner.close():
            if channel == "text":
                self._emit(*self._splitter.feed(REPLACEMENT), events)
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

    def _raise_if_error(self, chunk: object) -> None:
        error = parse_error_object(chunk)
        if error is not None:
            raise error_from_body(self._alias, error)

    def _raise_malformed(self) -> NoReturn:
        raise EndpointMalformed(self._alias, "shape")

    def _read_names(self, chunk: dict[str, Any]) -> None:
        self.upstream_id = self.upstream_id or _short(chunk.get("id"))
        self.model = self.model or _short(chunk.get("model"))
        self.fingerprint = self.fingerprint or _short(chunk.get("system_fingerprint"))

    def _first_choice(self, choices: object) -> dict[str, Any] | None:
        """Return the choice with index 0, None when the chunk belongs to another choice."""
        if not isinstance(choices, list):
            self._raise_malformed()
        for choice in choices:
            if not isinstance(choice, dict):
                self._raise_malformed()
            if not choice.get("index"):
                return choice
        return None

    def _read_choice(self, choice: dict[str, Any], events: list[Event]) -> None:
        delta, complete = choice.get("delta"), False
        if delta is None:
            delta, complete = choice.get("message"), True
        if delta is None:
            delta = {"content": choice.get("text")}
        if not isinstance(delta, dict):
            self._raise_malformed()
        self._read_delta(delta, complete, events)
        reason = choice.get("finish_reason")
        if reason and isinstance(reason, str):
            if reason == "error":  # OpenRouter: the provider behind it failed
                raise EndpointMalformed(self._alias, "error_body")
            self.finish_reason = _short(reason)

    def _read_delta(self, delta: dict[str, Any], complete: bool, events: list[Event]) -> None:
        # Some servers send the same reasoning under both names for compatibility.
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        if reasoning:
            self._read_reasoning(self._text(reasoning), events)
        content = delta.get("content")
        if type(content) is str:
            self._read_content(content, complete, events)
        elif content:
            self._read_parts(content, complete, events)
        refusal = delta.get("refusal")
        if refusal:
            self._read_content(self._text(refusal), complete, events)
        calls = delta.get("tool_calls")
        if calls:
            self._read_tool_calls(calls, events)

    def _read_parts(self, parts: object, complete: bool, events: list[Event]) -> None:
        """Read content in parts: text, and Mistral's `{"type": "thinking", "thinking": […]}`."""
        if isinstance(parts, list):
            for part in parts:
                if isinstance(part, dict) and part.get("type") == "thinking":
                    self._read_reasoning(self._text(part.get("thinking")), events)
            parts = [p for p in parts if not isinstance(p, dict) or p.get("type") != "thinking"]
        self._read_content(self._text(parts), complete, events)

    def _text(self, value: object) -> str:
        """Return a text, or the joined texts of a list of parts."""
        if isinstance(value, str):
            return value
        if isinstance(value, dict):
            value = [value]
        if not isinstance(value, list | None):
            self._raise_malformed()
        texts = [part.get("text") if isinstance(part, dict) else part for part in value or ()]
        return "".join(text for text in texts if isinstance(text, str))

    def _read_reasoning(self, text: str, events: list[Event]) -> None:
        self._splitter.expect_answer()
        self._emit(self._joiner.feed("reasoning", text), "", events)

    def _read_content(self, text: str, complete: bool, events: list[Event]) -> None:
        text = self._joiner.feed("text", text)
        if text:
            split = self._splitter.feed_complete if complete else self._splitter.feed
            self._emit(*split(text), events)

    def _emit(self, reasoning: str, text: str, events: list[Event]) -> None:
        if reasoning:
            self.has_output = True
            events.append(ReasoningDelta(reasoning))
        if text:
            self.has_output = True
            events.append(TextDelta(text))

    def _read_tool_calls(self, calls: object, events: list[Event]) -> None:
        if not isinstance(calls, list):
            self._raise_malformed()
        for position, call in enumerate(calls):
            function = call.get("function") or {} if isinstance(call, dict) else None
            if not isinstance(function, dict):
                self._raise_malformed()
            index = call.get("index")
            index = position if index is None else index
            if type(index) is not int or not 0 <= index < MAX_TOOL_CALLS:
                self._raise_malformed()
            arguments = function.get("arguments")
            if isinstance(arguments, dict):
                arguments = json.dumps(arguments)
            arguments = self._joiner.feed(index, arguments if isinstance(arguments, str) else "")
            delta = ToolCallDelta(
                index, _short(call.get("id")), _short(function.get("name")), arguments
            )
            if delta.id or delta.name or delta.arguments:
                self.has_output = True
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


def _short(value: object) -> str:
    return repair_surrogates(value[:MAX_NAME_CHARACTERS]) if isinstance(value, str) else ""


def _tokens(value: object) -> int | None:
    """Return a token count, None for any other value; the comparison is false for NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value < _MAX_TOKENS else None
