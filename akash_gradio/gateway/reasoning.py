"""Splits a model's text into reasoning and answer: `<think>…</think>` at its start.

A tag counts only before any other text, so that an answer that mentions the tag isn't split.

Some chat templates open the tag in the prompt, so that the response contains only `</think>`. In
a stream the text before it was already shown and can't be withdrawn: only the tag is dropped,
once, unless it is in code or follows a `<think>`. For an endpoint that is known to do this,
`starts_in_reasoning` is set; a complete answer doesn't need it. If the tag is missing, the model
didn't reason, and `reasoning_is_untagged` is true at the end.

An answer that begins with a marker of gpt-oss's channels is split by these (`harmony.py`).
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final

from akash_gradio.gateway.harmony import OPENERS, ChannelSplitter

START: Final = "<think>"
END: Final = "</think>"
MAX_BLANK_CHARACTERS: Final = 256
"""A tag after more blanks than this isn't recognized, so that what is held is bounded."""

_TAG: Final = re.compile("</?think>")
_NEWLINES: Final = "\r\n"


class _State(Enum):
    START = auto()
    REASONING = auto()
    AFTER_REASONING = auto()
    """Reasoning ended: line breaks before the answer are dropped."""
    TEXT = auto()
    """An answer that may contain an end tag without a start tag."""
    PLAIN = auto()
    """An answer in which no more tags are recognized."""
    CHANNELS = auto()


class ThinkSplitter:
    """Splits one answer incrementally; holds what may be the beginning of a tag.

    Args:
        starts_in_reasoning: Whether the text starts inside the tag, which the prompt opened.
    """

    def __init__(self, *, starts_in_reasoning: bool = False) -> None:
        self._state = _State.START
        self._after_start = _State.REASONING if starts_in_reasoning else _State.TEXT
        self._held = ""
        self._tagged = False
        self._backticks = 0
        self._reasoning_begun = False
        self._channels = ChannelSplitter()

    def feed(self, text: str) -> tuple[str, str]:
        """Return the reasoning and the answer in the next text."""
        if self._state is _State.PLAIN:
            return "", text
        if self._state is _State.TEXT and not self._held and "<" not in text:
            self._backticks += text.count("`")
            return "", text
        text, reasoning = self._held + text, ""
        self._held = ""
        if self._state is _State.START:
            text = self._match_start(text)
        if self._state is _State.CHANNELS:
            return self._channels.feed(text)
        if self._state is _State.REASONING:
            reasoning, text = self._split_at_end_tag(text)
        if self._state is _State.AFTER_REASONING:
            text = text.lstrip(_NEWLINES)
            self._state = _State.PLAIN if text else _State.AFTER_REASONING
        elif self._state is _State.TEXT:
            text = self._drop_end_tag(text)
        return reasoning, text

    def feed_complete(self, text: str) -> tuple[str, str]:
        """Return the reasoning and the answer of a complete text, also with an end tag alone."""
        if self._after_start is not _State.AFTER_REASONING:
            self._after_start = _State.REASONING if _has_end_tag_alone(text) else _State.TEXT
        return self.feed(text)

    def expect_answer(self) -> None:
        """Note that reasoning has its own field, so that the text starts with the answer."""
        self._after_start = _State.AFTER_REASONING

    @property
    def reasoning_is_untagged(self) -> bool:
        """Whether all text so far was taken for reasoning, without any tag."""
        return self._state is _State.REASONING and not self._tagged

    def close(self) -> tuple[str, str]:
        """Return the reasoning and the answer in what is held, at the end of the text."""
        held, self._held = self._held, ""
        state = self._after_start if self._state is _State.START else self._state
        self._state = _State.PLAIN
        if state is _State.CHANNELS:
            return self._channels.close()
        if state is _State.AFTER_REASONING:
            held = held.lstrip(_NEWLINES)
        return (held, "") if state is _State.REASONING else ("", held)

    def _match_start(self, text: str) -> str:
        tail = text.lstrip()
        if len(text) - len(tail) <= MAX_BLANK_CHARACTERS:
            if tail.startswith(START):
                self._state, self._tagged = _State.REASONING, True
                return tail[len(START) :]
            if tail.startswith(OPENERS):
                self._state = _State.CHANNELS
                return tail
            if any(opener.startswith(tail) for opener in (START, *OPENERS)):
                self._held = text
                return ""
        self._state = self._after_start
        return text

    def _split_at_end_tag(self, text: str) -> tuple[str, str]:
        if not self._reasoning_begun:
            text = text.lstrip(_NEWLINES)
            self._reasoning_begun = bool(text)
        end = text.find(END)
        if end >= 0:
            self._state = _State.AFTER_REASONING
            return text[:end], text[end + len(END) :]
        return self._hold_partial_tag(text), ""

    def _drop_end_tag(self, text: str) -> str:
        tag = _TAG.search(text)
        if tag is None:
            text = self._hold_partial_tag(text)
            self._backticks += text.count("`")
            return text
        self._state = _State.PLAIN
        in_code = (self._backticks + text.count("`", 0, tag.start())) % 2
        if in_code or tag.group() == START:
            return text
        return text[: tag.start()] + text[tag.end() :]

    def _hold_partial_tag(self, text: str) -> str:
        at = text.rfind("<", -len(END) + 1)
        if at < 0 or not (START.startswith(text[at:]) or END.startswith(text[at:])):
            return text
        self._held = text[at:]
        return text[:at]


def _has_end_tag_alone(text: str) -> bool:
    tag = _TAG.search(text)
    return tag is not None and tag.group() == END and text.count("`", 0, tag.start()) % 2 == 0
