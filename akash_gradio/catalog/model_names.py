"""Derives a readable name and the size of a model from its id."""

from __future__ import annotations

import re
from typing import Final

_ACRONYMS: Final = frozenset({"ai", "glm", "gpt", "it", "llm", "oss", "vl"})
_SIZE: Final = re.compile(r"\d+(?:\.\d+)?[bmt]|\d+x\d+b|a\d+(?:\.\d+)?b", re.IGNORECASE)
_TOTAL: Final = re.compile(
    r"(?<![A-Za-z0-9.])"
    r"(\d+x\d+(?:\.\d+)?B|\d+(?:\.\d+)?[BMT](?:-\d+E)?)"
    r"(?:[-_ ]A(\d+(?:\.\d+)?B))?"
    r"(?![A-Za-z0-9])",
    re.IGNORECASE,
)


def readable_name(model_id: str) -> str:
    """Return a display name: `meta-llama/Llama-3.3-70B-Instruct` → `Llama 3.3 70B Instruct`.

    If the id contains no words, it is returned unchanged.
    """
    last = model_id.rstrip("/").rsplit("/", maxsplit=1)[-1].removesuffix(".gguf")
    words = [_readable_word(word) for word in re.split(r"[-_:\s]+", last) if word]
    return " ".join(words) or model_id


def model_size(model_id: str) -> str:
    """Return the size in a model id, "" if it contains none.

    `Llama-3.3-70B` → `70B`; `Qwen3-235B-A22B` → `235B (22B active)`. `8x7B` and `17B-128E` are
    returned unchanged, because the id doesn't contain their total.
    """
    match = _TOTAL.search(model_id)
    if not match:
        return ""
    total, active = match[1].upper().replace("X", "x"), match[2]
    return f"{total} ({active.upper()} active)" if active else total


def _readable_word(word: str) -> str:
    if word != word.lower():
        return word
    if word in _ACRONYMS or _SIZE.fullmatch(word):
        return word.upper().replace("X", "x")
    return word[0].upper() + word[1:]
