"""Diagrams in answers: marked here, drawn in the browser by the library that Gradio brings.

The page's own part is `assets/js/diagrams.js`. Where a Gradio has no such library, diagrams stay
code.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

LANGUAGE: Final = "mermaid"
GROWING_START: Final = "<ag-diagram data-growing>"
START: Final = "<ag-diagram>"
END: Final = "</ag-diagram>"


def as_diagram(block: str, language: str, *, closed: bool) -> str:
    """The block of code, marked where it is a diagram. closed: its last line has come."""
    if language != LANGUAGE:
        return block
    return f"{START if closed else GROWING_START}{block}{END}"


@lru_cache(maxsize=1)
def mermaid_script() -> str:
    """The library's address below the page's own, "" where this Gradio has none.

    Gradio isn't imported: that takes seconds.
    """
    found = find_spec("gradio")
    places = found.submodule_search_locations if found else None
    return _script_in(Path(next(iter(places)))) if places else ""


def _script_in(gradio: Path) -> str:
    assets = gradio / "templates" / "frontend" / "assets"
    scripts = sorted(assets.glob("mermaid.core-*.js"))
    return f"assets/{scripts[0].name}" if len(scripts) == 1 else ""
