"""Counts the values of JSON without parsing it: a parser makes an object of each."""

from __future__ import annotations

import re
from typing import Final

from akash_gradio.domain.size_limits import JSON_VALUES, PARSED_INLINE_BYTES

QUOTES_PER_VALUE: Final = 8
"""More quotes than this per value are refused without a closer look: an upper bound for texts that
contain escaped quotes, since each string takes memory while it is skipped."""
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)


def may_have_many_values(body: bytes) -> bool:
    """Return whether the JSON may have too many values; quick, but commas in texts count."""
    return len(body) > PARSED_INLINE_BYTES and _separators(body) > JSON_VALUES


def has_many_values(body: bytes) -> bool:
    """Return whether the JSON has more than `JSON_VALUES` values. Takes up to half a second."""
    if not may_have_many_values(body):
        return False
    if body.count(b'"') > QUOTES_PER_VALUE * JSON_VALUES:
        return True
    return _separators(_STRING.sub(b"", body)) > JSON_VALUES


def _separators(body: bytes) -> int:
    return body.count(b",") + body.count(b"[") + body.count(b"{")
