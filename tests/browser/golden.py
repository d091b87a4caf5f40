"""Golden pictures: reviewed screenshots, and the comparison of new ones with them.

They are stored at a fifth of their size, which is enough to see a part that is missing, moved or
of another color, but not the seconds of a receipt or the edges of letters.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PIL import Image, ImageChops

FOLDER: Final = Path(__file__).resolve().parent / "golden"
SHRUNK: Final = 5
BLOCK_PIXELS: Final = 6
"""Side of the blocks of the shrunk picture whose mean colors are compared."""
THRESHOLD: Final = 40
"""Difference of a color channel, of 255, from which on a block differs."""
TOLERANCE: Final = 0.02
"""Share of the blocks that may differ."""


def shrink(path: Path) -> Image.Image:
    """Return a shrunk screenshot."""
    with Image.open(path) as picture:
        size = (max(1, picture.width // SHRUNK), max(1, picture.height // SHRUNK))
        return picture.convert("RGB").resize(size, Image.Resampling.BOX)


def accept(path: Path) -> None:
    """Store this screenshot as the golden picture of its name."""
    FOLDER.mkdir(exist_ok=True)
    shrink(path).save(FOLDER / f"{path.stem}.webp", quality=60, method=6)


def difference(path: Path) -> float | None:
    """Return the share of the picture that differs from the golden one, 0 to 1.

    None if there is no golden picture of its name; 1 if the sizes differ.
    """
    golden = FOLDER / f"{path.stem}.webp"
    if not golden.exists():
        return None
    with Image.open(golden) as kept:
        return share_of_difference(kept.convert("RGB"), shrink(path))


def share_of_difference(kept: Image.Image, new: Image.Image) -> float:
    """Return the share of blocks whose mean colors differ, 0 to 1."""
    if kept.size != new.size:
        return 1.0
    blocks = (max(1, kept.width // BLOCK_PIXELS), max(1, kept.height // BLOCK_PIXELS))
    pair = (picture.resize(blocks, Image.Resampling.BOX) for picture in (kept, new))
    difference_image = ImageChops.difference(*pair)
    worst = max_of_bands(difference_image)
    far = sum(worst.histogram()[THRESHOLD:])
    return far / (blocks[0] * blocks[1])


def max_of_bands(picture: Image.Image) -> Image.Image:
    """Return the largest channel of each pixel."""
    red, green, blue = picture.split()
    return ImageChops.lighter(ImageChops.lighter(red, green), blue)
