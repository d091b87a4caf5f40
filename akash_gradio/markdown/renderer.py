"""Renders the markdown of an answer as HTML, block by block, complete or while it is streamed.

`html.py` has the markdown rules and keeps the output safe.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final, NamedTuple, TypeAlias

from markdown_it.token import Token

from akash_gradio.domain.size_limits import FORMATTED_COST_CHARACTERS, OPEN_BLOCK_COST_CHARACTERS
from akash_gradio.markdown.code import CODE_TAIL, code_block, code_head, parse_language
from akash_gradio.markdown.diagrams import as_diagram
from akash_gradio.markdown.html import BlockRenderer, Memo, is_too_complex, parser
from akash_gradio.markdown.math_text import math_line
from akash_gradio.markdown.sanitize import as_text, visible

FREE_TAIL_CHARS: Final = 4_000
"""An open tail up to this size is rendered at each patch, a longer one progressively less often."""

FREE_CODE_CHARS: Final = 32_000
"""The same for an open code block, which is only escaped."""

LINE_COST_CHARS: Final = 60
"""A line costs the parser about as much as this many characters."""

PLAIN_BLOCK_CHARS: Final = 2_000
"""Text that isn't formatted is shown in paragraphs of this size; the last one grows."""

CODE_FACTOR: Final = 4
"""A character of code costs as much as this many of prose, because of the lexer."""

FORMULA_FACTOR: Final = 4
"""The same for a text with formulas."""

INSTANT_COST_CHARS: Final = 1_500
"""Most patches cost less: a paragraph, a short list. The worst such text takes 5 ms."""

