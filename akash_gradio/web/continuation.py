"""An answer that broke off is gone on with: what the model is told, and how the parts join.

No endpoint can be counted on to continue an assistant's turn that stands last: some refuse
it, some begin anew. So the answer as far as it came is followed by a turn that asks.
"""

from __future__ import annotations

import re
from typing import Final

INSTRUCTION: Final = (
    "Your answer above broke off. Go on exactly where it stops: begin with the very next "
    "word, repeat nothing that is there already, and do not mention the interruption."
)
_BROKEN_WORD: Final = re.compile(r"(?<=\W)[A-Za-zÀ-ɏͰ-ϿЀ-ӿ0-9_'’]{1,30}$")
"""In scripts whose words stand apart, and not a text's only word."""
_SENTENCE_MARKS: Final = ".,;:!?"


def beginning(text: str) -> str:
    """The text without a last word that may be half of one; the model says it whole."""
    return _BROKEN_WORD.sub("", text) or text


def joined(before: str, text: str) -> str:
    """The first words that come, as they stand behind `before`: one blank, not none or two."""
    if before[-1:].isspace():
        return text.lstrip(" ")
    needs_blank = before[-1:] in _SENTENCE_MARKS and text[:1].isalpha()
    return f" {text}" if before and needs_blank else text
