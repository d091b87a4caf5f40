"""Draws a monogram for models without a thumbnail.

The hue depends on the model's maker, the letters on its name, and the position of the disc behind
them on its id, so a model always looks the same.
"""

from __future__ import annotations

import cmath
import functools
import io
import math
import re
import unicodedata
import zlib
from dataclasses import dataclass
from typing import Final, TypeAlias

from PIL import Image, ImageDraw, ImageFont

from akash_gradio.domain.model import ModelCard

EDGE_PX: Final = 128
"""Twice the largest size on the page, 64 CSS pixels."""
_SCALE: Final = 4
_CORNER: Final = 12 / 64
_LETTER: Final = 29 / 64
_HUES: Final = (325, 295, 150, 248, 60, 218, 82, None, 272, 185)
"""Degrees in OKLCH, None for a neutral tile. Red is reserved for the page's accent color."""
_SPREAD: Final = 1958
"""Initial value of the checksum, chosen so that makers of many open models get different hues."""

_Rgb: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Tones:
    """Lightness and chroma (OKLCH) of the parts of a tile."""

    tile: tuple[float, float]
    disc: tuple[float, float]
    edge: tuple[float, float]
    first: tuple[float, float]
    second: tuple[float, float]


_LIGHT: Final = _Tones((0.968, 0.011), (0.932, 0.022), (0.895, 0.020), (0.35, 0.065), (0.53, 0.075))
_DARK: Final = _Tones((0.250, 0.012), (0.298, 0.024), (0.360, 0.022), (0.94, 0.025), (0.74, 0.060))


def draw_monogram(card: ModelCard, *, dark: bool) -> bytes:
    """Return a PNG of 128 × 128 pixels with transparent corners."""
    tones = _DARK if dark else _LIGHT
    hue = _HUES[zlib.crc32(maker(card).encode(), _SPREAD) % len(_HUES)]
    edge = EDGE_PX * _SCALE
    image = Image.new("RGB", (edge, edge), _rgb(*tones.tile, hue))
    _draw_disc(image, _rgb(*tones.disc, hue), zlib.crc32(card.id.casefold().encode()))
    _draw_letters(image, letters(card), _rgb(*tones.first, hue), _rgb(*tones.second, hue))
    return _png(_framed(image, _rgb(*tones.edge, hue)))


def maker(card: ModelCard) -> str:
    """Return the maker in lower case: the organization in the id, else the name's first word."""
    for path in (card.id, card.hf_repo):
        if "/" in path:
            return path.split("/", maxsplit=1)[0].casefold()
    return re.split(r"[-_ :.\d]", card.name or card.id, maxsplit=1)[0].casefold()


def letters(card: ModelCard) -> str:
    """Return one or two characters: `L3` for Llama 3.3, `K2` for Kimi K2, `DS` for DeepSeek."""
    words = _words(card.name) or _words(card.id.rsplit("/", maxsplit=1)[-1]) or _words(card.id)
    if not words:
        return "M"
    for word in words[:3]:
        if re.fullmatch(r"[A-Za-z]\d(?:\.\d+)?", word):
            return word[:2].upper()
    first = words[0]
    if match := re.match(r"([A-Za-z])[A-Za-z]*?(\d)", first):
        return (match[1] + match[2]).upper()
    if len(words) > 1 and re.fullmatch(r"\d{1,2}(?:\.\d+)?", words[1]):
        return (first[0] + words[1][0]).upper()
    capitals = re.findall(r"[A-Z](?=[a-z])", first)
    if len(capitals) > 1:
        return "".join(capitals[:2])
    return "".join(word[0] for word in words[:2] if word[0].isalpha()).upper() or first[0]


_NOT_A_NAME: Final = re.compile(
    r"\d+(\.\d+)?[bmtk]|a\d+(\.\d+)?b|\d+x\d+b|\d+e|\d{4,}|instruct|chat|it|thinking|preview",
    re.IGNORECASE,
)
"""Sizes, dates and variants, which aren't part of the actual name."""