QUICK_COST_CHARS: Final = 60_000
"""A list of this cost takes about 25 ms."""

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
        text: The markdown. What exceeds `FORMATTED_COST_CHARACTERS` is shown as plain text.
        soft_breaks: Whether a single line end is a space, as in files that are wrapped by hand.

    Returns:
        The HTML of each top-level block, in order.
    """
    return render_within(text, FORMATTED_COST_CHARACTERS, soft_breaks=soft_breaks)[0]


def render_all(texts: Sequence[str]) -> list[tuple[str, ...]]:
    """Render the texts of one request, which share `FORMATTED_COST_CHARACTERS`."""
    remaining = FORMATTED_COST_CHARACTERS
    rendered = []
    for text in texts:
        blocks, cost = render_within(text, remaining)
        remaining -= cost
        rendered.append(blocks)
    return rendered


def render_within(
    text: str, cost_limit: int, *, soft_breaks: bool = False
) -> tuple[tuple[str, ...], int]:
    """Render markdown up to a cost, and the rest as plain text.

    Args:
        text: The markdown.
        cost_limit: Largest cost, see `cost_chars`, of the part that is formatted.
        soft_breaks: Whether a single line end is a space.

    Returns:
        The HTML of the blocks, and the cost of the formatted part.
    """
    shown = visible(text)
    end = _affordable(shown, cost_limit)
    renderer = BlockRenderer(shown[:end], soft_breaks=soft_breaks)
    blocks = tuple(block.html for block in renderer.blocks)
    if end < len(shown):
        blocks += tuple(plain_blocks(shown[end:]))
    return blocks, cost_chars(shown[:end])


def cost_chars(text: str) -> int:
    """Return the cost of formatting a text, in characters of prose."""
    return len(text) + LINE_COST_CHARS * text.count("\n")


def plain_blocks(text: str) -> Iterator[str]:
    """Yield a text without formatting, in paragraphs of at most `PLAIN_BLOCK_CHARS`."""
    position = 0
    while position < len(text):
        end = _plain_end(text, position)
        yield plain_block(text[position:end])
        position = end


def plain_block(text: str) -> str:
    """Return a paragraph of text without formatting."""
    broken = as_text(text.strip("\n")).replace("\n", "<br>\n")
    return f'<p dir="auto">{broken}</p>'


def _plain_end(text: str, position: int) -> int:
    """Return the end of a paragraph, at a line end if there is one in its second half."""
    end = position + PLAIN_BLOCK_CHARS
    if end >= len(text):
        return len(text)
    line_end = text.rfind("\n", position + PLAIN_BLOCK_CHARS // 2, end)
    return line_end + 1 if line_end > 0 else end


def _affordable(text: str, cost_limit: int) -> int:
    """Return the length of the longest beginning of whole lines within a cost."""
    if cost_chars(text) <= cost_limit:
        return len(text)
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if middle + LINE_COST_CHARS * text.count("\n", 0, middle) <= cost_limit:
            low = middle
        else:
            high = middle - 1
    return text.rfind("\n", 0, low) + 1 or low


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


class _Job:
    """Something to render. It can be pickled, and `run` needs nothing else."""

    __slots__ = ()

    @property
    def cost(self) -> int:
        """The expected cost, in characters of prose."""
        raise NotImplementedError

    @property
    def is_instant(self) -> bool:
        """Whether the worst text of this cost takes at most some milliseconds."""
        return self.cost <= INSTANT_COST_CHARS

    @property
    def is_quick(self) -> bool:
        """Whether a usual text of this cost takes some hundredths of a second."""
        return self.cost <= QUICK_COST_CHARS


@dataclass(frozen=True, slots=True)
class TailJob(_Job):
    """The open end of an answer, to be rendered.

    Attributes:
        text: The markdown.
        memo: The HTML of the previous rendering by its source.
        whole: Whether nothing will be appended.
    """

    text: str
    memo: Memo
    whole: bool

    @property
    def cost(self) -> int:
        """The expected cost, more where brackets, tables or formulas may need more."""
        text = self.text
        cost = cost_chars(text) + 20 * text.count("|") + 60 * text.count("[")
        return cost * FORMULA_FACTOR if "$" in text or "\\" in text else cost

    def run(self) -> RenderedTail:
        """Render the tail."""
        shown = self.text if self.whole else _drop_incomplete_end(self.text)
        renderer = BlockRenderer(shown, growing=not self.whole, memo=self.memo)
        settled, line = _settled(renderer, shown)
        fence = None
        if renderer.blocks and not self.whole:
            fence = _open_fence_line(renderer, shown)
        if fence is not None:
            settled, line = len(renderer.blocks) - 1, fence
        return RenderedTail(
            blocks=tuple(block.html for block in renderer.blocks),
            memo=renderer.memo,
            references=renderer.references,
            shown_chars=len(shown),
            settled=settled,
            tail_start=_offset(shown, line),
            is_fence=fence is not None,
        )


@dataclass(frozen=True, slots=True)
class CodeJob(_Job):
    """A code block that has been closed, to be colored."""

    code: str
    info: str

    @property
    def cost(self) -> int:
        """The expected cost of the lexer."""
        return CODE_FACTOR * len(self.code)

    def run(self) -> str:
        """Render the block."""
        return _closed_code(self.code, self.info, highlighted=True)


@dataclass(frozen=True, slots=True)
class WholeJob(_Job):
    """A complete text, to be rendered from its beginning."""

    text: str

    @property
    def cost(self) -> int:
        """The expected cost."""
        return TailJob(self.text, {}, whole=True).cost

    def run(self) -> tuple[str, ...]:
        """Render the text."""
        return render(self.text)


Job: TypeAlias = TailJob | CodeJob | WholeJob
"""The part of a patch that takes time."""


class RenderedTail(NamedTuple):
    """The result of a `TailJob`.

    Attributes:
        blocks: The HTML of the blocks.
        memo: For the next job.
        references: Whether the text defines links.
        shown_chars: The part of the text that was rendered.
        settled: How many blocks can't change any more.
        tail_start: Where the rest begins.
        is_fence: Whether the rest is an open code block.
    """

    blocks: tuple[str, ...]
    memo: Memo
    references: bool
    shown_chars: int
    settled: int
    tail_start: int
    is_fence: bool


class GrowingMarkdown:
    """Markdown that is streamed: one answer or its reasoning, used by one task.

    The cost of a patch depends on the open tail, not on the whole answer. The tail begins after the
    last block that later text can't change: see `_settled`. A tail that costs more than
    `OPEN_BLOCK_COST_CHARACTERS`, or couldn't be rendered in time, stays as it is, and what follows
    is shown as plain text until `finish`.

    `patch` and `finish` render at once. To render elsewhere, use `next_job` and `apply`, and call
    neither before the other's result is there; text may be added at any time.

    Attributes:
        rendered_chars: The number of characters in all renderings together.
    """

    def __init__(self) -> None:
        self.rendered_chars = 0
        self._parts: list[str] = []
        self._waiting: list[str] = []
        self._sent: list[str] = []
        self._settled = 0
        self._ready: list[str] = []
        self._tail = ""
        self._shown_chars = 0
        self._rendered_size = 0
        self._fence: _OpenFence | None = None
        self._plain: _PlainEnd | None = None
        self._memo: Memo = {}
        self._needs_whole = False
        self._finishing = False

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
        return self._run(self.next_job())

    def finish(self) -> Patch | None:
        """Return the last patch. After it the blocks are exactly those of `render(text)`."""
        return self._run(self.next_job(final=True))

    def _run(self, step: Job | Patch | None) -> Patch | None:
        while isinstance(step, TailJob | CodeJob | WholeJob):
            step = self.apply(step, step.run())
        return step

    def next_job(self, *, final: bool = False) -> Job | Patch | None:
        """Return the work that the next patch needs, or the patch if it needs none.

        Args:
            final: Whether nothing will be added any more.
        """
        self._finishing = final
        new = self._take(hold=not final)
        if final:
            return self._final_job(new)
        if not new:
            return None
        if self._plain is not None:
            return self._grow_plain(new)
        if self._fence is not None:
            addition = self._fence.add(new)
            if not addition.closed:
                return self._grow_code(self._fence, addition.shown)
            return self._fence.code_job()
        self._tail += new
        return self._tail_job()

    def apply(self, job: Job, result: Any) -> Job | Patch | None:
        """Take the result of a job.

        Args:
            job: From `next_job` or `apply`.
            result: What its `run` returned; None if it could not be run.

        Returns:
            The next job, or the patch.
        """
        if isinstance(job, CodeJob):
            return self._apply_code(job, result)
        if isinstance(job, WholeJob):
            blocks = plain_blocks(visible(job.text)) if result is None else result
            return self._replace_from(0, list(blocks))
        if result is None:
            return self._stop_formatting(final=self._finishing)
        self.rendered_chars += result.shown_chars
        self._needs_whole = self._needs_whole or result.references
        if self._finishing:
            if self._needs_whole:
                return WholeJob(self.text)
            return self._replace_from(self._settled, [*self._ready, *result.blocks])
        return self._apply_tail(result)

    def _take(self, *, hold: bool) -> str:
        """Return the new text, normalized. Half a line end or surrogate pair is held back."""
        raw = "".join(self._waiting)
        held = raw[-1:] if hold and raw and (raw[-1] == "\r" or _is_half(raw[-1])) else ""
        self._waiting = [held] if held else []
        return visible(raw.removesuffix(held))

    def _final_job(self, new: str) -> Job | Patch | None:
        if self._fence is not None:
            self._fence.add(new)
            self._tail, self._fence = self._fence.source, None
        elif self._plain is not None:
            self._plain.add(new)
            self._tail, self._plain = self._plain.source, None
        else:
            self._tail += new
        if self._needs_whole or cost_chars(self.text) > FORMATTED_COST_CHARACTERS:
            return WholeJob(self.text)
        return TailJob(self._tail, self._memo, whole=True)

    def _tail_job(self) -> Job | Patch | None:
        size = cost_chars(self._tail)
        if self._rendered_size > OPEN_BLOCK_COST_CHARACTERS or size > FORMATTED_COST_CHARACTERS:
            return self._stop_formatting()
        if _is_too_soon(size, self._rendered_size, FREE_TAIL_CHARS):
            return None
        return TailJob(self._tail, self._memo, whole=False)

    def _apply_code(self, job: CodeJob, html: str | None) -> Job | Patch | None:
        """Settle a closed code block, and continue with what follows it."""
        assert self._fence is not None
        self._ready.append(html or _closed_code(job.code, job.info, highlighted=False))
        self._tail, self._fence = self._fence.rest, None
        self._shown_chars = self._rendered_size = 0
        if self._tail:
            return self._tail_job()
        patch = self._replace_from(self._settled, self._ready)
        self._settled, self._ready = self._settled + 1, []
        return patch

    def _apply_tail(self, result: RenderedTail) -> Patch | None:
        self._memo = result.memo
        blocks = [*self._ready, *result.blocks]
        settled = len(self._ready) + result.settled
        self._ready = []
        rest = self._tail[result.tail_start :]
        if result.is_fence:
            self._fence = _OpenFence(rest)
            blocks[-1] = self._fence.html()
        patch = self._replace_from(self._settled, blocks)
        self._settled += settled
        self._tail, self._shown_chars = rest, result.shown_chars - result.tail_start
        self._rendered_size = cost_chars(rest)
        return patch

    def _stop_formatting(self, *, final: bool = False) -> Patch | None:
        """Show the part of the tail that isn't shown yet, and what follows it, as plain text."""
        first, ready, self._ready = self._settled, self._ready, []
        if final:
            return self._replace_from(first, [*ready, *plain_blocks(self._tail)])
        kept = [] if ready else self._sent[first:]
        self._settled += len(ready)
        self._plain = _PlainEnd(
            self._tail[: self._shown_chars], first_block=first + len(ready) + len(kept)
        )
        paragraphs = self._plain.add(self._tail[self._shown_chars :])
        return self._replace_from(first, [*ready, *kept, *paragraphs])

    def _grow_plain(self, new: str) -> Patch | None:
        assert self._plain is not None
        first = self._plain.first_block
        return self._replace_from(first, self._plain.add(new))

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


