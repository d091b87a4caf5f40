from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from akash_gradio.domain.size_limits import FORMATTED_COST_CHARACTERS
from akash_gradio.markdown.code import CLASSES, CODE_TAIL, HIGHLIGHT_LIMIT_CHARS, LEXERS, highlight
from akash_gradio.markdown.math import LIMIT_CHARS, safe_mathml, to_mathml
from akash_gradio.markdown.renderer import GrowingMarkdown, Patch, plain_text, render
from akash_gradio.markdown.sanitize import as_attribute, as_text, visible

HOSTILE = sorted((Path(__file__).parent / "hostile").glob("*.md"))

# ── Allowed HTML ──────────────────────────────────────────────────────────────────────────────

DIRECTION = {"dir": r"auto"}
CELL = DIRECTION | {"class": r"align-(left|center|right)"}
TAGS: dict[str, dict[str, str]] = {
    **dict.fromkeys(("p", "li", "h3", "h4", "h5", "h6"), DIRECTION),
    **dict.fromkeys(("th", "td"), CELL),
    **{tag: {} for tag in ("ul", "blockquote", "hr", "br", "em", "strong", "s")},
    **{tag: {} for tag in ("table", "thead", "tbody", "tr")},
    "ol": {"start": r"\d{1,9}"},
    "a": {
        "href": r"(?i:https?://|mailto:)[!-~]+",
        "target": "_blank",
        "rel": "noopener noreferrer nofollow",
    },
    "div": {
        "class": "code|code-head|table-scroll|math-block",
        "tabindex": "0",
        "role": "region",
        "aria-label": "Table",
    },
    "ag-diagram": {"data-growing": ""},
    "button": {"type": "button", "class": "code-copy", "data-copy": "", "data-save": ""},
    "pre": {"tabindex": "0"},
    "code": {"class": r"language-[a-z][\w+#.-]*|math-source"},
    "span": {"class": r"code-lang|hl-[a-z]"},
}
MATHML = re.compile(r"math|m[a-z]+|none")
MATHML_VALUE = re.compile(r"[a-z0-9. +-]*")
VOID = {"br", "hr"}


