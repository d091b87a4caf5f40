"""The comparison of screenshots. `make screens` compares the screenshots themselves."""

from __future__ import annotations

from PIL import Image, ImageDraw

from tests.browser.golden import FOLDER, TOLERANCE, share_of_difference

MAX_BYTES = 3_000_000


def screen(*boxes: tuple[int, int, int, int], color: str = "black") -> Image.Image:
    picture = Image.new("RGB", (288, 180), "white")
    for box in boxes:
        ImageDraw.Draw(picture).rectangle(box, fill=color)
    return picture


def test_equal_pictures_and_small_changes_pass() -> None:
    plain = screen((20, 20, 120, 60))
    assert share_of_difference(plain, screen((20, 20, 120, 60))) == 0
    assert share_of_difference(plain, screen((20, 20, 120, 60), (200, 170, 202, 172))) <= TOLERANCE


def test_missing_moved_or_recolored_parts_are_detected() -> None:
    plain = screen((20, 20, 120, 60))
    assert share_of_difference(plain, screen()) > TOLERANCE
    assert share_of_difference(plain, screen((60, 20, 160, 60))) > TOLERANCE
    assert share_of_difference(plain, screen((20, 20, 120, 60), color="red")) > TOLERANCE


def test_another_size_is_a_difference() -> None:
    assert share_of_difference(screen(), Image.new("RGB", (78, 168), "white")) == 1


def test_the_golden_pictures_are_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.glob("*.webp")) <= MAX_BYTES
