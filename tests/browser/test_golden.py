"""The comparison of screenshots itself; the screenshots are compared by `make screens`."""

from __future__ import annotations

from PIL import Image, ImageDraw

from tests.browser.golden import FOLDER, TOLERATED, share_apart

MOST_BYTES = 3_000_000


def screen(*boxes: tuple[int, int, int, int], color: str = "black") -> Image.Image:
    picture = Image.new("RGB", (288, 180), "white")
    for box in boxes:
        ImageDraw.Draw(picture).rectangle(box, fill=color)
    return picture


def test_the_same_picture_and_a_digit_more_are_the_same():
    plain = screen((20, 20, 120, 60))
    assert share_apart(plain, screen((20, 20, 120, 60))) == 0
    assert share_apart(plain, screen((20, 20, 120, 60), (200, 170, 202, 172))) <= TOLERATED


def test_a_part_that_is_missing_moved_or_of_another_color_is_seen():
    plain = screen((20, 20, 120, 60))
    assert share_apart(plain, screen()) > TOLERATED
    assert share_apart(plain, screen((60, 20, 160, 60))) > TOLERATED
    assert share_apart(plain, screen((20, 20, 120, 60), color="red")) > TOLERATED


def test_another_size_is_another_picture():
    assert share_apart(screen(), Image.new("RGB", (78, 168), "white")) == 1


def test_the_golden_pictures_weigh_little():
    assert sum(path.stat().st_size for path in FOLDER.glob("*.webp")) <= MOST_BYTES
