"""Parsed JSON in, events out: a chunk of a stream, or a whole completion."""

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
from akash_gradio.gateway.error_responses import fault_error, fault_in
from akash_gradio.gateway.reasoning import ThinkSplitter
from akash_gradio.gateway.surrogates import REPLACEMENT, SurrogateJoiner, mended

MOST_TOOL_CALLS: Final = 128
NAME_CHARACTERS: Final = 200
_MOST_TOKENS: Final = float(1 << 53)
_NOTHING_REPORTED: Final = Usage()


class ChunkReader:
    """The live state of one answer. alias: for the errors that it raises.

    finish_reason: None until the endpoint gave one. upstream_id, fingerprint, model: ""
    until said. said: whether any text, reasoning or tool call came out.
    """

    def __init__(self, alias: str, *, starts_in_reasoning: bool = False) -> None:
        self.finish_reason: str | None = None
        self.upstream_id = self.fingerprint = self.model = ""
        self.has_output = False
        self._alias = alias
        self._splitter = ThinkSplitter(starts_in_reasoning=starts_in_reasoning)
        self._joiner = SurrogateJoiner()
        self._usage = _NOTHING_REPORTED

    def read(self, chunk: object, events: list[Event]) -> None:
        """Append to events what the chunk says. A chunk without choices may say nothing.

        Raises EndpointMalformed, and what `fault_error` gives for an error object.
        """
        if not isinstance(chunk, dict):
            self._raise_fault(chunk)
            self._garbled()
        choices = chunk.get("choices")
        if not choices or chunk.get("error"):
            self._raise_fault(chunk)
        if not self.upstream_id:
            self._name(chunk)
        usage = chunk.get("usage")
        if choices:
            choice = self._first(choices)
            if choice is not None:
                usage = usage or choice.get("usage")  # Moonshot puts it there
                self._choice(choice, events)
        if usage:
            self._report(usage, events)

    def read_words(self, text: str, in_reasoning: bool, events: list[Event]) -> None:
        """The same for a chunk that says nothing but this, in a field of content or reasoning."""
        if in_reasoning:
            self._reason(text, events)
        else:
            self._say(text, False, events)

    def flush(self, events: list[Event]) -> None:
        """Append what was held for a second half that never came."""
        for channel in self._joiner.close():
            if channel == "text":
                self._tell(*self._splitter.feed(REPLACEMENT), events)
            elif channel == "reasoning":
                self._tell(REPLACEMENT, "", events)
            elif isinstance(channel, int):
                events.append(ToolCallDelta(channel, arguments=REPLACEMENT))
        at_once = self._splitter.answered_at_once and self.finish_reason != "length"
        reasoning, text = self._splitter.close()
        if self.has_output or reasoning.strip() or text.strip():
            self._tell(reasoning, text, events)
            if at_once:
                events.append(NotReasoning())

    def _raise_fault(self, chunk: object) -> None:
        fault = fault_in(chunk)
        if fault is not None:
            raise fault_error(self._alias, fault)

    def _garbled(self) -> NoReturn:
        raise EndpointMalformed(self._alias, "shape")

    def _name(self, chunk: dict[str, Any]) -> None:
        self.upstream_id = self.upstream_id or _short(chunk.get("id"))
        self.model = self.model or _short(chunk.get("model"))
        self.fingerprint = self.fingerprint or _short(chunk.get("system_fingerprint"))

    def _first(self, choices: object) -> dict[str, Any] | None:
        """The choice of index 0; None when the chunk belongs to another."""
        if not isinstance(choices, list):
            self._garbled()
        for choice in choices:
            if not isinstance(choice, dict):
                self._garbled()
            if not choice.get("index"):
                return choice
        return None

    def _choice(self, choice: dict[str, Any], events: list[Event]) -> None:
        delta, whole = choice.get("delta"), False
        if delta is None:
            delta, whole = choice.get("message"), True
        if delta is None:
            delta = {"content": choice.get("text")}
        if not isinstance(delta, dict):
            self._garbled()
        self._delta(delta, whole, events)
        reason = choice.get("finish_reason")
        if reason and isinstance(reason, str):
            if reason == "error":  # OpenRouter: the provider behind it failed
                raise EndpointMalformed(self._alias, "error_body")
            self.finish_reason = _short(reason)

    def _delta(self, delta: dict[str, Any], whole: bool, events: list[Event]) -> None:
        # Some servers send the same reasoning under both names for compatibility.
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        if reasoning:
            self._reason(self._words(reasoning), events)
        content = delta.get("content")
        if type(content) is str:
            self._say(content, whole, events)
        elif content:
            self._parts(content, whole, events)
        refused = delta.get("refusal")
        if refused:
            self._say(self._words(refused), whole, events)
        calls = delta.get("tool_calls")
        if calls:
            self._calls(calls, events)

    def _parts(self, parts: object, whole: bool, events: list[Event]) -> None:
        """Content as a list: text parts, and Mistral's `{"type": "thinking", "thinking": […]}`."""
        if isinstance(parts, list):
            for part in parts:
                if isinstance(part, dict) and part.get("type") == "thinking":
                    self._reason(self._words(part.get("thinking")), events)
            parts = [p for p in parts if not isinstance(p, dict) or p.get("type") != "thinking"]
        self._say(self._words(parts), whole, events)

    def _words(self, value: object) -> str:
        """A text, or the texts of a list of parts. Raises EndpointMalformed for anything else."""
        if isinstance(value, str):
            return value
        if isinstance(value, dict):
            value = [value]
        if not isinstance(value, list | None):
            self._garbled()
        texts = [part.get("text") if isinstance(part, dict) else part for part in value or ()]
        return "".join(text for text in texts if isinstance(text, str))

    def _reason(self, text: str, events: list[Event]) -> None:
        self._splitter.expect_answer()
        self._tell(self._joiner.feed("reasoning", text), "", events)

    def _say(self, text: str, whole: bool, events: list[Event]) -> None:
        text = self._joiner.feed("text", text)
        if text:
            split = self._splitter.whole if whole else self._splitter.feed
            self._tell(*split(text), events)

    def _tell(self, reasoning: str, text: str, events: list[Event]) -> None:
        if reasoning:
            self.has_output = True
            events.append(ReasoningDelta(reasoning))
        if text:
            self.has_output = True
            events.append(TextDelta(text))

    def _calls(self, calls: object, events: list[Event]) -> None:
        if not isinstance(calls, list):
            self._garbled()
        for position, call in enumerate(calls):
            function = call.get("function") or {} if isinstance(call, dict) else None
            if not isinstance(function, dict):
                self._garbled()
            index = call.get("index")
            index = position if index is None else index
            if type(index) is not int or not 0 <= index < MOST_TOOL_CALLS:
                self._garbled()
            arguments = function.get("arguments")
            if isinstance(arguments, dict):
                arguments = json.dumps(arguments)
            arguments = self._joiner.feed(index, arguments if isinstance(arguments, str) else "")
            found = ToolCallDelta(
                index, _short(call.get("id")), _short(function.get("name")), arguments
            )
            if found.id or found.name or found.arguments:
                self.has_output = True
                events.append(found)

    def _report(self, usage: object, events: list[Event]) -> None:
        if not isinstance(usage, dict):
            return
        details = usage.get("completion_tokens_details")
        found = Usage(
            _tokens(usage.get("prompt_tokens")),
            _tokens(usage.get("completion_tokens")),
            _tokens(details.get("reasoning_tokens") if isinstance(details, dict) else None),
        )
        if found not in (self._usage, _NOTHING_REPORTED):
            self._usage = found
            events.append(found)


def _short(value: object) -> str:
    return mended(value[:NAME_CHARACTERS]) if isinstance(value, str) else ""


def _tokens(value: object) -> int | None:
    """A count of tokens; None for what can't be one. The comparison is false for NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value < _MOST_TOKENS else None
