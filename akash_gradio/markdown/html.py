"""Renders markdown to the HTML of its blocks in one pass: the rules, the tags and the links.

CommonMark with GFM tables and strikethrough. A line end is a line break, since models end lines
deliberately. Raw HTML is shown as text, except for `<br>`. Links go to http, https and mailto only.
Pictures become links, so that the page loads nothing from other hosts. Every tag and attribute
comes from the tables here, in `code.py` and in `math.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

from markdown_it import MarkdownIt
from markdown_it.ruler import RuleOptionsType
from markdown_it.rules_block import StateBlock
from markdown_it.rules_block import fence as fence_rule
from markdown_it.rules_block import table as table_rule
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline import link as link_rule
from markdown_it.token import Token

from akash_gradio.markdown.code import code_block, parse_language
from akash_gradio.markdown.diagrams import as_diagram
from akash_gradio.markdown.math import math_block, math_inline, math_source, to_mathml
from akash_gradio.markdown.sanitize import as_attribute, as_text

INLINE_LIMIT_CHARS: Final = 20_000
BRACKETS_LIMIT: Final = 400
"""A paragraph with more is shown as plain text: parsing brackets takes quadratic time."""

COLUMNS_LIMIT: Final = 40
"""A wider table is shown as text: each short row would be padded with empty cells."""

PADDED_CELLS_LIMIT: Final = 400
"""Empty cells that a table may add to its short rows, besides as many as it has; more rows follow
it as a paragraph. Otherwise two characters would become forty cells."""

NESTING_LIMIT: Final = 24
"""Depth of quotes and lists; deeper content is shown as one paragraph. A line in a quote is checked
once for each level. A nested list counts twice: ten are possible."""


Memo: TypeAlias = dict[tuple[str, ...], str]
"""The HTML of parts of a text by their source."""

_SELF_ENDING: Final = frozenset({"heading_open", "hr", "fence", "math_block"})


class Block(NamedTuple):
    """A top-level block.

    Attributes:
        html: The rendered block.
        kind: The type of its first token.
        first: Its first line.
        last: The line after its last one.
        ends_itself: Whether no following line can change it.
        starts_anywhere: Whether no preceding line can change where it starts.
    """

    html: str
    kind: str
    first: int
    last: int
    ends_itself: bool
    starts_anywhere: bool


class BlockRenderer:
    """Renders a text that begins with a block, in one pass.

    Args:
        text: The markdown.
        growing: Whether more will be appended, so that its end is only provisional.
        memo: The HTML of the previous pass by its source.
        soft_breaks: Whether a line end in a paragraph is a space instead of a break.

    Attributes:
        blocks: The rendered blocks.
        memo: The HTML of this pass by its source, for the next one.
        references: Whether the text defines links, which may change any block of the answer.
    """

    def __init__(
        self,
        text: str,
        *,
        growing: bool = False,
        memo: Memo | None = None,
        soft_breaks: bool = False,
    ) -> None:
        self._parser = parser()
        self._soft_breaks = soft_breaks
        self._env: dict[str, Any] = {"growing": growing}
        self._old = memo if memo is not None else {}
        self.memo: Memo = {}
        self._complete_lines = text.count("\n")
        self._lines = self._complete_lines + (not text.endswith("\n"))
        tokens: list[Token] = []
        self._parser.block.parse(text, self._parser, self._env, tokens)
        self.references = "references" in self._env
        if self.references:
            self._old = {}
        self.blocks = tuple(map(self._block, _top_level(tokens)))

    def _block(self, tokens: list[Token]) -> Block:
        first = tokens[0]
        lines = first.map or [0, self._lines]
        kind = first.type
        ends_itself = kind in _SELF_ENDING and (kind != "fence" or bool(first.meta.get("closed")))
        starts_anywhere = kind == "fence" or (kind == "heading_open" and first.markup[0] == "#")
        html = "".join(self._html(tokens))
        return Block(html, kind, lines[0], lines[1], ends_itself, starts_anywhere)

    def _html(self, tokens: list[Token]) -> Iterator[str]:
        for number, token in enumerate(tokens):
            if token.type == "inline":
                is_item = number > 1 and tokens[number - 2].type == "list_item_open"
                yield self._paragraph(token, is_item=is_item)
            elif token.type in ("fence", "code_block"):
                yield self._code(token)
            elif token.type in ("math_block", "math_open"):
                yield self._math(token)
            elif not token.hidden:
                yield _tag(token)

    def _code(self, token: Token) -> str:
        is_open = token.type == "fence" and not token.meta.get("closed")
        if is_open and self._env["growing"] and token.map and token.map[1] >= self._lines:
            block = code_block(token.content, token.info, highlighted=False)
            return as_diagram(block, parse_language(token.info), closed=False)
        key = ("code", token.info, token.content, "" if is_open else "closed")
        return self._recall(key) or self._keep(key, self._complete_code(token, is_open=is_open))

    def _complete_code(self, token: Token, *, is_open: bool) -> str:
        block = code_block(token.content, token.info)
        return block if is_open else as_diagram(block, parse_language(token.info), closed=True)

    def _math(self, token: Token) -> str:
        if token.type == "math_open":
            return f"<p>{math_source(token.content)}</p>"
        key = ("math", token.markup, token.content)
        return self._recall(key) or self._keep(key, _formula(token.content, token.markup))

    def _paragraph(self, token: Token, *, is_item: bool) -> str:
        content = token.content
        if is_too_complex(content):
            return as_text(content).replace("\n", "<br>\n")
        box = _BOXES.get(content[:4].lower(), "") if is_item else ""
        if self._env["growing"] and token.map and token.map[1] > self._complete_lines:
            return box + self._inline(
                _complete_marks(content[4:] if box else content), open_end=True
            )
        key = ("inline", box, content)
        return self._recall(key) or self._keep(
            key, box + self._inline(content[4:] if box else content)
        )

    def _inline(self, content: str, *, open_end: bool = False) -> str:
        tokens: list[Token] = []
        self._env["open_end"] = open_end
        self._parser.inline.parse(content, self._parser, self._env, tokens)
        for token in tokens:
            if self._soft_breaks and token.type == "softbreak":
                token.type, token.content = "text", "\n"
        return "".join(_inline_html(tokens))

    def _recall(self, key: tuple[str, ...]) -> str | None:
        html = self._old.get(key)
        return self._keep(key, html) if html is not None else self.memo.get(key)

    def _keep(self, key: tuple[str, ...], html: str) -> str:
        self.memo[key] = html
        return html


def is_too_complex(content: str) -> bool:
    """Return whether a paragraph is too long, or has too many brackets, to be parsed inline."""
    return len(content) > INLINE_LIMIT_CHARS or content.count("[") > BRACKETS_LIMIT


def _top_level(tokens: list[Token]) -> Iterator[list[Token]]:
    start = 0
    for number, token in enumerate(tokens):
        if token.level == 0 and token.nesting <= 0 and token.type != "inline":
            yield tokens[start : number + 1]
            start = number + 1


_TAGS: Final = {
    "paragraph_open": '<p dir="auto">',
    "paragraph_close": "</p>",
    "blockquote_open": "<blockquote>",
    "blockquote_close": "</blockquote>",
    "bullet_list_open": "<ul>",
    "bullet_list_close": "</ul>",
    "ordered_list_close": "</ol>",
    "list_item_open": '<li dir="auto">',
    "list_item_close": "</li>",
    "hr": "<hr>",
    "table_open": '<div class="table-scroll" tabindex="0" role="region" aria-label="Table"><table>',
    "table_close": "</table></div>",
    "thead_open": "<thead>",
    "thead_close": "</thead>",
    "tbody_open": "<tbody>",
    "tbody_close": "</tbody>",
    "tr_open": "<tr>",
    "tr_close": "</tr>",
    "th_close": "</th>",
    "td_close": "</td>",
    "em_open": "<em>",
    "em_close": "</em>",
    "strong_open": "<strong>",
    "strong_close": "</strong>",
    "s_open": "<s>",
    "s_close": "</s>",
    "softbreak": "<br>\n",
    "hardbreak": "<br>\n",
}
_ALIGNMENTS: Final = {
    "text-align:left": ' class="align-left"',
    "text-align:center": ' class="align-center"',
    "text-align:right": ' class="align-right"',
}
_BOXES: Final = {"[ ] ": "☐ ", "[x] ": "☑ "}


def _tag(token: Token) -> str:
    """Render a tag of a block. The h1 of an answer is the h3 of the page."""
    if token.type in ("heading_open", "heading_close"):
        level = min(6, int(token.tag[1]) + 2)
        return f'<h{level} dir="auto">' if token.nesting == 1 else f"</h{level}>"
    if token.type in ("th_open", "td_open"):
        return f'<{token.tag} dir="auto"{_ALIGNMENTS.get(str(token.attrGet("style")), "")}>'
    if token.type == "ordered_list_open":
        start = token.attrGet("start")
        return "<ol>" if start is None else f'<ol start="{int(start)}">'
    return _TAGS[token.type]


def _formula(source: str, markup: str) -> str:
    mathml = to_mathml(source, display=True)
    if mathml is not None:
        return f'<div class="math-block">{mathml}</div>'
    return f"<p>{math_source(markup + source + _MATH_ENDS[markup])}</p>"


_MATH_ENDS: Final = {"$$": "$$", "\\[": "\\]", "\\(": "\\)", "$": "$"}


def _inline_html(tokens: Sequence[Token]) -> Iterator[str]:
    closing: list[str] = []
    for number, token in enumerate(tokens):
        if token.type == "text":
            yield as_text(token.content) if any(closing) else "".join(_autolink(token.content))
        elif token.type == "link_open":
            url = str(token.attrGet("href") or "")
            opening = "" if any(closing) else _link_tag(url)
            closing.append("</a>" if opening else "")
            yield opening
            if tokens[number + 1].type == "link_close":
                yield as_text(url[:_URL_SHOWN_CHARS])
        elif token.type == "link_close":
            yield closing.pop()
        else:
            yield _inline_tag(token)


def _inline_tag(token: Token) -> str:
    if token.type == "text_special":
        return as_text(token.content)
    if token.type == "code_inline":
        return f"<code>{as_text(token.content)}</code>"
    if token.type == "math_inline":
        return _inline_formula(token)
    if token.type == "math_open":
        return math_source(token.content)
    return _TAGS[token.type]


def _inline_formula(token: Token) -> str:
    mathml = to_mathml(token.content, display=token.markup in ("$$", "\\["))
    if mathml is not None:
        return mathml
    return math_source(token.markup + token.content + _MATH_ENDS[token.markup])


# ── Links ────────────────────────────────────────────────────────────────────────────────────

_URL_SHOWN_CHARS: Final = 120
_ALLOWED_URL: Final = re.compile(r"(?:https?://|mailto:)[!-~]+", re.IGNORECASE)
_BARE_URL: Final = re.compile(
    r"https?://[^\s<>\"'`|]{0,2000}[^\s<>\"'`|.,;:!?)\]}*_~…。，、）」』】]", re.IGNORECASE
)


def _link_tag(url: str) -> str:
    """Return the opening tag of a link, "" unless its address is http, https or mailto."""
    if not _ALLOWED_URL.fullmatch(url):
        return ""
    return f'<a href="{as_attribute(url)}" target="_blank" rel="noopener noreferrer nofollow">'


def _autolink(text: str) -> Iterator[str]:
    """Yield the text with bare addresses as links."""
    position = 0
    for match in _BARE_URL.finditer(text):
        end = match.end()
        # An address may end with its own bracket: …/wiki/Pipe_(Unix)
        if text[end : end + 1] == ")" and match.group().count("(") > match.group().count(")"):
            end += 1
        opening = _link_tag(parser().normalizeLink(text[match.start() : end]))
        yield as_text(text[position : match.start()])
        yield f"{opening}{as_text(text[match.start() : end])}{'</a>' if opening else ''}"
        position = end
    yield as_text(text[position:])


# ── The parser ───────────────────────────────────────────────────────────────────────────────


class _Parser(MarkdownIt):
    """Accepts every URL: `_link_tag` filters them, and the text of a rejected link stays."""

    def validateLink(self, url: str) -> bool:  # noqa: N802  (the library's name)
        return True


@lru_cache(maxsize=1)
def parser() -> _Parser:
    """Return the parser with all rules; it has no state between texts."""
    rules = _Parser("js-default", {"html": False, "maxNesting": NESTING_LIMIT})
    rules.disable(["image", "html_inline", "html_block", "linkify"])
    block, inline = rules.block.ruler, rules.inline.ruler
    interrupts: RuleOptionsType = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    block.at("fence", _fence, interrupts)
    block.at("table", _table, {"alt": ["paragraph", "reference"]})
    block.before("table", "too_deep", _too_deep)
    block.before("fence", "math_block", math_block, interrupts)
    inline.before("escape", "math_inline", math_inline)
    inline.before("link", "picture", _picture)
    inline.before("autolink", "break_tag", _break_tag)
    return rules


def _fence(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Apply the library's rule, and record whether the closing line is there."""
    if not fence_rule(state, start, end, silent):
        return False
    if not silent:
        token, last = state.tokens[-1], state.line - 1
        line = state.src[state.bMarks[last] + state.tShift[last] : state.eMarks[last]].rstrip(" \t")
        token.meta["closed"] = (
            last > start
            and len(line) >= len(token.markup)
            and not line.strip(token.markup[0])
            and not state.is_code_block(last)
        )
    return True


