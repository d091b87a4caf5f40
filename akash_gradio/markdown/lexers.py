"""Two small lexers that take linear time, for languages with braces.

Pygments' lexers for Java, C#, Go, JavaScript, PowerShell and others take quadratic or cubic time
on adversarial or very repetitive code: seconds for a few kilobytes, during which the server is
blocked. Measured with Pygments 2.21.
"""

from __future__ import annotations

from pygments.lexer import RegexLexer, include, words
from pygments.token import Comment, Keyword, Name, Number, String, Text

_WORDS = (
    "abstract alignas alignof and as assert async await auto base begin bool boolean break byte "
    "case catch chan char checked class cmdlet const constexpr continue contract crate data "
    "decimal decltype def default defer delegate delete deriving do double dynamic each echo "
    "else elseif elif end endif endmodule enum event exit explicit export extends extern "
    "fallthrough final finally fixed float fn for foreach fi from fun func function get global "
    "go goto guard if impl implements implicit import in include init inline inout instanceof "
    "int interface internal interpreted is lateinit lazy let lock long loop map mapping match "
    "message modifier "
    "module mut mutable namespace native new noexcept not null object of open operator option "
    "optional or out output override package param params payable pragma private process "
    "protected protocol provider pub public range readonly record ref register repeated require "
    "required reserved resource restrict return returns rpc sealed select self service set short "
    "signed sizeof static string struct super suspend switch synchronized syntax template then "
    "this throw throws trait transient try type typedef typeof typename uint union unless unsafe "
    "unsigned until use using val var variable view virtual void volatile when where while wire "
    "with yield"
)
_CONSTANTS = ("true", "false", "null", "nil", "undefined", "iota", "NULL", "NaN")


class BraceLexer(RegexLexer):
    """Comments, strings, numbers, common keywords, calls and capitalized names."""

    name = "Braces"
    aliases = ("braces",)
    tokens = {  # noqa: RUF012  (the library reads it from the class)
        "root": [
            (r"//[^\n]*", Comment),
            (r"/\*", Comment, "comment"),
            include("common"),
        ],
        "common": [
            (r"\s+", Text),
            (r'"', String, "double"),
            (r"'", String, "single"),
            (r"`", String, "back"),
            (r"@[A-Za-z_]\w*", Name.Decorator),
            (r"#[a-z]+", Keyword),
            (r"\d[\w.]*", Number),
            (words(_CONSTANTS, suffix=r"\b"), Keyword.Constant),
            (words(tuple(_WORDS.split()), suffix=r"\b"), Keyword),
            (r"[A-Za-z_$][\w$-]*(?=\()", Name.Function),
            (r"[A-Z]\w*", Name.Class),
            (r"[A-Za-z_$][\w$]*", Name),
            (r".", Text),
        ],
        "comment": [(r"[^*]+", Comment), (r"\*/", Comment, "#pop"), (r"\*", Comment)],
        "double": [(r'[^"\\\n]+', String), (r'"', String, "#pop"), include("escape")],
        "single": [(r"[^'\\\n]+", String), (r"'", String, "#pop"), include("escape")],
        "back": [
            (r"[^`\\]+", String),
            (r"`", String, "#pop"),
            (r"\\.", String.Escape),
            (r"\\", String),
        ],
        "escape": [(r"\\.", String.Escape), (r"\\", String), (r"\n", Text, "#pop")],
    }


class HashLexer(BraceLexer):
    """The same for languages in which `#` begins a comment and a backtick quotes nothing."""

    name = "Hash"
    aliases = ("hash",)
    tokens = {  # noqa: RUF012  (the library reads it from the class)
        "root": [
            (r"#[^\n]*", Comment),
            (r"`", Text),
            include("common"),
        ],
    }
