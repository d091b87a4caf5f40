r"""LaTeX as a line of text, for titles and announcements: `n(n+1)/2`, `x² ≤ √(a+b)`.

It is made from the MathML, so both support the same LaTeX.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final
from xml.etree.ElementTree import Element

from akash_gradio.markdown.math import convert, element_text

_SUPERSCRIPTS: Final = str.maketrans("0123456789+-−=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿⁱ")
_SUBSCRIPTS: Final = str.maketrans("0123456789+-−=()", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎")
_ACCENTS: Final[Mapping[str, str]] = {
    **{"^": "\u0302", "~": "\u0303", "→": "\u20d7", "˙": "\u0307", "¨": "\u0308"},
    **dict.fromkeys("¯―‾", "\u0305"),
}
"""Combining characters for accents above one character; above several they are omitted."""
_DECORATIONS: Final = str.maketrans({"∘": "°", "⏟": "", "⏞": ""})
_INVISIBLE: Final = re.compile("[\u2061-\u2064]")
_RELATION: Final = re.compile("[=<>≠≡≈≃≅∼≤≥≪≫∈∉⊂⊆→←↔⇒⇐⇔↦|∣]|:=")
_SUM: Final = re.compile(r"[+\-−±\s=<>≤≥,;/]")
_BRACKETS: Final = re.compile(r"\([^()]*\)")
_ATOM: Final = re.compile(r"\d+(?:[.,]\d+)?|[^\W\d_]+|.|\([^()]*\)")


def math_line(source: str) -> str:
    """Return a formula as text, or its LaTeX if that is not supported.

    Args:
        source: The LaTeX without its delimiters.
    """
    return convert(source, lambda root: " ".join(_text(root).split()), display=True) or source


def _text(element: Element) -> str:
    parts = [_text(child) for child in element]
    if element.get("linethickness") == "0":
        return " over ".join(parts)
    if (build := _BUILDERS.get(element.tag)) is not None:
        return build(parts)
    return _symbol(element.tag, element_text(element)) + "".join(parts)


def _symbol(tag: str, text: str) -> str:
    text = _INVISIBLE.sub("", text)
    if tag == "mo" and _RELATION.fullmatch(text):
        return f" {text} "
    if tag == "mi" and len(text) > 1:  # a function's name
        return f" {text} "
    return " " if tag == "mspace" else text


def _fraction(parts: list[str]) -> str:
    above, below = parts
    sums = _SUM.search(_BRACKETS.sub("", above.strip()))
    return f"{f'({above.strip()})' if sums else above}/{_in_brackets(below)}"


def _root(parts: list[str]) -> str:
    return f"√{_in_brackets(''.join(parts))}"


def _nth_root(parts: list[str]) -> str:
    return f"{_superscript(['', parts[1]])}√{_in_brackets(parts[0])}"


def _subscript(parts: list[str]) -> str:
    return _attach(parts[0], _script(parts[1], _SUBSCRIPTS, "_"))


def _superscript(parts: list[str]) -> str:
    if accent := _ACCENTS.get(parts[1].strip()):
        return parts[0] + accent * (len(parts[0]) == 1)
    return _attach(parts[0], _script(parts[1], _SUPERSCRIPTS, "^"))


def _both_scripts(parts: list[str]) -> str:
    return _superscript([_subscript(parts[:2]), parts[2]])


def _limits(parts: list[str]) -> str:
    return f"{_both_scripts(parts) if len(parts) == 3 else _subscript(parts)} "


def _attach(base: str, script: str) -> str:
    """Attach a script to its base, before the space after a function's name."""
    bare = base.rstrip()
    return bare + script + base[len(bare) :]


def _script(text: str, small: Mapping[int, int], mark: str) -> str:
    """Return a script in small characters where they exist, else after the mark."""
    text = "".join(text.split()).translate(_DECORATIONS)
    if not text.strip("′″*†∗°"):
        return text
    if len(text) <= 3 and all(ord(character) in small for character in text):
        return text.translate(small)
    return mark + (text if len(text) == 1 else _in_brackets(text) if mark == "_" else f"({text})")


def _in_brackets(text: str) -> str:
    """Put the text in brackets, unless it is a single term."""
    text = text.strip()
    return text if _ATOM.fullmatch(text) else f"({text})"


_BUILDERS: Final[Mapping[str, Callable[[list[str]], str]]] = {
    "mfrac": _fraction,
    "msqrt": _root,
    "mroot": _nth_root,
    "msub": _subscript,
    "munder": _limits,
    "msup": _superscript,
    "mover": _superscript,
    "msubsup": _both_scripts,
    "munderover": _limits,
    "mtr": " ".join,
    "mtable": "; ".join,
    "mphantom": lambda _parts: "",
}
