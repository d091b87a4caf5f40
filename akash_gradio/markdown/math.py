r"""LaTeX in an answer: what counts as math, and its MathML.

Blocks: `$$ … $$` and `\[ … \]` that begin and end a line. In a line: `\( … \)`, the two above,
and `$ … $` where it cannot be a price. `latex2mathml` converts; its output is not trusted but
rebuilt from a list of MathML elements and attributes, and what it does not know stays LaTeX.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from xml.etree.ElementTree import Element

from latex2mathml.converter import convert_to_element
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

from akash_gradio.markdown.sanitize import as_attribute, as_text

LIMIT_CHARS: Final = 3_000
LIMIT_LINES: Final = 60
"""Longer formulas are shown as source. Both also bound how far a closing mark is sought."""

_ELEMENT: Final = re.compile(
    "math|menclose|mfrac|mi|mmultiscripts|mn|mo|mover|mpadded|mphantom|mprescripts|mroot|mrow|ms|"
    "mspace|msqrt|mstyle|msub|msubsup|msup|mtable|mtd|mtext|mtr|munder|munderover|none"
)
# Lengths that stay inside the formula: an answer must not draw over the page.
_LENGTH: Final = r"(?:[+-]?(?:\d?\.\d{1,4}|\d)(?:em|ex)|[+-]?\d?\d(?:px|pt)|0)"
_ATTRIBUTE: Final = re.compile(
    "(?:accent|accentunder|columnalign|columnlines|display|displaystyle|fence|form|largeop|"
    "mathvariant|movablelimits|notation|rowlines|separator|stretchy|symmetric)=[a-z][a-z -]{0,60}|"
    "(?:depth|height|linethickness|lspace|maxsize|minsize|rspace|voffset|width)=" + _LENGTH + "|"
    f"(?:columnspacing|rowspacing)={_LENGTH}(?: {_LENGTH}){{0,40}}|"
    r"scriptlevel=[+-]?\d"
)
# Macros can grow without end, \sideset doubles at each level, links and styles are not math.
_REFUSED: Final = re.compile(
    r"\\(?:def|newcommand|renewcommand|providecommand|newenvironment|DeclareMathOperator|sideset|"
    r"href|style|class|verb|unicode)(?![A-Za-z])"
)
_ENTITY: Final = re.compile(r"&#x([0-9A-Fa-f]{1,6});")
_ROW_GAP: Final = re.compile(r"\\\\\s*\[\s*-?[\d.]+\s*[a-z]{2}\s*\]")
_ENVIRONMENT: Final = re.compile(
    r"\\(begin|end)\{(aligned|alignedat|eqnarray\*?|flalign\*?|gather\*?|gathered|multline\*?|"
    r"equation\*?|displaymath|math)\}"
)
_FUNCTION: Final = re.compile(r"<mi>([A-Za-z]{2,})</mi>(<mo[^>]*>\()?")
_THIN: Final = "0.167em"
_LIMIT: Final = re.compile(r"\\(lim|max|min|sup|inf|limsup|liminf)\s*_")


def to_mathml(source: str, *, display: bool) -> str | None:
    r"""MathML for the LaTeX, or None when it should be shown as source instead.

    source: without its delimiters. display: as a block of its own, `\sum` with limits above.
    """
    return drawn(source, lambda root: _FUNCTION.sub(_spaced, safe_mathml(root)), display=display)


def drawn(source: str, draw: Callable[[Element], str], *, display: bool) -> str | None:
    """What `draw` makes of the LaTeX, None where that is refused, or is none. See `to_mathml`."""
    if not source.strip() or len(source) > LIMIT_CHARS or _REFUSED.search(source):
        return None
    # The converter's errors have no common root, and it runs out of stack on deep nesting.
    try:
        shown = "block" if display else "inline"
        return draw(convert_to_element(_known(source, display), display=shown))
    except Exception:
        return None


def _spaced(match: re.Match[str]) -> str:
    """A function's name as an operator, so that `n log n` is not drawn as `nlogn`."""
    name, bracket = match.groups(default="")
    behind = "0" if bracket else _THIN
    return f'<mo lspace="{_THIN}" rspace="{behind}">{name}</mo>{bracket}'


