"""Pictures that were looked at and found good, small, and how far a new one may be from them.

They are kept at a fifth of their size: enough to see a part that is missing, moved, or of
another color, and not the seconds of a receipt or the edges of a letter.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PIL import Image, ImageChops

FOLDER: Final = Path(__file__).resolve().parent / "golden"
SHRUNK: Final = 5
BLOCK_PIXELS: Final = 6
"""Compared are the mean colors of blocks of so many pixels of the small picture."""
FAR: Final = 40
"""Of 255: from here on a block is another one."""
TOLERATED: Final = 0.02
"""Share of the blocks that may be other ones."""


def small(path: Path) -> Image.Image:
    """A screenshot, shrunk."""
    with Image.open(path) as picture:
        size = (max(1, picture.width // SHRUNK), max(1, picture.height // SHRUNK))
        return picture.convert("RGB").resize(size, Image.Resampling.BOX)


def accept(path: Path) -> None:
    """Keep this screenshot as the golden one of its name."""
    FOLDER.mkdir(exist_ok=True)
    small(path).save(FOLDER / f"{path.stem}.webp", quality=60, method=6)


def difference(path: Path) -> float | None:
    """Share of the picture that is another one than the golden's, 0 to 1.

    None where there is no golden picture of its name; 1 where the sizes differ.
    """
    golden = FOLDER / f"{path.stem}.webp"
    if not golden.exists():
        return None
    with Image.open(golden) as kept:
        return share_apart(kept.convert("RGB"), small(path))


def share_apart(kept: Image.Image, new: Image.Image) -> float:
    """Share of the blocks whose mean color is far from that of the same block, 0 to 1."""
    if kept.size != new.size:
        return 1.0
    blocks = (max(1, kept.width // BLOCK_PIXELS), max(1, kept.height // BLOCK_PIXELS))
    pair = (picture.resize(blocks, Image.Resampling.BOX) for picture in (kept, new))
    apart = ImageChops.difference(*pair)
    worst = max_of_bands(apart)
    far = sum(worst.histogram()[FAR:])
    return far / (blocks[0] * blocks[1])


def max_of_bands(picture: Image.Image) -> Image.Image:
    """For each pixel the largest of its three values."""
    red, green, blue = picture.split()
    return ImageChops.lighter(ImageChops.lighter(red, green), blue)
