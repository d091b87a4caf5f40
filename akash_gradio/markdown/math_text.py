r"""LaTeX as a line of text, where a formula can't be drawn: `n(n+1)/2`, `x² ≤ √(a+b)`.

It is read from the MathML, so that it knows what the drawing knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final
from xml.etree.ElementTree import Element

from akash_gradio.markdown.math import drawn, text_of

_RAISED: Final = str.maketrans("0123456789+-−=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿⁱ")
_LOWERED: Final = str.maketrans("0123456789+-−=()", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎")
_ACCENTS: Final[Mapping[str, str]] = {
    **{"^": "\u0302", "~": "\u0303", "→": "\u20d7", "˙": "\u0307", "¨": "\u0308"},
    **dict.fromkeys("¯―‾", "\u0305"),
}
"""Above one character; above several they are left out."""
_DRAWN_ONLY: Final = str.maketrans({"∘": "°", "⏟": "", "⏞": ""})
_UNSEEN: Final = re.compile("[\u2061-\u2064]")
_RELATION: Final = re.compile("[=<>≠≡≈≃≅∼≤≥≪≫∈∉⊂⊆→←↔⇒⇐⇔↦|∣]|:=")
_SUM: Final = re.compile(r"[+\-−±\s=<>≤≥,;/]")
_BRACKETS: Final = re.compile(r"\([^()]*\)")
_ONE: Final = re.compile(r"\d+(?:[.,]\d+)?|[^\W\d_]+|.|\([^()]*\)")


def math_line(source: str) -> str:
    """The formula without its delimiters as text; the LaTeX itself where it can't be read."""
    return drawn(source, lambda root: " ".join(_said(root).split()), display=True) or source


def _said(element: Element) -> str:
    parts = [_said(child) for child in element]
    if element.get("linethickness") == "0":
        return " over ".join(parts)
    if (say := _BUILT.get(element.tag)) is not None:
        return say(parts)
    return _sign(element.tag, text_of(element)) + "".join(parts)


def _sign(tag: str, text: str) -> str:
    text = _UNSEEN.sub("", text)
    if tag == "mo" and _RELATION.fullmatch(text):
        return f" {text} "
    if tag == "mi" and len(text) > 1:  # a function's name
        return f" {text} "
    return " " if tag == "mspace" else text


def _fraction(parts: list[str]) -> str:
    above, below = parts
    sums = _SUM.search(_BRACKETS.sub("", above.strip()))
    return f"{f'({above.strip()})' if sums else above}/{_whole(below)}"


def _root(parts: list[str]) -> str:
    return f"√{_whole(''.join(parts))}"


def _other_root(parts: list[str]) -> str:
    return f"{_upper(['', parts[1]])}√{_whole(parts[0])}"


def _lower(parts: list[str]) -> str:
    return _at(parts[0], _script(parts[1], _LOWERED, "_"))


def _upper(parts: list[str]) -> str:
    if accent := _ACCENTS.get(parts[1].strip()):
        return parts[0] + accent * (len(parts[0]) == 1)
    return _at(parts[0], _script(parts[1], _RAISED, "^"))


def _both(parts: list[str]) -> str:
    return _upper([_lower(parts[:2]), parts[2]])


def _limits(parts: list[str]) -> str:
    return f"{_both(parts) if len(parts) == 3 else _lower(parts)} "


def _at(base: str, script: str) -> str:
    """The script at the base, before the space behind a function's name."""
    bare = base.rstrip()
    return bare + script + base[len(bare) :]


def _script(text: str, small: Mapping[int, int], mark: str) -> str:
    """In small characters where there are such, else behind the mark."""
    text = "".join(text.split()).translate(_DRAWN_ONLY)
    if not text.strip("′″*†∗°"):
        return text
    if len(text) <= 3 and all(ord(character) in small for character in text):
        return text.translate(small)
    return mark + (text if len(text) == 1 else _whole(text) if mark == "_" else f"({text})")


def _whole(text: str) -> str:
    """In brackets, unless it holds together anyhow."""
    text = text.strip()
    return text if _ONE.fullmatch(text) else f"({text})"


_BUILT: Final[Mapping[str, Callable[[list[str]], str]]] = {
    "mfrac": _fraction,
    "msqrt": _root,
    "mroot": _other_root,
    "msub": _lower,
    "munder": _limits,
    "msup": _upper,
    "mover": _upper,
    "msubsup": _both,
    "munderover": _limits,
    "mtr": " ".join,
    "mtable": "; ".join,
    "mphantom": lambda _parts: "",
}