def math_source(source: str) -> str:
    """The LaTeX itself, quietly: for what cannot be drawn, or is not finished."""
    return f'<code class="math-source">{as_text(source)}</code>'


def _known(source: str, display: bool) -> str:
    """The source with the environments and limits that `latex2mathml` lacks in its own terms."""
    source = _ENVIRONMENT.sub(_environment, _ROW_GAP.sub(r"\\\\", source))
    return _LIMIT.sub(r"\\\1\\limits_", source) if display else source


def _environment(match: re.Match[str]) -> str:
    side, name = match.group(1), match.group(2).rstrip("*")
    if name in ("equation", "displaymath", "math"):
        return ""
    return f"\\{side}{{{'matrix' if name in ('gather', 'gathered', 'multline') else 'align*'}}}"


def safe_mathml(element: Element) -> str:
    """The element as HTML, from listed names only. Its text has entities and raw characters.

    Raises ValueError for an element that is not MathML and for LaTeX left in it.
    """
    tag, text = element.tag, text_of(element)
    attributes = "".join(
        f' {name}="{as_attribute(value)}"'
        for name, value in element.attrib.items()
        if _ATTRIBUTE.fullmatch(f"{name}={value}")
    )
    return f"<{tag}{attributes}>{as_text(text)}{''.join(map(safe_mathml, element))}</{tag}>"


def text_of(element: Element) -> str:
    """Its own text in characters. Raises ValueError as `safe_mathml` does."""
    tag, text = element.tag, _ENTITY.sub(_character, element.text or "")
    # An unknown command comes back as its own name, a stray alignment mark as itself.
    if not _ELEMENT.fullmatch(tag) or (tag != "mtext" and (text.startswith("\\") or text == "&")):
        raise ValueError(tag)
    return text


def _character(match: re.Match[str]) -> str:
    number = int(match.group(1), 16)
    return chr(number) if number <= 0x10FFFF else "\ufffd"


_CLOSERS: Final = {"$$": re.compile(r"\$\$"), "\\[": re.compile(r"(?<!\\)\\\]")}
_REOPENED: Final = re.compile(r"(?<!\\)\\\[")


def math_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    r"""A block rule: `$$ … $$` (no blank line inside, as in LaTeX) and `\[ … \]`.

    When the text ends before it is decided and `env["growing"]` is set, all the rest is one
    `math_open` token: nothing after it can be taken for settled.
    """
    if state.is_code_block(start):
        return False
    at = state.bMarks[start] + state.tShift[start]
    opener = state.src[at : at + 2]
    if opener not in _CLOSERS or state.src.startswith("$$$", at):
        return False
    last, closed = _closing_line(state, start, end, at + 2, opener)
    if last is None:
        return False
    if not closed and not state.env.get("growing"):
        return False
    if not silent:
        _push_block(state, start, last, opener if closed else "")
    return True


def _closing_line(
    state: StateBlock, start: int, end: int, after: int, opener: str
) -> tuple[int | None, bool]:
    """The line that closes the block and True; the text's last and False; None when none will."""
    for line in range(start, min(end, start + LIMIT_LINES)):
        begin = after if line == start else state.bMarks[line] + state.tShift[line]
        text = state.src[begin : state.eMarks[line]].rstrip(" \t")
        if line > start and _breaks_off(state, line, text, opener):
            return None, False
        if found := _CLOSERS[opener].search(text):
            empty = line == start and not text[: found.start()].strip()
            return (line, True) if found.end() == len(text) and not empty else (None, False)
    document_end = len(state.bMarks) - 1
    if end == document_end and document_end - start <= LIMIT_LINES:
        return document_end - 1, False
    return None, False


