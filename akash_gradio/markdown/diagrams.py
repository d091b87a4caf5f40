"""Marks diagrams in answers; the browser draws them with the library that Gradio ships.

`assets/js/diagrams.js` draws them. Without the library, diagrams stay code.
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
    """Wrap a block of code in `<ag-diagram>` if it is a diagram.

    Args:
        block: The rendered block.
        language: The language of its fence.
        closed: Whether its closing fence has arrived.
    """
    if language != LANGUAGE:
        return block
    return f"{START if closed else GROWING_START}{block}{END}"


@lru_cache(maxsize=1)
def mermaid_script() -> str:
    """Return the library's address relative to the page, "" if this Gradio has none.

    Gradio isn't imported for this: that takes seconds.
    """
    spec = find_spec("gradio")
    folders = spec.submodule_search_locations if spec else None
    return _script_in(Path(next(iter(folders)))) if folders else ""


def _script_in(gradio: Path) -> str:
    assets = gradio / "templates" / "frontend" / "assets"
    scripts = sorted(assets.glob("mermaid.core-*.js"))
    return f"assets/{scripts[0].name}" if len(scripts) == 1 else ""
