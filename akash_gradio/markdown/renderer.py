"""The markdown of an answer as HTML, block by block, also while it grows.

What the markdown means and how it is kept harmless: `markdown_html.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final, NamedTuple

from markdown_it.token import Token

from akash_gradio.markdown.code import CODE_TAIL, code_head, language_of
from akash_gradio.markdown.diagrams import as_diagram
from akash_gradio.markdown.html import Drawing, is_too_much, parser
from akash_gradio.markdown.math_text import math_line
from akash_gradio.markdown.sanitize import as_text, visible

FREE_TAIL: Final = 4_000
"""An open tail of this size is drawn at each patch, a longer one more and more seldom."""

FREE_CODE: Final = 32_000
"""The same for an open code block, which is only escaped."""

LINE_SIZE: Final = 60
"""A line costs the parser about what this many characters cost in a line."""

_STEP: Final = 128_000


@dataclass(frozen=True, slots=True)
class Patch:
    """Keep the first `keep` blocks, put `blocks` in the place of the rest."""

    keep: int
    blocks: tuple[str, ...]


def render(text: str, *, soft_breaks: bool = False) -> tuple[str, ...]:
    """The HTML of each top-level block, in order; joined it is the whole answer.

    soft_breaks: a single line end is a space, as in files that people wrap by hand.
    """
    drawing = Drawing(visible(text), soft_breaks=soft_breaks)
    return tuple(block.html for block in drawing.blocks)


def plain(text: str) -> str:
    """The words of the markdown as one line of text (not HTML), for titles and announcements."""
    tokens: list[Token] = []
    env: dict[str, Any] = {}
    parser().block.parse(visible(text), parser(), env, tokens)
    parts = (_words(token, env) for token in tokens)
    return " ".join(visible(" ".join(part for part in parts if part)).split())


def _words(token: Token, env: dict[str, Any]) -> str:
    """The words of one token of a block."""
    if token.type != "inline":
        return _word(token)
    if is_too_much(token.content):
        return token.content
    children: list[Token] = []
    parser().inline.parse(token.content, parser(), env, children)
    return "".join(_word(child) for child in children)


def _word(token: Token) -> str:
    if token.type.startswith("math_"):
        return math_line(token.content)
    return " " if token.type.endswith("break") else token.content


class GrowingMarkdown:
    """An answer that still comes. Live state, for one answer (or its reasoning), one task.

    drawn_chars: how many characters all drawings together took in.

    A patch costs what the open tail costs, not the answer. The tail begins at the last line
    from which the parser would go on the same way whatever comes: see `_settled`.
    """

    def __init__(self) -> None:
        self.drawn_chars = 0
        self._parts: list[str] = []
        self._waiting: list[str] = []
        self._sent: list[str] = []
        self._settled = 0
        self._tail = ""
        self._drawn_size = 0
        self._fence: _OpenFence | None = None
        self._memo: dict[tuple[str, ...], str] = {}
        self._needs_whole = False

    @property
    def text(self) -> str:
        """All that was added, as it came."""
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

    def add(self, text: str) -> None:
        """More of the answer. Draws nothing."""
        if text:
            self._parts.append(text)
            self._waiting.append(text)

    def patch(self) -> Patch | None:
        """What changed on the page since the last call; None when nothing did."""
        new = self._take(hold=True)
        if not new:
            return None
        if self._fence is not None and not (grown := self._fence.add(new)).closed:
            return self._grow_code(self._fence, grown.shown)
        self._reopen_tail(new)
        if _is_too_soon(_size(self._tail), self._drawn_size, FREE_TAIL):
            return None
        return self._draw_growing()

    def finish(self) -> Patch | None:
        """The last patch: after it the blocks are exactly those of `render(text)`."""
        self._reopen_tail(self._take(hold=False), finishing=True)
        drawing = Drawing(self._tail, memo=self._memo)
        self.drawn_chars += len(self._tail)
        if self._needs_whole or drawing.references:
            return self._replace_from(0, list(render(self.text)))
        return self._replace_from(self._settled, [block.html for block in drawing.blocks])

    def _take(self, *, hold: bool) -> str:
        """What was added, clean. Half a line end or half a character waits for its other half."""
        raw = "".join(self._waiting)
        held = raw[-1:] if hold and raw and (raw[-1] == "\r" or _is_half(raw[-1])) else ""
        self._waiting = [held] if held else []
        return visible(raw.removesuffix(held))

    def _reopen_tail(self, new: str, *, finishing: bool = False) -> None:
        if self._fence is None:
            self._tail += new
            return
        if finishing:
            self._fence.add(new)
        # A size of 0: code that is complete is drawn at once.
        self._tail, self._fence, self._drawn_size = self._fence.source, None, 0

    def _draw_growing(self) -> Patch | None:
        shown = _without_loose_end(self._tail)
        drawing = Drawing(shown, growing=True, memo=self._memo)
        self._memo = drawing.memo
        self.drawn_chars += len(shown)
        self._needs_whole = self._needs_whole or drawing.references
        blocks = [block.html for block in drawing.blocks]
        settled, line = _settled(drawing, shown)
        if drawing.blocks and (start := _open_fence_line(drawing, shown)) is not None:
            settled, line = len(blocks) - 1, start
            self._fence = _OpenFence(self._tail[_offset(self._tail, line) :])
            blocks[-1] = self._fence.html()
        patch = self._replace_from(self._settled, blocks)
        self._settled += settled
        self._tail = self._tail[_offset(self._tail, line) :]
        self._drawn_size = _size(self._tail)
        return patch

    def _grow_code(self, fence: _OpenFence, shown: str) -> Patch | None:
        if not shown:
            return None
        if _is_too_soon(fence.size_chars, self._drawn_size, FREE_CODE):
            return None
        self._drawn_size = fence.size_chars
        return self._replace_from(self._settled, [fence.html()])

    def _replace_from(self, first: int, blocks: list[str]) -> Patch | None:
        """The patch that puts `blocks` from number `first` on, and keeps what is equal."""
        old = self._sent[first:]
        same = sum(
            1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, blocks, strict=False))
        )
        keep = first + same
        if same == len(old) == len(blocks):
            return None
        self._sent[keep:] = blocks[same:]
        return Patch(keep, tuple(blocks[same:]))


def _size(text: str) -> int:
    return len(text) + LINE_SIZE * text.count("\n")


def _is_too_soon(size: int, drawn: int, free: int) -> bool:
    """Whether an open tail should grow more before it is drawn again.

    The step grows with the square of the size, to a quarter of it: short tails look alive, and
    the sum of all drawings stays within a constant and five times the text.
    """
    return size > free and size - drawn < min(drawn * drawn // _STEP, drawn // 4)


def _is_half(character: str) -> bool:
    return "\ud800" <= character <= "\udbff"


def _offset(text: str, line: int) -> int:
    """Where the line (from 0) begins."""
    at = 0
    for _ in range(line):
        at = text.index("\n", at) + 1
    return at


# ── What is settled ──────────────────────────────────────────────────────────────────────────


def _settled(drawing: Drawing, text: str) -> tuple[int, int]:
    """How many blocks nothing can change any more, and the line where the rest begins.

    The parser goes down the lines and never looks back, so only the end of the last settled
    block matters. It is sure when its lines are complete and it ends itself (a heading, a rule,
    a closed fence or formula), or when a complete line follows that starts a block of its own
    after whatever stands above: after a blank line, or a heading or a fence.
    """
    lines = text.split("\n")[:-1]
    complete = len(lines)
    best = (0, 0)
    for number, block in enumerate(drawing.blocks):
        if block.first < complete and (
            block.starts_anywhere or (block.first > 0 and not lines[block.first - 1].strip(" \t"))
        ):
            best = (number, block.first)
        if block.ends_itself and block.last <= complete:
            best = (number + 1, block.last)
    return best


def _open_fence_line(drawing: Drawing, text: str) -> int | None:
    """The first line of the code block that is open at the end, None when there is none."""
    block = drawing.blocks[-1]
    first = block.first
    if block.kind != "fence" or block.ends_itself:
        return None
    at = _offset(text, first)
    return first if text[at] in "`~" and "\n" in text[at:] else None


class _Grown(NamedTuple):
    shown: str
    closed: bool


class _OpenFence:
    """A code block at the top level whose closing line has not come. Live state.

    source: from its opening line on. It is shown plain, and a last line that may become the
    closing one is held back.
    """

    def __init__(self, source: str) -> None:
        self._opener, _, code = source.partition("\n")
        info = self._opener.lstrip(self._opener[0])
        self._head, self._language = code_head(info), language_of(info)
        mark = re.escape(self._opener[0])
        length = len(self._opener) - len(self._opener.lstrip(self._opener[0]))
        self._closing = re.compile(rf"^ {{0,3}}{mark}{{{length},}}[ \t]*\n", re.MULTILINE)
        self._may_close = re.compile(rf" {{0,3}}{mark}{{0,200}}[ \t]{{0,200}}")
        self._code: list[str] = []
        self._html: list[str] = []
        self._held = ""
        self._inside_line = False
        self.size_chars = 0
        self.add(code)

    @property
    def source(self) -> str:
        return f"{self._opener}\n{''.join(self._code)}{self._held}"

    def add(self, text: str) -> _Grown:
        """What of the text can be shown, and whether the code block ended in it."""
        shown = ""
        if self._inside_line:
            rest, newline, text = text.partition("\n")
            shown, self._inside_line = rest + newline, not newline
        self._held += text
        if self._closing.search(self._held):
            self._show(shown)
            return _Grown(shown, closed=True)
        cut = self._held.rfind("\n") + 1
        if not self._may_close.fullmatch(self._held, cut):
            cut, self._inside_line = len(self._held), True
        shown, self._held = shown + self._held[:cut], self._held[cut:]
        self._show(shown)
        return _Grown(shown, closed=False)

    def _show(self, text: str) -> None:
        self._code.append(text)
        self._html.append(as_text(text))
        self.size_chars += len(text)

    def html(self) -> str:
        self._html = ["".join(self._html)]
        block = self._head + self._html[0] + CODE_TAIL
        return as_diagram(block, self._language, closed=False)


# ── What is not shown yet ────────────────────────────────────────────────────────────────────

# A line that is only the beginning of a mark: it would flash as a heading, a rule or a list.
_MARK_ONLY: Final = re.compile(r"[-+*_=>#|:~`$\\\[(!< \t]+|\d{1,9}[.)]?|(?:`{3,}|~{3,})[^`\n]*")


def _without_loose_end(text: str) -> str:
    """The text less a last line that only begins a mark, and less a table's lone first row."""
    cut = text.rfind("\n") + 1
    line = text[cut:].strip(" \t")
    if _MARK_ONLY.fullmatch(line):
        text, line = text[:cut], ""
    if line and line[0] != "|":
        return text
    start = cut if line else text.rfind("\n", 0, -1) + 1
    above = text[text.rfind("\n", 0, max(start - 1, 0)) + 1 : start]
    lone = text[start:].lstrip(" ")[:1] == "|" and above.lstrip(" ")[:1] != "|"
    return text[:start] if lone else text