def _breaks_off(state: StateBlock, line: int, text: str, opener: str) -> bool:
    if not text:
        return opener == "$$"
    if state.sCount[line] < state.blkIndent or text.startswith(("```", "~~~")):
        return True
    return opener == "\\[" and _REOPENED.search(text) is not None


def _push_block(state: StateBlock, start: int, last: int, opener: str) -> None:
    source = state.getLines(start, last + 1, state.sCount[start], False).strip()
    token = state.push("math_block" if opener else "math_open", "", 0)
    token.content = source[2:-2] if opener else source
    token.markup = opener
    token.map = [start, last + 1]
    state.line = last + 1


_INLINE: Final = {"\\(": "\\)", "\\[": "\\]", "$$": "$$"}
_DOLLAR: Final = re.compile(r"\$((?:[^$\\\n`]|\\[^\n]){1,400})\$")
_ASCII_WORD: Final = re.compile(r"[A-Za-z0-9]")
_ORDINAL: Final = re.compile(r"(?:th|st|nd|rd|s)(?![A-Za-z0-9])")
_COMMAND: Final = re.compile(r"\\[A-Za-z]+\s*(?:\{[^{}]*\})?")
_PRICE: Final = re.compile(r"[\d.,]*\d[kKmMbB]?[\s,;–—-]+[A-Za-z]{2,}")
_PROSE: Final = re.compile(r"[A-Za-z]{3,}[,;:.]?\s+[A-Za-z]{2,}")


def math_inline(state: StateInline, silent: bool) -> bool:
    r"""An inline rule: `\( … \)`, `\[ … \]`, `$$ … $$` and a guarded `$ … $`.

    With `env["open_end"]` an opener that is not closed makes the rest a `math_open` token.
    """
    mark = state.src[state.pos : state.pos + 2]
    if mark in _INLINE:
        return _delimited(state, mark, silent)
    if mark[:1] != "$":
        return False
    content = _dollars(state.src, state.pos, state.posMax)
    if content is None:
        return False
    if not silent:
        _push_inline(state, "math_inline", content, "$")
    state.pos += len(content) + 2
    return True


def _delimited(state: StateInline, opener: str, silent: bool) -> bool:
    begin = state.pos + 2
    limit = min(state.posMax, begin + LIMIT_CHARS)
    end = state.src.find(_INLINE[opener], begin, limit)
    while end > 0 and opener != "$$" and state.src[end - 1] == "\\":
        end = state.src.find(_INLINE[opener], end + 1, limit)
    if end < 0:
        return _left_open(state, begin, limit, silent)
    if not state.src[begin:end].strip():
        return False
    if not silent:
        _push_inline(state, "math_inline", state.src[begin:end], opener)
    state.pos = end + 2
    return True


def _left_open(state: StateInline, begin: int, limit: int, silent: bool) -> bool:
    grows = state.env.get("open_end") and not silent and state.level == 0
    if not grows or limit < state.posMax or begin == limit:
        return False
    _push_inline(state, "math_open", state.src[state.pos : state.posMax], "")
    state.pos = state.posMax
    return True


def _push_inline(state: StateInline, kind: str, content: str, markup: str) -> None:
    token = state.push(kind, "", 0)
    token.content, token.markup = content, markup


def _dollars(src: str, at: int, end: int) -> str | None:
    """What stands between this dollar and the next, when it is math and not money or a variable."""
    if at and (_ASCII_WORD.match(src[at - 1]) or src[at - 1] == "$"):
        return None
    match = _DOLLAR.match(src, at, end)
    if match is None:
        return None
    content, after = match.group(1), src[match.end() : min(end, match.end() + 4)]
    if content[0].isspace() or content[-1].isspace() or after[:1] == "$":
        return None
    if _ASCII_WORD.match(after) and not _ORDINAL.match(after):
        return None
    bare = _COMMAND.sub(" x ", content)
    return None if _PRICE.match(bare) or _PROSE.search(bare) else content
