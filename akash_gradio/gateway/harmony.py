"""The channels of gpt-oss, where a server passes its raw text on instead of reading it.

    <|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.

What is said in `final` is the answer, in any other channel it is reasoning. The marks of a
part, and what stands between its start and `<|message|>`, are for programs and shown nowhere.
Source: OpenAI's Harmony response format.
"""

from __future__ import annotations

import re
from typing import Final

OPENERS: Final = ("<|channel|>", "<|start|>")
FINAL: Final = "final"
_MARK: Final = re.compile(r"<\|(start|end|channel|message|return|call|constrain)\|>")
_HALF_MARK: Final = re.compile(r"<(\|([a-z]{0,9}(\|)?)?)?\Z")
_NAME: Final = re.compile(r"[a-z]+")
_HEAD_CHARACTERS: Final = 64
"""Of each piece of a head; the rest says nothing here."""


class ChannelSplitter:
    """The live state of one answer: in which channel it is, what is held as half a mark."""

    def __init__(self) -> None:
        self._held = ""
        self._heads = True
        self._said_of_it = ""
        self._channel = ""
        self._backticks = 0

    def feed(self, text: str) -> tuple[str, str]:
        """The reasoning and the answer in more text; what may be a mark waits."""
        text = self._held + text
        half = _HALF_MARK.search(text)
        end = half.start() if half else len(text)
        text, self._held = text[:end], text[end:]
        return self._split(text)

    def close(self) -> tuple[str, str]:
        """What was held, when no more comes."""
        held, self._held = self._held, ""
        return self._say(held)

    def _split(self, text: str) -> tuple[str, str]:
        reasoning = answer = ""
        at = 0
        for mark in _MARK.finditer(text):
            thought, said = self._say(text[at : mark.start()])
            reasoning, answer, at = reasoning + thought, answer + said, mark.end()
            if self._quoted():
                answer += mark.group()
            else:
                self._pass(mark.group(1))
        thought, said = self._say(text[at:])
        return reasoning + thought, answer + said

    def _say(self, text: str) -> tuple[str, str]:
        if self._heads:
            self._said_of_it += text[:_HEAD_CHARACTERS]
            return "", ""
        if self._channel == FINAL:
            self._backticks += text.count("`")
            return "", text
        return text, ""

    def _quoted(self) -> bool:
        """An answer about the marks writes them in code."""
        return not self._heads and self._channel == FINAL and self._backticks % 2 == 1

    def _pass(self, mark: str) -> None:
        """Between a part's mark and its `<|message|>` stands what it is."""
        if mark == "message":
            # The channel is the first word: `commentary to=functions.search`.
            name = _NAME.search(self._said_of_it)
            self._channel = name.group() if name else self._channel
            self._heads = False
        elif mark != "constrain":
            self._heads, self._said_of_it = True, ""
