"""Detects a notebook, and shows a page in its output."""

from __future__ import annotations

import sys
from typing import Any


def in_notebook() -> bool:
    """Return whether the code runs in a Jupyter kernel (also Colab and VS Code)."""
    module = sys.modules.get("IPython")
    shell: Any = module.get_ipython() if module is not None else None
    return shell is not None and type(shell).__name__ != "TerminalInteractiveShell"


def show_inline(url: str, height: int = 640) -> None:
    """Show a page in the output of the cell."""
    from importlib import import_module

    display = import_module("IPython.display")
    display.display(display.IFrame(url, width="100%", height=height))
