"""Locations of the files that are shipped with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parents[1]
_INSTALLED: Final = _PACKAGE / "assets"

ASSETS: Final = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent / "assets"
"""Scripts, styles and thumbnails: in the package when installed, beside it in the repository."""