class PageCheck(HTMLParser):
    """Fails on a tag, attribute or value that is not allowed, and on wrong nesting."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.shown: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in TAGS:
            for name, value in attrs:
                assert name in TAGS[tag], f"{name} on {tag}"
                assert re.fullmatch(TAGS[tag][name], value or ""), f"{name}={value!r} on {tag}"
        else:
            assert MATHML.fullmatch(tag), tag
            assert "math" in [*self.open, tag], f"{tag} outside math"
            for name, value in attrs:
                assert name not in {"style", "href", "class", "id"}, name
                assert not name.startswith("on"), name
                assert MATHML_VALUE.fullmatch(value or ""), f"{name}={value!r}"
        if tag == "a":
            assert "a" not in self.open, "a link in a link"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.shown.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError("a declaration")

    def handle_pi(self, data: str) -> None:
        raise AssertionError("a processing instruction")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError("a declaration")


ACTS_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]|[\ud800-\udfff]")


def text_on_page(html: str) -> str:
    """Return the text of the HTML, which must be safe."""
    check = PageCheck()
    check.feed(html)
    check.close()
    assert check.open == []
    shown = "".join(check.shown)
    assert not ACTS_UNSEEN.search(shown)
    return shown


def page(text: str) -> str:
    html = "".join(render(text))
    text_on_page(html)
    return html


def applied(blocks: list[str], patch: Patch | None) -> list[str]:
    if patch is None:
        return blocks
    assert patch.keep <= len(blocks)
    kept = blocks[: patch.keep]
    return kept + list(patch.blocks)


def grown(chunks: list[str]) -> list[str]:
    growing = GrowingMarkdown()
    blocks: list[str] = []
    for chunk in chunks:
        growing.add(chunk)
        blocks = applied(blocks, growing.patch())
    assert growing.text == "".join(chunks)
    return applied(blocks, growing.finish())


# ── Properties ───────────────────────────────────────────────────────────────────────────────

PIECES = [
    *(
        "\n",
        "\n\n",
        "\n\n\n",
        " ",
        "  ",
        "    ",
        "\t",
        "\r",
        "\r\n",
        "\\",
        "|",
        "a",
        "b c",
        "word ",
    ),
    *("- ", "* ", "+ ", "1. ", "2) ", "10. ", "> ", "# ", "## ", "---", "===", "***", "[ ] "),
    *(
        "```",
        "```python\n",
        "~~~",
        "`",
        "``",
        "````",
        "\n```\n",
        "    code\n",
        "def f(): 'x' # y\n",
    ),
    *("**", "*", "_", "__", "~~", "**bold** ", "[", "]", "](", ")", "[a](http://x.y)", "![i](z)"),
    *("[a]: http://x.y\n", "[a]", "[a]: ", "'title", '"t"', "<http://x.y>", "http://x.y/z_(q)"),
    *("| a | b |\n|---|---|\n", "|--|:-:|\n", "a | b\n", "| 1 | 2 |\n", "--|--\n", "<br>"),
    *("$$", "$$\n", "\n$$\n", "\\[", "\n\\[\n", "\\]", "\n\\]\n", "\\(", "\\)", "$", "$x$", "$5 "),
    *("\\frac{1}{2}", "\\begin{aligned}a&=b\\\\c&=d\\end{aligned}", "x^2", "<script>", "-->"),
    *("<b onclick=x>", "javascript:alert(1)", "&lt;", "&#x202e;", "&#0;", "&amp;", "\x00"),
    *("\x1b[31m", "\u202e", "é", "日本", "\ud83d", "\ude00", "مرحبا", "😀"),
]
ANSWERS = st.lists(st.sampled_from(PIECES) | st.text(max_size=6), max_size=40)
LINES = st.lists(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=3).map("".join), max_size=25
).map(lambda lines: [line + "\n" for line in lines])


def rechunked(text: str, cuts: list[int]) -> list[str]:
    chunks: list[str] = []
    at = 0
    for cut in cuts:
        chunks.append(text[at : at + cut])
        at += cut
    return [*chunks, text[at:]]


@settings(max_examples=400, deadline=None)
@given(ANSWERS | LINES)
def test_the_patches_end_with_the_rendering_of_the_whole_text(chunks: list[str]) -> None:
    assert grown(chunks) == list(render("".join(chunks)))


@settings(max_examples=200, deadline=None)
@given(LINES, st.lists(st.integers(1, 7), max_size=200))
def test_the_result_does_not_depend_on_how_the_text_is_cut(
    lines: list[str], cuts: list[int]
) -> None:
    text = "".join(lines)
    assert grown(rechunked(text, cuts)) == list(render(text))


@settings(max_examples=200, deadline=None)
@given(ANSWERS | LINES)
def test_the_html_is_safe_after_every_patch(chunks: list[str]) -> None:
    growing = GrowingMarkdown()
    blocks: list[str] = []
    for chunk in chunks:
        growing.add(chunk)
        blocks = applied(blocks, growing.patch())
        text_on_page("".join(blocks))


@settings(max_examples=300, deadline=None)
@given(st.text() | ANSWERS.map("".join))
def test_any_text_becomes_safe_html(text: str) -> None:
    page(text)
    assert "\n" not in plain_text(text)
    assert not ACTS_UNSEEN.search(plain_text(text))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=5)).map("".join))
def test_any_latex_becomes_safe_mathml_or_none(source: str) -> None:
    text_on_page(to_mathml(source, display=True) or "")


@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: path.stem)
def test_the_hostile_corpus_is_safe_whole_and_growing(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    page(text)
    assert grown([text[at : at + 9] for at in range(0, len(text), 9)]) == list(render(text))
    assert grown(list(text)) == list(render(text))


@pytest.mark.parametrize(
    "chunks",
    [
        ["a\r", "\nb"],
        ["a\ud83d", "\ude00", "\ud83d", "b"],
        ["# a | b\n", "--|--\n"],
        ["``` a | b\n", "--|--\n"],
        ["a\n", "---\n", "b\n", "---", "c\n"],
        ["- a\n\n", "b\n\n", "  c\n\n", "- d\n"],
        ["| a |\n", "|--|\n", "b\n", "\n", "c\n\nd"],
        ["- [x] a\n\n", "[x] a\n"],
        ["\\[\n\na\n\n", "b\n\n", "\\]\n", "c"],
        ["\\[\n\na\n\n", "# b\n\n", "\\[\n", "c"],
        ["```\na\n``", "` b\n", "```", "\n", "c"],
        ["~~~\n", "```\n", "~~~~\n", "a"],
        ["```\na\n    ```\n", "b\n"],
        ["- ```\n  a\n```\n", "b\n"],
        ["  ```\n  a\n", "    b\n", "  ```\n\n", "c"],
        ["[a]: http://b\n'c\n", "# d\n'\n\n", "[a]"],
        ["$$\na", "\n\n", "b\n$$\n", "c\n\nd"],
    ],
    ids=repr,
)
def test_a_block_that_can_still_change_is_not_settled(chunks: list[str]) -> None:
    whole = list(render("".join(chunks)))
    assert grown(chunks) == grown(list("".join(chunks))) == whole


# ── Growing texts ───────────────────────────────────────────────────────────────────────────


def test_without_new_text_there_is_no_patch() -> None:
    growing = GrowingMarkdown()
    assert growing.patch() is None
    growing.add("")
    assert growing.patch() is None
    growing.add("a")
    assert growing.patch() == Patch(0, ('<p dir="auto">a</p>',))
    assert growing.patch() is None
    assert growing.finish() is None


def test_settled_blocks_are_not_sent_again() -> None:
    growing = GrowingMarkdown()
    growing.add("one\n\ntwo\n\nthr")
    growing.patch()
    growing.add("ee")
    assert growing.patch() == Patch(2, ('<p dir="auto">three</p>',))


def test_a_definition_at_the_end_creates_links_above_it() -> None:
    text = "See [1].\n\nMore.\n\n[1]: https://a.b\n"
    assert grown(list(text)) == list(render(text))
    assert 'href="https://a.b"' in "".join(render(text))


def test_a_line_that_may_close_a_code_block_is_held_back() -> None:
    growing = GrowingMarkdown()
    growing.add("Look:\n\n```python\nx = 1\n")
    growing.patch()
    growing.add("y = '<'\n``")
    grew = growing.patch()
    assert grew is not None
    assert grew.keep == 1
    assert grew.blocks[0].endswith("x = 1\n" + as_text("y = '<'\n") + CODE_TAIL)
    growing.add("`\n")
    closed = growing.patch()
    assert closed is not None
    assert closed.keep == 1
    assert 'class="hl-' in closed.blocks[0]


def test_a_long_code_block_is_highlighted_when_it_closes() -> None:
    growing = GrowingMarkdown()
    growing.add("```python\n" + "x = 1\n" * 2_000)
    growing.patch()
    growing.add("```\n")
    patch = growing.patch()
    assert patch is not None
    assert "hl-m" in patch.blocks[0]
    assert growing.finish() is None


def test_code_is_colored_when_it_closes_and_not_sent_again() -> None:
    line = "total = sum(x for x in range(10))  # adds\n"
    growing = GrowingMarkdown()
    growing.add("```python\n")
    for _ in range(300):
        growing.add(line)
        patch = growing.patch()
        assert patch is not None
        assert "hl-" not in patch.blocks[0]
    growing.add("```\n")
    assert growing.patch() == Patch(0, render(growing.text))
    growing.add("and so on")
    assert growing.patch() == Patch(1, ('<p dir="auto">and so on</p>',))
    assert growing.rendered_chars < 2 * len(growing.text)


@pytest.mark.parametrize(
    ("begun", "shown"),
    [
        ("a **bold", '<p dir="auto">a <strong>bold</strong></p>'),
        ("a **bold*", '<p dir="auto">a <strong>bold</strong></p>'),
        ("a **", '<p dir="auto">a</p>'),
        ("a `code", '<p dir="auto">a <code>code</code></p>'),
        ("a [link](http", '<p dir="auto">a link</p>'),
        ("a\n-", '<p dir="auto">a</p>'),
        ("a\n\n1.", '<p dir="auto">a</p>'),
        ("a\n\n| h | i |\n|--", '<p dir="auto">a</p>'),
        ("a\n\n``", '<p dir="auto">a</p>'),
        ("a\n\n\\[\nx_1 *y*", '<code class="math-source">\\[\nx_1 *y*</code>'),
        ("a \\(x_1 *y*", '<code class="math-source">\\(x_1 *y*</code>'),
    ],
)
def test_an_incomplete_mark_does_not_flicker(begun: str, shown: str) -> None:
    growing = GrowingMarkdown()
    growing.add(begun)
    patch = growing.patch()
    assert patch is not None
    assert shown in "".join(patch.blocks)
    assert len(patch.blocks) <= 2


# ── Cost, counted in characters ──────────────────────────────────────────────────────────────


def rendered_chars(text: str, step: int) -> int:
    """Return the number of characters in all renderings of a growing text."""
    growing = GrowingMarkdown()
    for at in range(0, len(text), step):
        growing.add(text[at : at + step])
        growing.patch()
    growing.finish()
    return growing.rendered_chars


PARAGRAPH = "Some words about a thing, **bold** and `code`, and so on. "


def test_a_patch_costs_the_tail_and_not_the_whole_text() -> None:
    text = "".join(f"## Part {n}\n\n{PARAGRAPH * 4}\n\n" for n in range(200))
    assert rendered_chars(text, 20) < 12 * len(text)


@pytest.mark.parametrize(
    "text",
    [
        "x" * 60_000,
        "- item\n" * 9_000,
        "> quote\n" * 8_000,
        "| a | b |\n|--|--|\n" + "| 1 | 2 |\n" * 6_000,
        "```\n" + "x = 1\n" * 10_000,
        "- ```\n" + "  x = 1\n" * 8_000,
        "`" * 30_000,
        "```\n" + "`" * 30_000,
        "\\[ " * 20_000,
        "\\[\n" * 20_000,
        "$$\nx\n\n" * 10_000,
    ],
    ids=lambda text: repr(text[:8]),
)
def test_a_text_of_one_block_is_not_rendered_at_every_patch(text: str) -> None:
    assert rendered_chars(text, 50) < 600_000 + 6 * len(text)


@pytest.mark.parametrize(
    "text",
    [
        ">" * 10_000,
        "> " * 10_000,
        "[" * 10_000,
        "![" * 10_000,
        "![" * 3_000 + "x" + "](y)" * 3_000,
        "[" * 3_000 + "x" + "](y)" * 3_000,
        "- " * 5_000,
        "\n".join("  " * n + "- x" for n in range(300)),
        "*" * 20_000 + "a" + "_" * 20_000,
        "*a **b " * 3_000,
        "`" * 19_000,
        " ".join("`" * n for n in range(190)),
        "<" * 20_000,
        "$" * 300_000,
        "\\(" * 150_000,
        "\\(" * 9_000,
        "$a" * 9_000,
        "&" * 20_000,
        "http://" * 2_800,
        "x" * 300_000,
        "|" * 20_000 + "\n" + "|-" * 10_000,
        "a|" * 40 + "\n" + "-|" * 40 + "\n" + "b|\n" * 500,
        "{" * 3_000,
        "$$" + "{" * 2_000 + "$$",
        "$$" + "\\sqrt" * 500 + "$$",
        "$$" + "\\sideset{}{}{" * 200 + "$$",
        "$$" + "\\left(" * 400 + "$$",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_deep_and_long_texts_are_rendered_without_an_error(text: str) -> None:
    page(text)
    plain_text(text)
    assert grown([text[: len(text) // 2], text[len(text) // 2 :]]) == list(render(text))


def test_the_first_megabyte_is_formatted_and_the_rest_is_plain_text() -> None:
    text = (PARAGRAPH * 30 + "\n\n- a\n- b\n\n```python\nx = 1\n```\n\n") * 1_100
    assert len(text) > 1_900_000
    html = "".join(render(text))
    assert html.count("<ul>") == pytest.approx(
        1_100 * FORMATTED_COST_CHARACTERS / len(text), rel=0.4
    )
    assert grown([text[at : at + 90_000] for at in range(0, len(text), 90_000)]) == list(
        render(text)
    )
    shown = text_on_page(html)
    assert shown.count("Some words about a thing") == text.count("Some words about a thing")


def test_content_beyond_the_nesting_limit_is_shown() -> None:
    assert "the end" in text_on_page("".join(render("> " * 100 + "the end")))
    deep = "\n".join("  " * n + "- x" for n in range(60)) + "\n\nthe end"
    assert "the end" in text_on_page("".join(render(deep)))


# ── Markdown ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("# a", '<h3 dir="auto">a</h3>'),
        ("##### a", '<h6 dir="auto">a</h6>'),
        ("a\nb", '<p dir="auto">a<br>\nb</p>'),
        ("~~a~~", '<p dir="auto"><s>a</s></p>'),
        ("- [ ] a\n- [x] b", '<ul><li dir="auto">☐ a</li><li dir="auto">☑ b</li></ul>'),
        ("3. a", '<ol start="3"><li dir="auto">a</li></ol>'),
        ("<b>a</b>", '<p dir="auto">&lt;b&gt;a&lt;/b&gt;</p>'),
        ("a<br/>b", '<p dir="auto">a<br>\nb</p>'),
        ("[a](javascript:x)", '<p dir="auto">a</p>'),
        ("[a](/x)", '<p dir="auto">a</p>'),
        ("a\x00\x1b[1m\u202eb", '<p dir="auto">a␀␛[1mb</p>'),
    ],
)
def test_each_mark_becomes_its_html(text: str, html: str) -> None:
    assert page(text) == html


def test_a_checkbox_exists_only_in_a_list() -> None:
    assert page("- [x] a\n\n---\n\n[x] a").endswith('<p dir="auto">[x] a</p>')


def test_quotes_cannot_end_an_attribute() -> None:
    assert as_attribute("\"'<&\u202e") == "&quot;&#x27;&lt;&amp;"


def test_a_table_scrolls_in_a_labeled_region_and_its_cells_have_classes() -> None:
    html = page("| a | b |\n|:-:|--:|\n| 1 | x<br>y |\n")
    assert html.startswith(
        '<div class="table-scroll" tabindex="0" role="region" aria-label="Table">'
    )
    assert '<td dir="auto" class="align-right">x<br>\ny</td>' in html


def test_a_link_opens_a_new_tab_without_opener_and_referrer() -> None:
    assert page("[a](https://b.c 'title')") == (
        '<p dir="auto"><a href="https://b.c" target="_blank" '
        'rel="noopener noreferrer nofollow">a</a></p>'
    )


def test_a_picture_is_a_link_with_its_alternative_text() -> None:
    assert ">a cat</a>" in page("![a cat](https://b.c/cat.png)")
    assert ">https://b.c/cat.png</a>" in page("![](https://b.c/cat.png)")
    badge = page("[![badge](https://b.c/d.svg)](https://e.f)")
    assert badge.count("<a ") == 1
    assert 'href="https://e.f"' in badge


def test_a_bare_address_is_a_link_without_the_full_stop_after_it() -> None:
    assert ">https://a.b/c</a>." in page("See https://a.b/c.")
    assert ">https://a.b/c_(d)</a>)" in page("(https://a.b/c_(d))")
    assert "<a " not in page("`https://a.b`")


def test_code_has_a_header_a_copy_button_and_classes() -> None:
    assert page("```python\nif x:\n\treturn 1\n```") == (
        '<div class="code"><div class="code-head"><span class="code-lang">python</span>'
        '<button type="button" class="code-copy" data-save>Save</button>'
        '<button type="button" class="code-copy" data-copy>Copy</button></div>'
        '<pre tabindex="0"><code class="language-python">'
        '<span class="hl-k">if</span> x:\n\t<span class="hl-k">return</span> '
        '<span class="hl-m">1</span>\n</code></pre></div>'
    )


@pytest.mark.parametrize("info", ["", "mermaid", "no-such-language", '"><script>', "é"])
def test_code_in_an_unknown_language_has_no_colors(info: str) -> None:
    html = page(f"```{info}\ngraph TD; A-->B\n```")
    assert "graph TD; A--&gt;B\n</code>" in html


def test_long_code_has_no_colors() -> None:
    assert "hl-" not in page("```python\n" + "x = 1\n" * (HIGHLIGHT_LIMIT_CHARS // 5) + "```")


@pytest.mark.parametrize("code", ["a\n" + "\n" * 20 + "b", "x" * 600, "/*\n" * 21])
def test_code_that_would_slow_a_lexer_down_has_no_colors(code: str) -> None:
    assert highlight(f"'s' {code}", "css") == as_text(f"'s' {code}")


@pytest.mark.parametrize("name", sorted(LEXERS))
@pytest.mark.parametrize(
    "code",
    ["\n\n\t x = \"a\\n{b}\" + 'c' // 1 # <b>\n  \n", "(" * 3_000, '"' * 3_000, "<a " * 900],
)
def test_colors_never_change_the_code(name: str, code: str) -> None:
    language = LEXERS[name].split()[0]
    html = highlight(code, language)
    assert unescape(re.sub(r"</?span[^>]*>", "", html)) == code


def test_every_language_has_a_lexer_and_every_class_is_listed() -> None:
    for name, words in LEXERS.items():
        assert all(
            "hl-"
            in highlight("x = 1 'a' \"b\" # c\n// d <a>\n+e\n[f]\n- g: 1\nRUN h\n% i\n-- j", w)
            for w in words.split()
        ), name
    assert all(re.fullmatch("hl-[a-z]", name) for name in CLASSES.values())


# ── Math ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [
        "costs $5 and $10",
        "US$ 3 or US$5",
        "costs $20–$30",
        "from $5 to 10$",
        "$5/month, $x$5",
        "between $1,000 and $2,000.",
        "**$5**/**$10**",
        "set $HOME and $PATH, or $a-$b",
        "use $var, then write $foo.",
        "`$x$` and `\\(x\\)`",
        "A$AP and Ke$ha",
        "$5k up from 3k$",
        "\\$x$",
        "```\n$$\nx\n$$\n```",
    ],
)
def test_prices_variables_and_code_are_not_math(text: str) -> None:
    assert "<math" not in page(text)
    assert "math-source" not in page(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("the $n$th of $x_1$, $2x$ and $5$", 4),
        ("其中$x$是", 1),
        ("\\(a\\) and \\[b\\] and $$c$$", 3),
        ("$$\na\n= b\n$$", 1),
        ("so:\n\\[\n\na\n\n+ b\n\n\\]\nend", 1),
        ("- item\n\n  $$\n  a\n  $$\n", 1),
        ("> $$\n> a\n> $$\n", 1),
        ("| $a$ | \\(b\\) |\n|--|--|\n", 2),
        ("\\begin{aligned} x", 0),
        ("$$\\begin{aligned} a &= b \\\\[4pt] c &= d \\end{aligned}$$", 1),
        ("$$\\begin{equation} a \\end{equation}$$", 1),
    ],
)
def test_each_delimiter_of_math_is_supported(text: str, count: int) -> None:
    html = page(text)
    assert html.count("<math ") == count
    assert "math-source" not in html


@pytest.mark.parametrize(
    "source",
    [
        "\\nosuchcommand x",
        "\\href{javascript:alert(1)}{x}",
        "\\style{color:red}{x}",
        "\\def\\a{\\a\\a}\\a",
        "\\newcommand{\\a}{b}\\a",
        "\\begin{matrix} a",
        "a & b",
        "\\frac",
        "x" * (LIMIT_CHARS + 1),
    ],
    ids=lambda source: source[:12],
)
def test_unsupported_latex_is_shown_as_source(source: str) -> None:
    html = page(f"$$\n{source}\n$$")
    assert "<math" not in html
    assert as_text(source) in html


def test_only_listed_elements_and_attributes_of_the_converter_remain() -> None:
    root = Element("math", {"onclick": "x", "style": "y", "display": "block"})
    root.text = "&#x3c;script&#x3e;"
    assert safe_mathml(root) == '<math display="block">&lt;script&gt;</math>'
    with pytest.raises(ValueError, match="script"):
        safe_mathml(Element("script"))


def test_a_formula_cannot_cover_other_parts_of_the_page() -> None:
    html = to_mathml("\\raise{90em}{x} \\hspace{-50em} y", display=False) or ""
    assert "90em" not in html
    assert "50em" not in html


# ── Plain text ───────────────────────────────────────────────────────────────────────────────


def test_plain_text_is_one_line() -> None:
    text = "# Title\n\nSome **bold** [link](https://a.b) `x`\n\n- one\n- two\n\n```py\ny = 1\n```"
    assert plain_text(text) == "Title Some bold link x one two y = 1"
    assert plain_text("") == ""


@given(st.text())
def test_visible_is_idempotent(text: str) -> None:
    assert visible(visible(text)) == visible(text)