def _words(name: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = re.findall(r"[A-Za-z0-9]+(?:\.\d+)?", plain)
    return [word for word in words if not _NOT_A_NAME.fullmatch(word)]


def _draw_disc(image: Image.Image, color: _Rgb, seed: int) -> None:
    """Draw a large disc that is centered on a corner or a side."""
    edge = image.width
    x, y = ((0, 0), (1, 0), (1, 1), (0, 1), (0.5, 0), (1, 0.5), (0.5, 1), (0, 0.5))[seed % 8]
    radius = edge * (0.52, 0.62, 0.72)[seed // 8 % 3]
    center_x, center_y = x * edge, y * edge
    box = (center_x - radius, center_y - radius, center_x + radius, center_y + radius)
    ImageDraw.Draw(image).ellipse(box, fill=color)


def _draw_letters(image: Image.Image, text: str, first: _Rgb, second: _Rgb) -> None:
    """Draw the letters at the optical center, between the centers of their box and their ink."""
    edge = image.width
    size = edge * _LETTER * (1.16 if len(text) == 1 else 1)
    font = _font(size)
    stroke = edge // 256
    draw = ImageDraw.Draw(image)
    gap = -size * 0.015
    x = 0.0
    starts = []
    for letter in text:
        starts.append(x)
        x += font.getlength(letter) + gap
    ink = Image.new("L", image.size)
    pen = ImageDraw.Draw(ink)
    for start, letter in zip(starts, text, strict=True):
        pen.text((start + edge / 8, edge / 2), letter, 255, font, "ls", stroke_width=stroke)
    left = edge / 2 - _middle(ink) + edge / 8
    _, top, _, bottom = font.getbbox("H", anchor="ls")
    baseline = edge / 2 - (top + bottom) / 2
    for start, letter, color in zip(starts, text, (first, second), strict=False):
        draw.text((left + start, baseline), letter, color, font, "ls", stroke_width=stroke)


@functools.cache
def _font(size_px: float) -> ImageFont.FreeTypeFont:
    """Return Aileron, which is part of Pillow. It is cached: loading takes longer than drawing."""
    font = ImageFont.load_default(size_px)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError("this Pillow was built without FreeType")
    return font


def _middle(ink: Image.Image) -> float:
    """Return the horizontal center of the ink, in pixels from the left."""
    box = ink.getbbox()
    if box is None:
        return ink.width / 2
    columns = ink.reduce((1, ink.height)).tobytes()
    weight = sum(columns) or 1
    mass = sum(x * value for x, value in enumerate(columns)) / weight
    return 0.65 * (box[0] + box[2]) / 2 + 0.35 * mass


def _framed(image: Image.Image, color: _Rgb) -> Image.Image:
    """Add round corners and a border of one CSS pixel at 64 CSS pixels."""
    edge, radius = image.width, image.width * _CORNER
    line = edge // 64
    box = (0, 0, edge - 1, edge - 1)
    ImageDraw.Draw(image).rounded_rectangle(box, radius, outline=color, width=line)
    mask = Image.new("L", image.size)
    ImageDraw.Draw(mask).rounded_rectangle(box, radius, fill=255)
    image.putalpha(mask)
    return image.reduce(_SCALE)


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _rgb(lightness: float, chroma: float, hue_degrees: float | None) -> _Rgb:
    """Convert OKLCH to sRGB; None as hue is gray. Source: Björn Ottosson, "Oklab", 2020."""
    point = cmath.rect(chroma, math.radians(hue_degrees)) if hue_degrees is not None else 0j
    a, b = point.real, point.imag
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        _channel(4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short),
        _channel(-1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short),
        _channel(-0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short),
    )


def _channel(linear: float) -> int:
    linear = min(max(linear, 0.0), 1.0)
    value = 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055
    return round(value * 255)
