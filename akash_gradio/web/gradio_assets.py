"""Finds the files of Gradio's own build that a first visit needs.

Gradio's page loads them one after another: each script imports the next, and the last one imports
the components of the page. With a preload tag for each file, the browser loads them in parallel.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

ENTRY: Final = re.compile(r'src="\./assets/(index-[\w-]+\.js)"')
"""The first script in Gradio's page."""
_TABLE: Final = re.compile(r"m\.f=\[([^\]]*)\]")
_IMPORT: Final = r"import\(`\./{file}`\)(?:(?!import\().)*?__vite__mapDeps\(\[([\d,]*)\]\)"
_PART: Final = r"[{{,]{kind}:\{{(?:(?!\}},).)*?component:\(\)=>\w+\(\(\)=>" + _IMPORT
_ANY: Final = r"[\w.-]+"


def built_files() -> Path:
    """Return the folder of Gradio's built scripts and styles, without importing Gradio."""
    spec = find_spec("gradio")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return Path(folders[0], "templates", "frontend", "assets")


@lru_cache(maxsize=8)
def first_visit_files(entry: str, kinds: frozenset[str], folder: Path) -> tuple[str, ...]:
    """Return the files that Gradio's page loads after its entry script, in that order.

    Args:
        entry: The name of the entry script.
        kinds: The page's components by Gradio's names, such as "html".
        folder: See `built_files`.

    Returns:
        File names. Fewer or none if this Gradio is built in another way; the page then loads them
        one after another.
    """
    files = dict.fromkeys(_imported_by(folder / entry, _IMPORT.format(file=_ANY)))
    for name in _scripts("Index-", files):
        files |= dict.fromkeys(
            _imported_by(folder / name, _IMPORT.format(file=r"Blocks-[\w-]+\.js"))
        )
    for name in _scripts("core-", files):
        for kind in sorted(kinds):
            part = _PART.format(kind=re.escape(kind), file=_ANY)
            files |= dict.fromkeys(_imported_by(folder / name, part))
    return tuple(name for name in files if name != entry)


def _scripts(prefix: str, names: Collection[str]) -> list[str]:
    return [name for name in names if name.startswith(prefix) and name.endswith(".js")]


def _imported_by(script: Path, pattern: str) -> Iterator[str]:
    """Yield the files that load with the script's first import of this pattern."""
    if not script.is_file():
        return
    text = script.read_text("utf-8")
    table, imported = _TABLE.search(text), re.search(pattern, text)
    if table is None or imported is None:
        return
    files = [name.strip().strip('"').removeprefix("./") for name in table[1].split(",")]
    for index in imported[1].split(","):
        if index and int(index) < len(files):
            yield files[int(index)]