_NO_TABLE: Final = re.compile(r"#{1,6}(?:[ \t]|$)|```|~~~|\$\$|\\\[", re.MULTILINE)


def _table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Apply the library's rule, unless the first row is a heading, a fence or a formula.

    GFM requires this, and so does `renderer._settled`: the type of a line must not depend on the
    next one.
    """
    begin = state.bMarks[start] + state.tShift[start]
    if state.src.count("|", begin, state.eMarks[start]) > COLUMNS_LIMIT:
        return False
    if _NO_TABLE.match(state.src, begin) or not table_rule(state, start, end, True):
        return False
    return silent or table_rule(state, start, _table_end(state, start, end), False)


def _table_end(state: StateBlock, start: int, end: int) -> int:
    """Return the line where a table ends at the latest: see `PADDED_CELLS_LIMIT`."""
    columns = cells = _cells_at_most(state, start)
    padded = 0
    for line in range(start + 2, end):
        if state.isEmpty(line):
            return line
        width = min(columns, _cells_at_most(state, line))
        cells, padded = cells + width, padded + columns - width
        if padded > PADDED_CELLS_LIMIT + cells:
            return line
    return end


def _cells_at_most(state: StateBlock, line: int) -> int:
    return state.src.count("|", state.bMarks[line], state.eMarks[line]) + 1


def _too_deep(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Show content that the library would omit, beyond its nesting limit, as one paragraph."""
    if silent or state.level < NESTING_LIMIT - 4:
        return False
    last = start
    while last < end and (state.sCount[last] >= state.blkIndent or state.isEmpty(last)):
        last += 1
    last = max(last, start + 1)
    state.push("paragraph_open", "p", 1).map = [start, last]
    token = state.push("inline", "", 0)
    token.content = state.getLines(start, last, state.blkIndent, False).strip()
    token.map = [start, last]
    state.push("paragraph_close", "p", -1)
    state.line = last
    return True


