"""Which part of a model's text is reasoning: `<think>…</think>` at its start.

A tag counts only before any other text, so an answer *about* the tag stays whole.

Some chat templates open the tag in the prompt, so that only `</think>` comes back. In a
stream the text before it has been shown by then and cannot be called back: the tag
alone is dropped, once, unless it stands in code or after a `<think>`. Whoever knows
that an endpoint does this says `starts_in_reasoning`; a whole answer needs no hint. When the tag
never comes the model did not think, and `answered_at_once` says so at the end.

An answer that begins with a mark of gpt-oss's channels is split by those (`channels.py`).
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final

from akash_gradio.gateway.harmony import OPENERS, ChannelSplitter

START: Final = "<think>"
END: Final = "</think>"
BLANK_CHARACTERS: Final = 256
"""More blanks than this before a tag, and it is no tag: what is held must be bounded."""

_TAG: Final = re.compile("</?think>")
_NEWLINES: Final = "\r\n"


class _At(Enum):
    OPENING = auto()
    REASONING = auto()
    AFTER = auto()
    TEXT = auto()
    PLAIN = auto()
    CHANNELS = auto()


class ThinkSplitter:
    """The live state of one answer: where it is, and what is held as half a tag.

    starts_in_reasoning: the text begins inside the tag, which the prompt opened.
    """

    def __init__(self, *, starts_in_reasoning: bool = False) -> None:
        self._at = _At.OPENING
        self._then = _At.REASONING if starts_in_reasoning else _At.TEXT
        self._held = ""
        self._tagged = False
        self._backticks = 0
        self._begun = False
        self._channels = ChannelSplitter()

    def feed(self, text: str) -> tuple[str, str]:
        """The reasoning and the answer in more text, in this order; what may be a tag waits."""
        if self._at is _At.PLAIN:
            return "", text
        if self._at is _At.TEXT and not self._held and "<" not in text:
            self._backticks += text.count("`")
            return "", text
        text, reasoning = self._held + text, ""
        self._held = ""
        if self._at is _At.OPENING:
            text = self._opened(text)
        if self._at is _At.CHANNELS:
            return self._channels.feed(text)
        if self._at is _At.REASONING:
            reasoning, text = self._reasoned(text)
        if self._at is _At.AFTER:
            text = text.lstrip(_NEWLINES)
            self._at = _At.PLAIN if text else _At.AFTER
        elif self._at is _At.TEXT:
            text = self._watched(text)
        return reasoning, text

    def whole(self, text: str) -> tuple[str, str]:
        """The reasoning and the answer of a whole text: an end tag alone is understood."""
        if self._then is not _At.AFTER:
            self._then = _At.REASONING if _ends_alone(text) else _At.TEXT
        return self.feed(text)

    def expect_answer(self) -> None:
        """Reasoning came in a field of its own: the text begins with the answer."""
        self._then = _At.AFTER

    @property
    def answered_at_once(self) -> bool:
        """Whether all that came is called reasoning, and no tag ever said so."""
        return self._at is _At.REASONING and not self._tagged

    def close(self) -> tuple[str, str]:
        """What was held, when no more comes."""
        held, self._held = self._held, ""
        at = self._then if self._at is _At.OPENING else self._at
        self._at = _At.PLAIN
        if at is _At.CHANNELS:
            return self._channels.close()
        if at is _At.AFTER:
            held = held.lstrip(_NEWLINES)
        return (held, "") if at is _At.REASONING else ("", held)

    def _opened(self, text: str) -> str:
        tail = text.lstrip()
        if len(text) - len(tail) <= BLANK_CHARACTERS:
            if tail.startswith(START):
                self._at, self._tagged = _At.REASONING, True
                return tail[len(START) :]
            if tail.startswith(OPENERS):
                self._at = _At.CHANNELS
                return tail
            if any(opener.startswith(tail) for opener in (START, *OPENERS)):
                self._held = text
                return ""
        self._at = self._then
        return text

    def _reasoned(self, text: str) -> tuple[str, str]:
        if not self._begun:
            text = text.lstrip(_NEWLINES)
            self._begun = bool(text)
        end = text.find(END)
        if end >= 0:
            self._at = _At.AFTER
            return text[:end], text[end + len(END) :]
        return self._without_half_tag(text), ""

    def _watched(self, text: str) -> str:
        tag = _TAG.search(text)
        if tag is None:
            text = self._without_half_tag(text)
            self._backticks += text.count("`")
            return text
        self._at = _At.PLAIN
        in_code = (self._backticks + text.count("`", 0, tag.start())) % 2
        if in_code or tag.group() == START:
            return text
        return text[: tag.start()] + text[tag.end() :]

    def _without_half_tag(self, text: str) -> str:
        at = text.rfind("<", -len(END) + 1)
        if at < 0 or not (START.startswith(text[at:]) or END.startswith(text[at:])):
            return text
        self._held = text[at:]
        return text[:at]


def _ends_alone(text: str) -> bool:
    tag = _TAG.search(text)
    return tag is not None and tag.group() == END and text.count("`", 0, tag.start()) % 2 == 0
