from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from akash_gradio.markdown.math_text import math_line
from akash_gradio.markdown.renderer import plain_text


@pytest.mark.parametrize(
    ("latex", "line"),
    [
        (r"\frac{1}{2}", "1/2"),
        (r"\frac{n(n+1)}{2}", "n(n+1)/2"),
        (r"\frac{a+b}{2c}", "(a+b)/(2c)"),
        (r"\frac{\frac{a}{b}}{c}", "(a/b)/c"),
        (r"\text{speed} = \frac{\text{distance}}{\text{time}}", "speed = distance/time"),
        (r"x = \frac{-b \pm \sqrt{b^2-4ac}}{2a}", "x = (−b±√(b²−4ac))/(2a)"),
        (r"x_1^2 + y^{10} \le r^n", "x₁²+y¹⁰ ≤ rⁿ"),
        (r"e^{i\pi} + 1 = 0", "e^(iπ)+1 = 0"),
        (r"\sum_{k=0}^{n} k", "∑_(k=0)ⁿ k"),
        (r"\lim_{x \to 0} f'(x)", "lim_(x→0) f′(x)"),
        (r"O(n \log_2 n)", "O(n log₂ n)"),
        (r"\sqrt[3]{8} \ne 90^\circ", "³√8 ≠ 90°"),
        (r"\hat{y}, \vec{v}, \overline{AB}", "y\u0302,v\u20d7,AB"),
        (r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}", "(a b; c d)"),
        (r"\binom{n}{k}", "(n over k)"),
        (r"\underbrace{a+b}_{n}", "a+b_n"),
    ],
)
def test_a_formula_becomes_readable_text(latex: str, line: str) -> None:
    assert math_line(latex) == line


@pytest.mark.parametrize(
    "source", [r"\unknown{x}", r"\frac{1}", r"\def\a{b}", "{" * 300 + "}" * 300, "x" * 4_000, " "]
)
def test_unsupported_latex_stays_as_it_is(source: str) -> None:
    assert math_line(source) == source


PIECES = (
    *(r"\frac", r"\sqrt", r"\sqrt[3]", r"\sum", r"\hat", r"\binom", r"\text", r"\log", r"\mathbb"),
    *("_", "^", "{", "}", "{a}", "{b+1}", "x", "2", "=", "&", r"\\", "'", " ", r"\begin{matrix}"),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_any_latex_becomes_one_line(source: str) -> None:
    assert "\n" not in math_line(source)


def test_the_plain_text_of_an_answer_contains_its_formulas() -> None:
    answer = "The sum is $\\frac{n(n+1)}{2}$, so:\n\n$$S = n^2$$\n\nIt costs $5, not `$x^2$`."
    assert plain_text(answer) == "The sum is n(n+1)/2, so: S = n² It costs $5, not $x^2$."
