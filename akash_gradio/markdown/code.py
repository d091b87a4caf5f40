"""Renders a block of code: a header with its language and buttons, and colors by class."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from pygments.lexer import Lexer
from pygments.lexers import find_lexer_class_by_name
from pygments.token import (
    Comment,
    Generic,
    Keyword,
    Literal,
    Name,
    Number,
    Operator,
    String,
    Token,
    _TokenType,
)
from pygments.util import ClassNotFound

from akash_gradio.markdown.lexers import BraceLexer, HashLexer
from akash_gradio.markdown.sanitize import as_attribute, as_text

HIGHLIGHT_LIMIT_CHARS: Final = 30_000
"""Longer code is shown without colors, since a lexer blocks the event loop.

Typical code of 15 kB takes about 50 ms, once, when the block closes.
"""

CODE_TAIL: Final = "</code></pre></div>"

CLASSES: Final = {
    Comment: "hl-c",
    Keyword: "hl-k",
    Keyword.Type: "hl-t",
    Keyword.Constant: "hl-m",
    Operator.Word: "hl-k",
    Name.Class: "hl-t",
    Name.Exception: "hl-t",
    Name.Namespace: "hl-t",
    Name.Function: "hl-f",
    Name.Builtin: "hl-b",
    Name.Decorator: "hl-d",
    Name.Attribute: "hl-a",
    Name.Tag: "hl-g",
    Name.Variable: "hl-v",
    Name.Constant: "hl-m",
    Literal: "hl-m",
    Number: "hl-m",
    String: "hl-s",
    String.Escape: "hl-e",
    String.Interpol: "hl-e",
    String.Regex: "hl-e",
    String.Doc: "hl-c",
    Generic.Inserted: "hl-i",
    Generic.Deleted: "hl-r",
    Generic.Heading: "hl-h",
    Generic.Subheading: "hl-h",
    Generic.Prompt: "hl-c",
}
"""The CSS class of a token type and its subtypes; other types have none."""

# A lexer applies hundreds of regular expressions to untrusted text. These lexers cover what models
# write; with 6 kB of adversarial code (thirty patterns) none took more than 0.3 s.
LEXERS: Final = {
    "braces": (
        "c c# c++ cc cpp cs csharp cxx dart go golang gradle groovy h hpp java "
        "javascript js jsx kotlin kt kts mjs node objc objective-c objectivec proto "
        "protobuf scala solidity sv swift systemverilog ts tsx typescript verilog "
        "zig"
    ),
    "hash": ("hcl make makefile posh powershell ps1 pwsh terraform tf"),
    "bash": "bash console sh shell zsh shellsession",
    "bat": "bat batch cmd",
    "clojure": "clj clojure",
    "cmake": "cmake",
    "css": "css",
    "diff": "diff patch",
    "docker": "docker dockerfile",
    "elixir": "elixir ex exs",
    "erlang": "erl erlang",
    "fortran": "f90 fortran",
    "graphql": "graphql",
    "haskell": "haskell hs",
    "html": "htm html svelte vue xhtml",
    "ini": "cfg conf dotenv env ini properties",
    "json": "json json5 jsonc jsonl",
    "julia": "jl julia",
    "lua": "lua",
    "matlab": "matlab octave",
    "nginx": "nginx",
    "nix": "nix",
    "ocaml": "ml ocaml",
    "perl": "perl pl",
    "php": "php",
    "python": "ipython py python python3",
    "r": "r",
    "ruby": "rb ruby",
    "rust": "rs rust",
    "scss": "sass scss",
    "sql": "mysql postgres postgresql psql sql sqlite",
    "tex": "latex tex",
    "toml": "toml",
    "xml": "svg xml xsd xslt",
    "yaml": "yaml yml",
}
"""Pygments' name of a lexer, and the names of its languages in answers."""

# Long lines, much white space and unclosed comments: a lexer may search to their end from each
# character, which takes quadratic time.
_SLOW: Final = re.compile(r"[^\n]{600}|\s{200}|(?:[ \t]*\n){20}")
_LANGUAGE: Final = re.compile(r"\s*\{?\.?([A-Za-z][\w+#.-]{0,29})", re.ASCII)


def code_block(code: str, info: str, *, highlighted: bool = True) -> str:
    """Render a block of code.

    Args:
        code: The code.
        info: The text after the opening fence, which begins with the language.
        highlighted: Whether to color the code.

    Returns:
        Safe HTML.
    """
    inner = highlight(code, parse_language(info)) if highlighted else as_text(code)
    return code_head(info) + inner + CODE_TAIL


def code_head(info: str) -> str:
    """Render everything before the code; `CODE_TAIL` ends the block."""
    language = as_attribute(parse_language(info) or "text")
    return (
        f'<div class="code"><div class="code-head"><span class="code-lang">{language}</span>'
        '<button type="button" class="code-copy" data-save>Save</button>'
        '<button type="button" class="code-copy" data-copy>Copy</button></div>'
        f'<pre tabindex="0"><code class="language-{language}">'
    )


def parse_language(info: str) -> str:
    """Return the language after a fence in lower case, "" without one."""
    match = _LANGUAGE.match(info)
    return match.group(1).lower().rstrip(".-") if match else ""


def highlight(code: str, language: str) -> str:
    """Return the code as HTML with `hl-` classes; long code and unknown languages have none."""
    highlightable = len(code) <= HIGHLIGHT_LIMIT_CHARS and not _is_slow(code)
    lexer = _lexer_class(language) if highlightable else None
    if lexer is None:
        return as_text(code)
    # A lexer may fail on any text, and colors are only decoration.
    try:
        # PHP in an answer often has no opening tag.
        parts = _runs(lexer(startinline="<?" not in code), code)
    except Exception:
        return as_text(code)
    # A lexer must not change the text that is read or copied.
    if "".join(text for _, text in parts) != code:
        return as_text(code)
    return "".join(
        f'<span class="{name}">{as_text(text)}</span>' if name else as_text(text)
        for name, text in parts
    )


def _is_slow(code: str) -> bool:
    return _SLOW.search(code) is not None or code.count("/*") > code.count("*/") + 20


def _runs(lexer: Lexer, code: str) -> list[tuple[str, str]]:
    """Return class and text of each run of tokens with one class.

    Lexers need a final line end; `get_tokens` would strip the code.
    """
    runs: list[tuple[str, str]] = []
    ended = code if code.endswith("\n") else f"{code}\n"
    for start, kind, text in lexer.get_tokens_unprocessed(ended):
        text = text[: len(code) - start] if start + len(text) > len(code) else text
        name = _css_class(kind)
        if runs and runs[-1][0] == name:
            runs[-1] = (name, runs[-1][1] + text)
        elif text:
            runs.append((name, text))
    return runs


@lru_cache(maxsize=512)
def _css_class(kind: _TokenType) -> str:
    ancestor: _TokenType | None = kind
    while ancestor is not None and ancestor is not Token:
        if ancestor in CLASSES:
            return CLASSES[ancestor]
        ancestor = ancestor.parent
    return ""


@lru_cache(maxsize=1)
def _lexer_names() -> dict[str, str]:
    return {language: name for name, languages in LEXERS.items() for language in languages.split()}


@lru_cache(maxsize=len(LEXERS))
def _load(name: str) -> type[Lexer] | None:
    if own := {"braces": BraceLexer, "hash": HashLexer}.get(name):
        return own
    try:
        return find_lexer_class_by_name(name)
    except ClassNotFound:
        return None


def _lexer_class(language: str) -> type[Lexer] | None:
    name = _lexer_names().get(language)
    return _load(name) if name else None
