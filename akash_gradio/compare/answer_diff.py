"""What two answers have in common and where they differ: words, code by lines, numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from itertools import takewhile
from typing import Final

MOST_WORDS: Final = 12_000
"""Of both texts together; longer ones are compared by lines, which stays quick."""
MOST_CHARACTERS: Final = 20 * MOST_WORDS
MOST_LINES: Final = 6_000
"""Of both texts together; what differs in longer ones is not looked into."""

Block = tuple[int, int, int]
"""Where a common part begins in the one and in the other, and how many tokens it has."""


class Mark(StrEnum):
    """What a piece of one text is, seen from the other one."""

    SAME = "same"
    ONLY = "only"
    """The other text has no such words here."""
    NUMBER = "number"
    """The other text has another number here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A piece of a text, in its order; the pieces of a text put together are the text."""

    text: str
    mark: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """Both texts in pieces. common: the share of words that both have, 0 to 1."""

    a: tuple[Span, ...]
    b: tuple[Span, ...]
    common: float


def diff(a: str, b: str) -> Diff:
    """Compare two answers. Prose by words, fenced code by lines, both by lines when very long."""
    left, right, most = _lines(a), _lines(b), MOST_LINES
    if len(a) + len(b) < MOST_CHARACTERS:
        words = _tokens(a), _tokens(b)
        if len(words[0]) + len(words[1]) <= MOST_WORDS:
            (left, right), most = words, MOST_WORDS
    same = _worth_seeing(_common(left, right, most), left, right)
    pieces = tuple(_pieces(same, left, right))
    matched = sum(size for _, _, size in same)
    longest = max(len(left), len(right))
    return Diff(
        a=_merged(span for before, _ in pieces for span in before),
        b=_merged(span for _, after in pieces for span in after),
        common=matched / longest if longest else 1.0,
    )


@dataclass(frozen=True, slots=True)
class _Token:
    """key: what is compared. text: as written, with the space after it."""

    key: str
    text: str

    @property
    def is_number(self) -> bool:
        return self.key[:1].isdigit()


# A script without spaces between words goes by characters: kana, CJK ideographs, hangul.
_WORD: Final = re.compile(
    r"([\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\d(?:[\d.,]*\d)?|[^\W\d]+|[^\w\s]|_)(\s*)|(\s+)"
)
_FENCE: Final = re.compile(r"^ {0,3}(`{3,}|~{3,})")


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    fence = ""
    for line in text.splitlines(keepends=True):
        opening = _FENCE.match(line)
        if fence:
            found.append(_line(line))
            if opening and opening[1].startswith(fence):
                fence = ""
        elif opening:
            fence = opening[1]
            found.append(_line(line))
        else:
            found += [_Token(m[1] or "", m[0]) for m in _WORD.finditer(line)]
    return found


def _lines(text: str) -> list[_Token]:
    return [_line(line) for line in text.splitlines(keepends=True)]


def _line(line: str) -> _Token:
    return _Token(line.rstrip(), line)


def _common(left: Sequence[_Token], right: Sequence[_Token], most: int) -> list[Block]:
    """The parts that both have, in order; the last one is empty and stands at the ends."""
    a, b = [token.key for token in left], [token.key for token in right]
    head = _shared_from(zip(a, b, strict=False))
    tail = _shared_from(zip(reversed(a[head:]), reversed(b[head:]), strict=False))
    middle_a, middle_b = a[head : len(a) - tail], b[head : len(b) - tail]
    blocks = [(0, 0, head)]
    if len(middle_a) + len(middle_b) <= most:
        matches = SequenceMatcher(None, middle_a, middle_b).get_matching_blocks()
        blocks += [(head + m.a, head + m.b, m.size) for m in matches]
    return [*blocks, (len(a) - tail, len(b) - tail, tail), (len(a), len(b), 0)]


def _shared_from(pairs: Iterable[tuple[str, str]]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _worth_seeing(
    blocks: Iterable[Block], left: Sequence[_Token], right: Sequence[_Token]
) -> list[Block]:
    """Without the lone comma or article that two sentences happen to share."""

    def counts(a: int, b: int, size: int) -> bool:
        at_an_end = a == b == 0 or (a + size, b + size) == (len(left), len(right))
        return at_an_end or size > 2 or sum(len(t.key) for t in left[a : a + size]) > 3

    return [block for block in blocks if counts(*block)]


def _pieces(
    same: Sequence[Block], left: Sequence[_Token], right: Sequence[_Token]
) -> Iterator[tuple[list[Span], list[Span]]]:
    """What stands before each common part, then that part; the last one is empty."""
    at_a = at_b = 0
    for a, b, size in same:
        gone, come = left[at_a:a], right[at_b:b]
        yield _marked(gone, come), _marked(come, gone)
        yield _shared(left[a : a + size]), _shared(right[b : b + size])
        at_a, at_b = a + size, b + size


def _shared(tokens: Sequence[_Token]) -> list[Span]:
    return [Span(text=token.text, mark=Mark.SAME) for token in tokens]


def _marked(tokens: Sequence[_Token], others: Sequence[_Token]) -> list[Span]:
    """Numbers stand out where the other text has numbers too, but not this one."""
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


def _merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    merged: list[tuple[Mark, list[str]]] = []
    for span in spans:
        if merged and merged[-1][0] is span.mark:
            merged[-1][1].append(span.text)
        else:
            merged.append((span.mark, [span.text]))
    return tuple(Span(text="".join(texts), mark=mark) for mark, texts in merged)
