"""Gradio's own built scripts and styles: which of them a first visit needs.

Its page finds them one after another: a script asks for the next, and the last for the parts
that the page is made of. Named in the page itself they all come at once.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

ENTRY: Final = re.compile(r'src="\./assets/(index-[\w-]+\.js)"')
"""The first script, in Gradio's page."""
_TABLE: Final = re.compile(r"m\.f=\[([^\]]*)\]")
_IMPORT: Final = r"import\(`\./{file}`\)(?:(?!import\().)*?__vite__mapDeps\(\[([\d,]*)\]\)"
_PART: Final = r"[{{,]{kind}:\{{(?:(?!\}},).)*?component:\(\)=>\w+\(\(\)=>" + _IMPORT
_ANY: Final = r"[\w.-]+"


def built_files() -> Path:
    """The folder of Gradio's built scripts and styles. Gradio itself isn't imported."""
    found = find_spec("gradio")
    places = list(found.submodule_search_locations or ()) if found else []
    return Path(places[0], "templates", "frontend", "assets")


@lru_cache(maxsize=8)
def files_of_first_visit(entry: str, kinds: frozenset[str], folder: Path) -> tuple[str, ...]:
    """The names of the files that Gradio's page asks for after its first, in that order.

    entry: the first one. kinds: the parts that the page is made of, as Gradio calls them
    ("html"). folder: see `built_files`. Fewer or none where a Gradio is built in another way:
    then the page finds them as it always did.
    """
    found = dict.fromkeys(_asked_by(folder / entry, _IMPORT.format(file=_ANY)))
    for name in _like("Index-", found):
        found |= dict.fromkeys(_asked_by(folder / name, _IMPORT.format(file=r"Blocks-[\w-]+\.js")))
    for name in _like("core-", found):
        for kind in sorted(kinds):
            part = _PART.format(kind=re.escape(kind), file=_ANY)
            found |= dict.fromkeys(_asked_by(folder / name, part))
    return tuple(name for name in found if name != entry)


def _like(beginning: str, names: Collection[str]) -> list[str]:
    return [name for name in names if name.startswith(beginning) and name.endswith(".js")]


def _asked_by(script: Path, pattern: str) -> Iterator[str]:
    """The files, one by one, that come along with the script's first import of this pattern."""
    if not script.is_file():
        return
    text = script.read_text("utf-8")
    table, asked = _TABLE.search(text), re.search(pattern, text)
    if table is None or asked is None:
        return
    files = [name.strip().strip('"').removeprefix("./") for name in table[1].split(",")]
    for place in asked[1].split(","):
        if place and int(place) < len(files):
            yield files[int(place)]