def _picture(state: StateInline, silent: bool) -> bool:
    """Parse `![alt](address)` as a link with the alternative text: pictures are never loaded."""
    if not state.src.startswith("![", state.pos, state.posMax):
        return False
    state.pos += 1
    if link_rule(state, silent):
        return True
    state.pos -= 1
    return False


_BREAK: Final = re.compile(r"<br\s{0,3}/?>", re.IGNORECASE)


def _break_tag(state: StateInline, silent: bool) -> bool:
    """Parse `<br>`, the only way to break a line inside a table."""
    match = _BREAK.match(state.src, state.pos, state.posMax)
    if match is None:
        return False
    if not silent:
        state.push("hardbreak", "br", 0)
    state.pos = match.end()
    return True


# ── The end of a paragraph that is still growing ──────────────────────────────────────────────────

_INCOMPLETE_LINK: Final = re.compile(r"!?\[([^\[\]\n]{0,300})\]\([^()\s]{0,2000}$")
_INCOMPLETE_MARK: Final = re.compile(r"(?:(?<![^\s(\[\"'])[*_~`]{1,3}|!?\[|\\)$")
_CODE_SPAN: Final = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)
_BACKTICKS: Final = re.compile(r"`+")
_COMPLETE_LIMIT_CHARS: Final = 4_000


def _complete_marks(content: str) -> str:
    """Close open bold and code in a growing paragraph, and show an incomplete link as text."""
    if len(content) > _COMPLETE_LIMIT_CHARS:
        return content
    content = _INCOMPLETE_MARK.sub("", _INCOMPLETE_LINK.sub(r"\1", content)).rstrip()
    bare = _CODE_SPAN.sub("", content)
    if backticks := _BACKTICKS.search(bare):
        return content + backticks.group()
    for mark in ("**", "~~"):
        if bare.count(mark) % 2:
            content = content.removesuffix(mark[0]) + mark
    return content
