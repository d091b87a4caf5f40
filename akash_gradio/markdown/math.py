r"""Finds LaTeX in an answer and converts it to MathML.

Blocks: `$$ … $$` and `\[ … \]` that begin and end a line. Inline: `\( … \)`, the two above, and
`$ … $` where it cannot be a price. `latex2mathml` converts; its output is not trusted, but rebuilt
from a list of MathML elements and attributes. LaTeX that it does not support stays as it is.
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
"""Longer formulas are shown as source. Both also limit the search for a closing mark."""

_ELEMENT: Final = re.compile(
    "math|menclose|mfrac|mi|mmultiscripts|mn|mo|mover|mpadded|mphantom|mprescripts|mroot|mrow|ms|"
    "mspace|msqrt|mstyle|msub|msubsup|msup|mtable|mtd|mtext|mtr|munder|munderover|none"
)
# Lengths that stay inside the formula: an answer must not cover other parts of the page.
_LENGTH: Final = r"(?:[+-]?(?:\d?\.\d{1,4}|\d)(?:em|ex)|[+-]?\d?\d(?:px|pt)|0)"
_ATTRIBUTE: Final = re.compile(
    "(?:accent|accentunder|columnalign|columnlines|display|displaystyle|fence|form|largeop|"
    "mathvariant|movablelimits|notation|rowlines|separator|stretchy|symmetric)=[a-z][a-z -]{0,60}|"
    "(?:depth|height|linethickness|lspace|maxsize|minsize|rspace|voffset|width)=" + _LENGTH + "|"
    f"(?:columnspacing|rowspacing)={_LENGTH}(?: {_LENGTH}){{0,40}}|"
    r"scriptlevel=[+-]?\d"
)
# Macros can grow without limit, \sideset doubles at each level, links and styles are not math.
_UNSUPPORTED: Final = re.compile(
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
_THIN_SPACE: Final = "0.167em"
_LIMIT: Final = re.compile(r"\\(lim|max|min|sup|inf|limsup|liminf)\s*_")


def to_mathml(source: str, *, display: bool) -> str | None:
    r"""Convert LaTeX to MathML.

    Args:
        source: The LaTeX without its delimiters.
        display: Whether it is a block, with the limits of `\sum` above and below.

    Returns:
        MathML, or None if the source should be shown instead.
    """
    return convert(
        source, lambda root: _FUNCTION.sub(_space_function, safe_mathml(root)), display=display
    )


def convert(source: str, serialize: Callable[[Element], str], *, display: bool) -> str | None:
    """Convert LaTeX to MathML and serialize it.

    Args:
        source: The LaTeX without its delimiters.
        serialize: Returns the text of the MathML; it may raise any error.
        display: Whether it is a block.

    Returns:
        The result of `serialize`, or None for LaTeX that isn't supported.
    """
    if not source.strip() or len(source) > LIMIT_CHARS or _UNSUPPORTED.search(source):
        return None
    # The converter's errors have no common base class, and deep nesting exhausts the stack.
    try:
        kind = "block" if display else "inline"
        return serialize(convert_to_element(_replace_unknown(source, display), display=kind))
    except Exception:
        return None


def _space_function(match: re.Match[str]) -> str:
    """Mark a function's name as an operator, so that `n log n` does not look like `nlogn`."""
    name, bracket = match.groups(default="")
    space_after = "0" if bracket else _THIN_SPACE
    return f'<mo lspace="{_THIN_SPACE}" rspace="{space_after}">{name}</mo>{bracket}'


def math_source(source: str) -> str:
    """Show the LaTeX itself, if it can't be converted or is incomplete."""
    return f'<code class="math-source">{as_text(source)}</code>'


def _replace_unknown(source: str, display: bool) -> str:
    """Replace environments and limits that `latex2mathml` lacks by those that it has."""
    source = _ENVIRONMENT.sub(_environment, _ROW_GAP.sub(r"\\\\", source))
    return _LIMIT.sub(r"\\\1\\limits_", source) if display else source


def _environment(match: re.Match[str]) -> str:
    side, name = match.group(1), match.group(2).rstrip("*")
    if name in ("equation", "displaymath", "math"):
        return ""
    return f"\\{side}{{{'matrix' if name in ('gather', 'gathered', 'multline') else 'align*'}}}"


def safe_mathml(element: Element) -> str:
    """Serialize an element with listed names only; its text contains entities and raw characters.

    Raises:
        ValueError: The element is not MathML, or LaTeX is left in it.
    """
    tag, text = element.tag, element_text(element)
    attributes = "".join(
        f' {name}="{as_attribute(value)}"'
        for name, value in element.attrib.items()
        if _ATTRIBUTE.fullmatch(f"{name}={value}")
    )
    return f"<{tag}{attributes}>{as_text(text)}{''.join(map(safe_mathml, element))}</{tag}>"


