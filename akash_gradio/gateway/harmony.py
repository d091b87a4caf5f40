"""Splits the channels of gpt-oss, for servers that send the model's raw text.

    <|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.

The text of channel `final` is the answer, that of any other channel is reasoning. The markers, and
the header between a part's start and its `<|message|>`, are dropped.
Source: OpenAI's Harmony response format.
"""

from __future__ import annotations

import re
from typing import Final

OPENERS: Final = ("<|channel|>", "<|start|>")
ANSWER_CHANNEL: Final = "final"
_MARKER: Final = re.compile(r"<\|(start|end|channel|message|return|call|constrain)\|>")
_PARTIAL_MARKER: Final = re.compile(r"<(\|([a-z]{0,9}(\|)?)?)?\Z")
_NAME: Final = re.compile(r"[a-z]+")
_HEADER_CHARACTERS: Final = 64
"""How much of each piece of a header is kept; the channel comes first."""


class ChannelSplitter:
    """Splits one answer incrementally; holds what may be the beginning of a marker."""

    def __init__(self) -> None:
        self._held = ""
        self._in_header = True
        self._header = ""
        self._channel = ""
        self._backticks = 0

    def feed(self, text: str) -> tuple[str, str]:
        """Return the reasoning and the answer in the next text."""
        text = self._held + text
        partial = _PARTIAL_MARKER.search(text)
        end = partial.start() if partial else len(text)
        text, self._held = text[:end], text[end:]
        return self._split(text)

    def close(self) -> tuple[str, str]:
        """Return the reasoning and the answer in what is held, at the end of the text."""
        held, self._held = self._held, ""
        return self._route(held)

    def _split(self, text: str) -> tuple[str, str]:
        reasoning = answer = ""
        at = 0
        for marker in _MARKER.finditer(text):
            before = self._route(text[at : marker.start()])
            reasoning, answer, at = reasoning + before[0], answer + before[1], marker.end()
            if self._in_code():
                answer += marker.group()
            else:
                self._handle_marker(marker.group(1))
        rest = self._route(text[at:])
        return reasoning + rest[0], answer + rest[1]

    def _route(self, text: str) -> tuple[str, str]:
        if self._in_header:
            self._header += text[:_HEADER_CHARACTERS]
            return "", ""
        if self._channel == ANSWER_CHANNEL:
            self._backticks += text.count("`")
            return "", text
        return text, ""

    def _in_code(self) -> bool:
        """Return whether the text is inside backticks: an answer may quote the markers."""
        return not self._in_header and self._channel == ANSWER_CHANNEL and self._backticks % 2 == 1

    def _handle_marker(self, name: str) -> None:
        if name == "message":
            # The channel is the first word of the header: `commentary to=functions.search`.
            channel = _NAME.search(self._header)
            self._channel = channel.group() if channel else self._channel
            self._in_header = False
        elif name != "constrain":
            self._in_header, self._header = True, ""