class _PlainEnd:
    """The end of an answer that is shown as plain text until the answer is complete.

    Attributes:
        first_block: The index of the paragraph that grows.
    """

    def __init__(self, shown: str, *, first_block: int) -> None:
        self.first_block = first_block
        self._parts = [shown]
        self._paragraph = ""

    @property
    def source(self) -> str:
        """The markdown from the last settled block on."""
        return "".join(self._parts)

    def add(self, text: str) -> list[str]:
        """Return the paragraphs from `first_block` on; all but the last are complete."""
        self._parts.append(text)
        paragraph, start, blocks = self._paragraph + text, 0, []
        while len(paragraph) - start > PLAIN_BLOCK_CHARS:
            end = _plain_end(paragraph, start)
            blocks.append(plain_block(paragraph[start:end]))
            start = end
        self._paragraph = paragraph[start:]
        self.first_block += len(blocks)
        return [*blocks, plain_block(self._paragraph)] if self._paragraph else blocks


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


def _closed_code(code: str, info: str, *, highlighted: bool) -> str:
    block = code_block(code, info, highlighted=highlighted)
    return as_diagram(block, parse_language(info), closed=True)


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
        self._info = info
        self._closing = re.compile(rf"^ {{0,3}}{mark}{{{length},}}[ \t]*\n", re.MULTILINE)
        self._may_close = re.compile(rf" {{0,3}}{mark}{{0,200}}[ \t]{{0,200}}")
        self._code: list[str] = []
        self._html: list[str] = []
        self._held = ""
        self._inside_line = False
        self.size_chars = 0
        self.rest = ""
        self.add(code)

    @property
    def source(self) -> str:
        return f"{self._opener}\n{''.join(self._code)}{self._held}"

    def code_job(self) -> CodeJob:
        """Return the job that renders the block, which has been closed."""
        return CodeJob("".join(self._code), self._info)

    def add(self, text: str) -> _Addition:
        """Return the part of the text that can be shown, and whether it closes the block.

        If it does, `rest` is what follows the closing line.
        """
        shown = ""
        if self._inside_line:
            rest, newline, text = text.partition("\n")
            shown, self._inside_line = rest + newline, not newline
        self._held += text
        if closing := self._closing.search(self._held):
            shown += self._held[: closing.start()]
            self.rest = self._held[closing.end() :]
            self._held = self._held[closing.start() :]
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
