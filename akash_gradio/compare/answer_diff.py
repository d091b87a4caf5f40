"""Compares two answers: prose by words, code by lines. Differing numbers have their own mark."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from itertools import takewhile
from typing import Final

MAX_WORDS: Final = 12_000
"""Words of both texts together; longer texts are compared by lines, which is faster."""
MAX_CHARACTERS: Final = 20 * MAX_WORDS
MAX_LINES: Final = 6_000
"""Lines of both texts together; the differing parts of longer texts are not compared."""

Block = tuple[int, int, int]
"""A common part: its start in each text and its length, in tokens."""


class Mark(StrEnum):
    """How a span of a text relates to the other text."""

    SAME = "same"
    ONLY = "only"
    """The other text doesn't have these words here."""
    NUMBER = "number"
    """The other text has another number here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A part of a text. The spans of a text, joined, are the text."""

    text: str
    mark: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """The difference of two texts.

    Attributes:
        a: The spans of the first text.
        b: The spans of the second text.
        common: Share of tokens in common parts, 0 to 1.
    """

    a: tuple[Span, ...]
    b: tuple[Span, ...]
    common: float


@dataclass(frozen=True, slots=True)
class _Token:
    """A word, a sign or a line.

    Attributes:
        key: What is compared.
        text: As written, with the whitespace after it.
    """

    key: str
    text: str

    @property
    def is_number(self) -> bool:
        return self.key[:1].isdigit()


def diff_answers(a: str, b: str) -> Diff:
    """Compare two answers: prose by words, fenced code and very long texts by lines."""
    left, right, limit = _lines(a), _lines(b), MAX_LINES
    if len(a) + len(b) < MAX_CHARACTERS:
        words = _tokens(a), _tokens(b)
        if len(words[0]) + len(words[1]) <= MAX_WORDS:
            (left, right), limit = words, MAX_WORDS
    common = _without_coincidences(_common_blocks(left, right, limit), left, right)
    pieces = tuple(_pieces(common, left, right))
    matched = sum(size for _, _, size in common)
    longest = max(len(left), len(right))
    return Diff(
        a=_merge(span for spans, _ in pieces for span in spans),
        b=_merge(span for _, spans in pieces for span in spans),
        common=matched / longest if longest else 1.0,
    )


# Scripts without spaces are compared by character: kana, CJK ideographs, hangul.
_WORD: Final = re.compile(
    r"([\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\d(?:[\d.,]*\d)?|[^\W\d]+|[^\w\s]|_)(\s*)|(\s+)"
)
_FENCE: Final = re.compile(r"^ {0,3}(`{3,}|~{3,})")


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    fence = ""
    for line in text.splitlines(keepends=True):
        opening = _FENCE.match(line)
        if fence:
            tokens.append(_line(line))
            if opening and opening[1].startswith(fence):
                fence = ""
        elif opening:
            fence = opening[1]
            tokens.append(_line(line))
        else:
            tokens += [_Token(m[1] or "", m[0]) for m in _WORD.finditer(line)]
    return tokens


def _lines(text: str) -> list[_Token]:
    return [_line(line) for line in text.splitlines(keepends=True)]


def _line(line: str) -> _Token:
    return _Token(line.rstrip(), line)


def _common_blocks(left: Sequence[_Token], right: Sequence[_Token], limit: int) -> list[Block]:
    """Return the common parts in order; the last is empty, at the ends of both texts."""
    a, b = [token.key for token in left], [token.key for token in right]
    head = _common_prefix(zip(a, b, strict=False))
    tail = _common_prefix(zip(reversed(a[head:]), reversed(b[head:]), strict=False))
    middle_a, middle_b = a[head : len(a) - tail], b[head : len(b) - tail]
    blocks = [(0, 0, head)]
    if len(middle_a) + len(middle_b) <= limit:
        matches = SequenceMatcher(None, middle_a, middle_b).get_matching_blocks()
        blocks += [(head + m.a, head + m.b, m.size) for m in matches]
    return [*blocks, (len(a) - tail, len(b) - tail, tail), (len(a), len(b), 0)]


def _common_prefix(pairs: Iterable[tuple[str, str]]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _without_coincidences(
    blocks: Iterable[Block], left: Sequence[_Token], right: Sequence[_Token]
) -> list[Block]:
    """Drop a single comma or article that two sentences happen to share."""

    def is_relevant(a: int, b: int, size: int) -> bool:
        at_an_end = a == b == 0 or (a + size, b + size) == (len(left), len(right))
        return at_an_end or size > 2 or sum(len(t.key) for t in left[a : a + size]) > 3

    return [block for block in blocks if is_relevant(*block)]


def _pieces(
    common: Sequence[Block], left: Sequence[_Token], right: Sequence[_Token]
) -> Iterator[tuple[list[Span], list[Span]]]:
    """Yield what precedes each common part, then the part. The last part is empty."""
    start_a = start_b = 0
    for a, b, size in common:
        only_left, only_right = left[start_a:a], right[start_b:b]
        yield _different(only_left, only_right), _different(only_right, only_left)
        yield _same(left[a : a + size]), _same(right[b : b + size])
        start_a, start_b = a + size, b + size


def _same(tokens: Sequence[_Token]) -> list[Span]:
    return [Span(text=token.text, mark=Mark.SAME) for token in tokens]


def _different(tokens: Sequence[_Token], others: Sequence[_Token]) -> list[Span]:
    """Mark a number as NUMBER if the other text has numbers here too, but not this one."""
    numbers = {token.key for token in others if token.is_number}
    return [
        Span(
            text=token.text,
            mark=Mark.NUMBER
            if token.is_number and numbers and token.key not in numbers
            else Mark.ONLY,
        )
        for token in tokens
    ]


def _merge(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Join neighbors with the same mark."""
    merged: list[tuple[Mark, list[str]]] = []
    for span in spans:
        if merged and merged[-1][0] is span.mark:
            merged[-1][1].append(span.text)
        else:
            merged.append((span.mark, [span.text]))
    return tuple(Span(text="".join(texts), mark=mark) for mark, texts in merged)
