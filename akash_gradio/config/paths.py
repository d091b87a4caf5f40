"""Where the files that come with the package are."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parents[1]

ASSETS: Final = next(
    folder for folder in (_PACKAGE / "assets", _PACKAGE.parent / "assets") if folder.is_dir()
)
"""Scripts, styles and thumbnails: in the package when installed, beside it in the repository."""
