"""Continuing an interrupted answer: the instruction to the model, and how the parts join.

Not every endpoint continues a conversation that ends with an assistant's turn: some reject it, some
start over. So a user's turn that requests the rest follows the answer.
"""

from __future__ import annotations

import re
from typing import Final

INSTRUCTION: Final = (
    "Your answer above was interrupted. Continue exactly where it stops: begin with the very next "
    "word, repeat nothing that is already there, and do not mention the interruption."
)
"""The user's turn after an interrupted answer."""
_PARTIAL_WORD: Final = re.compile(r"(?<=\W)[A-Za-zÀ-ɏͰ-ϿЀ-ӿ0-9_'’]{1,30}$")
"""A last word in a script that separates words, unless it is the only one."""
_SENTENCE_MARKS: Final = ".,;:!?"


def drop_partial_word(text: str) -> str:
    """Return the text without its last word, which may be incomplete; the model repeats it."""
    return _PARTIAL_WORD.sub("", text) or text


def join_first_delta(beginning: str, delta: str) -> str:
    """Return the first text of a continuation, with exactly one space after the beginning."""
    if beginning[-1:].isspace():
        return delta.lstrip(" ")
    needs_space = beginning[-1:] in _SENTENCE_MARKS and delta[:1].isalpha()
    return f" {delta}" if beginning and needs_space else delta