def element_text(element: Element) -> str:
    """Return an element's own text, or raise ValueError as `safe_mathml` does."""
    tag, text = element.tag, _ENTITY.sub(_character, element.text or "")
    # An unknown command is returned as its own name, a stray alignment mark as itself.
    if not _ELEMENT.fullmatch(tag) or (tag != "mtext" and (text.startswith("\\") or text == "&")):
        raise ValueError(tag)
    return text


def _character(match: re.Match[str]) -> str:
    number = int(match.group(1), 16)
    return chr(number) if number <= 0x10FFFF else "\ufffd"


_CLOSERS: Final = {"$$": re.compile(r"\$\$"), "\\[": re.compile(r"(?<!\\)\\\]")}
_REOPENED: Final = re.compile(r"(?<!\\)\\\[")


def math_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    r"""Parse a block `$$ … $$` (without blank lines, as in LaTeX) or `\[ … \]`.

    If the text ends before the block does, and `env["growing"]` is set, the rest is one
    `math_open` token: nothing after it can be settled.
    """
    if state.is_code_block(start):
        return False
    begin = state.bMarks[start] + state.tShift[start]
    opener = state.src[begin : begin + 2]
    if opener not in _CLOSERS or state.src.startswith("$$$", begin):
        return False
    last, closed = _closing_line(state, start, end, begin + 2, opener)
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
    """Return the closing line and True, or the last line of an open block and False.

    The line is None if this is no block.
    """
    for line in range(start, min(end, start + LIMIT_LINES)):
        begin = after if line == start else state.bMarks[line] + state.tShift[line]
        text = state.src[begin : state.eMarks[line]].rstrip(" \t")
        if line > start and _ends_without_closing(state, line, text, opener):
            return None, False
        if closer := _CLOSERS[opener].search(text):
            empty = line == start and not text[: closer.start()].strip()
            return (line, True) if closer.end() == len(text) and not empty else (None, False)
    document_end = len(state.bMarks) - 1
    if end == document_end and document_end - start <= LIMIT_LINES:
        return document_end - 1, False
    return None, False


def _ends_without_closing(state: StateBlock, line: int, text: str, opener: str) -> bool:
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
    r"""Parse inline math: `\( … \)`, `\[ … \]`, `$$ … $$`, and `$ … $` unless it is a price.

    With `env["open_end"]` the text after an unclosed opener is one `math_open` token.
    """
    mark = state.src[state.pos : state.pos + 2]
    if mark in _INLINE:
        return _parse_delimited(state, mark, silent)
    if mark[:1] != "$":
        return False
    content = _dollar_content(state.src, state.pos, state.posMax)
    if content is None:
        return False
    if not silent:
        _push_inline(state, "math_inline", content, "$")
    state.pos += len(content) + 2
    return True


def _parse_delimited(state: StateInline, opener: str, silent: bool) -> bool:
    begin = state.pos + 2
    limit = min(state.posMax, begin + LIMIT_CHARS)
    end = state.src.find(_INLINE[opener], begin, limit)
    while end > 0 and opener != "$$" and state.src[end - 1] == "\\":
        end = state.src.find(_INLINE[opener], end + 1, limit)
    if end < 0:
        return _push_open(state, begin, limit, silent)
    if not state.src[begin:end].strip():
        return False
    if not silent:
        _push_inline(state, "math_inline", state.src[begin:end], opener)
    state.pos = end + 2
    return True


def _push_open(state: StateInline, begin: int, limit: int, silent: bool) -> bool:
    growing = state.env.get("open_end") and not silent and state.level == 0
    if not growing or limit < state.posMax or begin == limit:
        return False
    _push_inline(state, "math_open", state.src[state.pos : state.posMax], "")
    state.pos = state.posMax
    return True


def _push_inline(state: StateInline, kind: str, content: str, markup: str) -> None:
    token = state.push(kind, "", 0)
    token.content, token.markup = content, markup


def _dollar_content(src: str, start: int, end: int) -> str | None:
    """Return the text up to the next dollar sign, or None if it is a price or a variable."""
    if start and (_ASCII_WORD.match(src[start - 1]) or src[start - 1] == "$"):
        return None
    match = _DOLLAR.match(src, start, end)
    if match is None:
        return None
    content, after = match.group(1), src[match.end() : min(end, match.end() + 4)]
    if content[0].isspace() or content[-1].isspace() or after[:1] == "$":
        return None
    if _ASCII_WORD.match(after) and not _ORDINAL.match(after):
        return None
    bare = _COMMAND.sub(" x ", content)
    return None if _PRICE.match(bare) or _PROSE.search(bare) else content
