"""Renders the markdown of an answer as HTML, block by block, complete or while it is streamed.

`html.py` has the markdown rules and keeps the output safe.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final, NamedTuple

from markdown_it.token import Token

from akash_gradio.markdown.code import CODE_TAIL, code_head, parse_language
from akash_gradio.markdown.diagrams import as_diagram
from akash_gradio.markdown.html import BlockRenderer, is_too_complex, parser
from akash_gradio.markdown.math_text import math_line
from akash_gradio.markdown.sanitize import as_text, visible

FREE_TAIL_CHARS: Final = 4_000
"""An open tail up to this size is rendered at each patch, a longer one progressively less often."""

FREE_CODE_CHARS: Final = 32_000
"""The same for an open code block, which is only escaped."""

LINE_COST_CHARS: Final = 60
"""A line costs the parser about as much as this many characters."""

_STEP_DIVISOR: Final = 128_000
"""See `_is_too_soon`."""


@dataclass(frozen=True, slots=True)
class Patch:
    """A change: keep the first `keep` blocks and replace the rest by `blocks`."""

    keep: int
    blocks: tuple[str, ...]


def render(text: str, *, soft_breaks: bool = False) -> tuple[str, ...]:
    """Render markdown.

    Args:
        text: The markdown.
        soft_breaks: Whether a single line end is a space, as in files that are wrapped by hand.

    Returns:
        The HTML of each top-level block, in order.
    """
    renderer = BlockRenderer(visible(text), soft_breaks=soft_breaks)
    return tuple(block.html for block in renderer.blocks)


def plain_text(text: str) -> str:
    """Return the text of markdown as one line, not as HTML."""
    tokens: list[Token] = []
    env: dict[str, Any] = {}
    parser().block.parse(visible(text), parser(), env, tokens)
    parts = (_block_text(token, env) for token in tokens)
    return " ".join(visible(" ".join(part for part in parts if part)).split())


def _block_text(token: Token, env: dict[str, Any]) -> str:
    if token.type != "inline":
        return _inline_text(token)
    if is_too_complex(token.content):
        return token.content
    children: list[Token] = []
    parser().inline.parse(token.content, parser(), env, children)
    return "".join(_inline_text(child) for child in children)


def _inline_text(token: Token) -> str:
    if token.type.startswith("math_"):
        return math_line(token.content)
    return " " if token.type.endswith("break") else token.content


class GrowingMarkdown:
    """Markdown that is streamed: one answer or its reasoning, used by one task.

    The cost of a patch depends on the open tail, not on the whole answer. The tail begins after the
    last block that later text can't change: see `_settled`.

    Attributes:
        rendered_chars: The number of characters in all renderings together.
    """

    def __init__(self) -> None:
        self.rendered_chars = 0
        self._parts: list[str] = []
        self._waiting: list[str] = []
        self._sent: list[str] = []
        self._settled = 0
        self._tail = ""
        self._rendered_size = 0
        self._fence: _OpenFence | None = None
        self._memo: dict[tuple[str, ...], str] = {}
        self._needs_whole = False

    @property
    def text(self) -> str:
        """Everything that was added, unchanged."""
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

    def add(self, text: str) -> None:
        """Append text, without rendering it."""
        if text:
            self._parts.append(text)
            self._waiting.append(text)

    def patch(self) -> Patch | None:
        """Return what changed since the last call, or None."""
        new = self._take(hold=True)
        if not new:
            return None
        if self._fence is not None and not (addition := self._fence.add(new)).closed:
            return self._grow_code(self._fence, addition.shown)
        self._reopen_tail(new)
        if _is_too_soon(_size(self._tail), self._rendered_size, FREE_TAIL_CHARS):
            return None
        return self._render_growing()

    def finish(self) -> Patch | None:
        """Return the last patch. After it the blocks are exactly those of `render(text)`."""
        self._reopen_tail(self._take(hold=False), finishing=True)
        renderer = BlockRenderer(self._tail, memo=self._memo)
        self.rendered_chars += len(self._tail)
        if self._needs_whole or renderer.references:
            return self._replace_from(0, list(render(self.text)))
        return self._replace_from(self._settled, [block.html for block in renderer.blocks])

    def _take(self, *, hold: bool) -> str:
        """Return the new text, normalized. Half a line end or surrogate pair is held back."""
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
        # A size of 0: complete code is rendered at once.
        self._tail, self._fence, self._rendered_size = self._fence.source, None, 0

    def _render_growing(self) -> Patch | None:
        shown = _drop_incomplete_end(self._tail)
        renderer = BlockRenderer(shown, growing=True, memo=self._memo)
        self._memo = renderer.memo
        self.rendered_chars += len(shown)
        self._needs_whole = self._needs_whole or renderer.references
        blocks = [block.html for block in renderer.blocks]
        settled, line = _settled(renderer, shown)
        if renderer.blocks and (start := _open_fence_line(renderer, shown)) is not None:
            settled, line = len(blocks) - 1, start
            self._fence = _OpenFence(self._tail[_offset(self._tail, line) :])
            blocks[-1] = self._fence.html()
        patch = self._replace_from(self._settled, blocks)
        self._settled += settled
        self._tail = self._tail[_offset(self._tail, line) :]
        self._rendered_size = _size(self._tail)
        return patch

    def _grow_code(self, fence: _OpenFence, shown: str) -> Patch | None:
        if not shown:
            return None
        if _is_too_soon(fence.size_chars, self._rendered_size, FREE_CODE_CHARS):
            return None
        self._rendered_size = fence.size_chars
        return self._replace_from(self._settled, [fence.html()])

    def _replace_from(self, first: int, blocks: list[str]) -> Patch | None:
        """Return the patch that replaces all blocks from `first` on, and keeps equal ones."""
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
    return len(text) + LINE_COST_CHARS * text.count("\n")


def _is_too_soon(size: int, rendered: int, free: int) -> bool:
    """Return whether an open tail should grow more before it is rendered again.

    The step grows with the square of the size, up to a quarter of it. Short tails are updated
    often, and all renderings together have at most five times the text's length, plus a constant.
    """
    return size > free and size - rendered < min(
        rendered * rendered // _STEP_DIVISOR, rendered // 4
    )


def _is_half(character: str) -> bool:
    return "\ud800" <= character <= "\udbff"


def _offset(text: str, line: int) -> int:
    """Return where a line begins; the first line is 0."""
    offset = 0
    for _ in range(line):
        offset = text.index("\n", offset) + 1
    return offset


# ── Settled blocks ──────────────────────────────────────────────────────────────────────────


def _settled(renderer: BlockRenderer, text: str) -> tuple[int, int]:
    """Return how many blocks can't change any more, and the line where the rest begins.

    The parser reads line by line and never goes back, so only the end of the last settled block
    matters. It is certain if its lines are complete and it ends itself (a heading, a rule, a
    closed fence or formula), or if a complete line follows that starts a block whatever precedes
    it: after a blank line, or a heading or a fence.
    """
    lines = text.split("\n")[:-1]
    complete = len(lines)
    best = (0, 0)
    for number, block in enumerate(renderer.blocks):
        if block.first < complete and (
            block.starts_anywhere or (block.first > 0 and not lines[block.first - 1].strip(" \t"))
        ):
            best = (number, block.first)
        if block.ends_itself and block.last <= complete:
            best = (number + 1, block.last)
    return best


def _open_fence_line(renderer: BlockRenderer, text: str) -> int | None:
    """Return the first line of the code block that is open at the end, or None."""
    block = renderer.blocks[-1]
    first = block.first
    if block.kind != "fence" or block.ends_itself:
        return None
    start = _offset(text, first)
    return first if text[start] in "`~" and "\n" in text[start:] else None


class _Addition(NamedTuple):
    shown: str
    closed: bool


class _OpenFence:
    """A code block at the top level without its closing line yet.

    It is shown without colors. A last line that may become the closing fence is held back.

    Args:
        source: The block from its opening line on.
    """

    def __init__(self, source: str) -> None:
        self._opener, _, code = source.partition("\n")
        info = self._opener.lstrip(self._opener[0])
        self._head, self._language = code_head(info), parse_language(info)
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

    def add(self, text: str) -> _Addition:
        """Return the part of the text that can be shown, and whether it closes the block."""
        shown = ""
        if self._inside_line:
            rest, newline, text = text.partition("\n")
            shown, self._inside_line = rest + newline, not newline
        self._held += text
        if self._closing.search(self._held):
            self._show(shown)
            return _Addition(shown, closed=True)
        cut = self._held.rfind("\n") + 1
        if not self._may_close.fullmatch(self._held, cut):
            cut, self._inside_line = len(self._held), True
        shown, self._held = shown + self._held[:cut], self._held[cut:]
        self._show(shown)
        return _Addition(shown, closed=False)

    def _show(self, text: str) -> None:
        self._code.append(text)
        self._html.append(as_text(text))
        self.size_chars += len(text)

    def html(self) -> str:
        self._html = ["".join(self._html)]
        block = self._head + self._html[0] + CODE_TAIL
        return as_diagram(block, self._language, closed=False)


# ── Text that is held back ────────────────────────────────────────────────────────────────────

# A line with only the beginning of a mark would briefly appear as a heading, a rule or a list.
_MARK_ONLY: Final = re.compile(r"[-+*_=>#|:~`$\\\[(!< \t]+|\d{1,9}[.)]?|(?:`{3,}|~{3,})[^`\n]*")


def _drop_incomplete_end(text: str) -> str:
    """Remove a last line with only a mark, and a first table row without a second row."""
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
