from __future__ import annotations

import io
import logging
import struct
import zlib
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from akash_gradio.catalog.loader import read_catalog
from akash_gradio.catalog.model_names import readable_name
from akash_gradio.catalog.monograms import draw_monogram, letters, maker
from akash_gradio.catalog.thumbnails import MAX_BYTES, Picture, Thumbnails
from akash_gradio.domain.model import ModelCard

SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"{0}>{1}</svg>'


def card(model_id: str = "org/Model-1", thumbnail_id: str = "", name: str = "") -> ModelCard:
    return ModelCard(id=model_id, name=name or readable_name(model_id), thumbnail_id=thumbnail_id)


def open_image(picture: Picture) -> Image.Image:
    assert picture.media_type == "image/png"
    return Image.open(io.BytesIO(picture.content)).convert("RGBA")


def raster(kind: str, size: tuple[int, int] = (300, 150)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(file, kind)
    return file.getvalue()


def bomb() -> bytes:
    """Return a small PNG that claims to be 60,000 pixels wide and high."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def luminance(color: tuple[int, ...]) -> float:
    parts = [c / 255 for c in color[:3]]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: tuple[int, ...], second: tuple[int, ...]) -> float:
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(
    ("model_id", "expected"),
    [
        ("meta-llama/Llama-3.3-70B-Instruct", "L3"),
        ("deepseek-ai/DeepSeek-V3.2", "V3"),
        ("deepseek-ai/DeepSeek-R1-0528", "R1"),
        ("deepseek-ai/DeepSeek-Coder", "DS"),
        ("Qwen/Qwen3-235B-A22B-Instruct-2507", "Q3"),
        ("openai/gpt-oss-120b", "GO"),
        ("moonshotai/Kimi-K2.5", "K2"),
        ("mistralai/Mistral-Small-3.2-24B-Instruct-2506", "MS"),
        ("google/gemma-3-27b-it", "G3"),
        ("microsoft/phi-4", "P4"),
        ("smollm2-135m-instruct", "S2"),
        ("tiiuae/Falcon", "F"),
        ("x", "X"),
        ("70b", "M"),
        ("通义千问", "M"),
    ],
)
def test_the_letters_show_family_and_version(model_id: str, expected: str) -> None:
    assert letters(card(model_id)) == expected


def test_models_of_one_maker_share_a_hue_but_differ() -> None:
    first, second = card("org/Model-1-small"), card("org/Model-1-large")
    assert letters(first) == letters(second) == "M1"
    assert maker(first) == maker(second) == "org"
    assert maker(ModelCard(id="tiny", name="Tiny", hf_repo="Org/tiny")) == "org"
    assert draw_monogram(first, dark=False) != draw_monogram(second, dark=False)


@pytest.mark.parametrize("dark", [False, True])
def test_a_monogram_is_the_same_every_time(dark: bool) -> None:
    assert draw_monogram(card(), dark=dark) == draw_monogram(card(), dark=dark)
    assert draw_monogram(card(), dark=dark) != draw_monogram(card(), dark=not dark)


@pytest.mark.parametrize("dark", [False, True])
def test_a_monogram_has_twice_its_display_size_and_round_corners(dark: bool) -> None:
    image = Image.open(io.BytesIO(draw_monogram(card(), dark=dark)))
    assert (image.size, image.mode) == ((128, 128), "RGBA")
    alpha = image.getchannel("A")
    assert [alpha.getpixel(at) for at in ((0, 0), (127, 0), (0, 127), (127, 127))] == [0] * 4
    assert alpha.getpixel((24, 0)) == alpha.getpixel((64, 64)) == 255


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("shipped", read_catalog(None).cards, ids=lambda c: c.id)
def test_letters_have_contrast_and_are_centered(shipped: ModelCard, dark: bool) -> None:
    image = Image.open(io.BytesIO(draw_monogram(shipped, dark=dark))).convert("RGB")
    inner = image.crop((16, 16, 112, 112))
    pixels = list(zip(*[iter(inner.tobytes())] * 3, strict=True))
    colors = [color for color, count in Counter(pixels).items() if count > 60]
    background = (min if dark else max)(colors, key=luminance)
    assert max(contrast(color, background) for color in colors) > 7
    ink = Image.new("1", inner.size)
    ink.putdata([contrast(color, background) > 3 for color in pixels])
    box = ink.getbbox()
    assert box is not None
    assert abs((box[0] + box[2]) / 2 - 48) <= 5
    assert abs(box[1] - 24) <= 8


@given(st.text(min_size=1, max_size=60), st.text(max_size=60), st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_name_has_a_monogram(model_id: str, name: str, dark: bool) -> None:
    model_card = ModelCard(id=model_id, name=name)
    assert 1 <= len(letters(model_card)) <= 2
    assert draw_monogram(model_card, dark=dark).startswith(b"\x89PNG")


@pytest.mark.parametrize("thumbnail_id", ["", "missing"])
def test_a_model_without_a_picture_gets_a_monogram(tmp_path: Path, thumbnail_id: str) -> None:
    thumbnails = Thumbnails(tmp_path / "missing")
    picture = thumbnails.picture(card(thumbnail_id=thumbnail_id), dark=True)
    assert picture.content == draw_monogram(card(), dark=True)
    assert thumbnails.problems([card(thumbnail_id=thumbnail_id)]) == ()


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
@pytest.mark.parametrize("pattern", ["mine", "mine.{0}"])
def test_a_configured_picture_is_redrawn_at_display_size(
    tmp_path: Path, kind: str, pattern: str
) -> None:
    suffix = kind.lower()
    (tmp_path / f"mine.{suffix}").write_bytes(raster(kind) + b"<script>trailing</script>")
    thumbnails = Thumbnails(tmp_path)
    picture = thumbnails.picture(card(thumbnail_id=pattern.format(suffix)), dark=False)
    assert open_image(picture).size == (128, 64)
    assert b"script" not in picture.content
    assert thumbnails.problems([card(thumbnail_id="mine")]) == ()


def test_a_picture_is_created_once(tmp_path: Path) -> None:
    (tmp_path / "mine.png").write_bytes(raster("PNG"))
    thumbnails = Thumbnails(tmp_path)
    first = thumbnails.picture(card(thumbnail_id="mine"), dark=False)
    (tmp_path / "mine.png").unlink()
    assert thumbnails.picture(card(thumbnail_id="mine"), dark=False) is first


def test_dark_mode_can_have_its_own_picture(tmp_path: Path) -> None:
    (tmp_path / "mine.svg").write_text(SVG.format("", "<g/>"))
    (tmp_path / "mine.dark.png").write_bytes(raster("PNG"))
    thumbnails = Thumbnails(tmp_path)
    assert thumbnails.picture(card(thumbnail_id="mine"), dark=True).media_type == "image/png"
    assert thumbnails.picture(card(thumbnail_id="mine"), dark=False).media_type == "image/svg+xml"


@pytest.mark.parametrize(
    "body",
    [
        '<path d="M0 0h32v32z" fill="url(#g)"/><defs><linearGradient id="g"/></defs>',
        "<style>.a{fill:url( '#g')}</style><title>A &amp; B</title>",
        '<use xlink:href="#a"/><use href="#a"/>',
        '<image href="data:image/png;base64,iVBORw0KGgo="/>',
        '<g xmlns:ink="http://www.inkscape.org/x" ink:export="C:\\a.png"/>',
    ],
)
def test_a_static_svg_is_served(tmp_path: Path, body: str) -> None:
    (tmp_path / "mine.svg").write_text(SVG.format(' viewBox="0 0 32 32"', body))
    thumbnails = Thumbnails(tmp_path)
    picture = thumbnails.picture(card(thumbnail_id="mine"), dark=False)
    assert picture.media_type == "image/svg+xml"
    assert thumbnails.problems([card(thumbnail_id="mine")]) == ()


def test_comments_and_instructions_are_removed_from_an_svg(tmp_path: Path) -> None:
    text = '<?xml version="1.0"?><?xml-stylesheet href="http://x"?>' + SVG.format(
        "", "<!--s3cret-->"
    )
    (tmp_path / "mine.svg").write_text(text)
    content = Thumbnails(tmp_path).picture(card(thumbnail_id="mine"), dark=False).content
    assert b"s3cret" not in content
    assert b"stylesheet" not in content


NESTED_ENTITIES = '<!DOCTYPE svg [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>' + SVG.format("", "&b;")

REJECTED_SVGS = [
    SVG.format("", "<script>alert(1)</script>"),
    SVG.format("", "<SCRIPT/>"),
    SVG.format("", "<foreignObject/>"),
    SVG.format("", '<set attributeName="href" to="x"/>'),
    SVG.format(' onload="alert(1)"', ""),
    SVG.format("", '<g onClick="alert(1)"/>'),
    SVG.format("", '<image href="https://x.example/a.png"/>'),
    SVG.format("", '<image href="//x.example/a.png"/>'),
    SVG.format("", '<use xlink:href="other.svg#a"/>'),
    SVG.format("", '<a href="javascript:alert(1)"/>'),
    SVG.format("", '<image href="data:image/svg+xml;base64,PHN2Zy8+"/>'),
    SVG.format("", '<image href="&#104;ttps://x.example"/>'),
    SVG.format("", '<path fill="url(https://x.example/a)"/>'),
    SVG.format("", r'<path fill="\75rl(https://x.example/a)"/>'),
    SVG.format("", "<style>@import 'https://x.example/a.css'</style>"),
    SVG.format("", "<g style=\"background:URL( 'http://x' )\"/>"),
    SVG.format(' xml:base="https://x.example/"', ""),
    SVG.format("", "<g/>" * 6000),
    NESTED_ENTITIES,
    "<svg/>",
    "<html/>",
    "<svg",
    "",
    SVG.format("", "<g>" * 3000 + "</g>" * 3000),
]


@pytest.mark.parametrize("text", REJECTED_SVGS, ids=range(len(REJECTED_SVGS)))
def test_an_active_or_broken_svg_is_rejected(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.svg").write_text(text)
    assert_rejected(tmp_path, "mine", value="mine.svg")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("mine.png", b""),
        ("mine.png", b"not a picture"),
        ("mine.png", raster("PNG")[:60]),
        ("mine.png", raster("JPEG")),
        ("mine.png", raster("PNG", (2049, 1))),
        ("mine.png", bomb()),
        ("mine.png", raster("PNG") + b"\0" * MAX_BYTES),
        ("mine.webp", raster("WEBP")[:40]),
        ("mine.webp", b"RIFF\x04\0\0\0WEBP"),
        ("mine.svg", SVG.format("", "ä").encode("latin-1")),
        ("mine.svg", SVG.format("", "<script/>").encode("utf-16")),
    ],
)
def test_a_broken_or_huge_picture_is_rejected(tmp_path: Path, file: str, content: bytes) -> None:
    (tmp_path / file).write_bytes(content)
    assert_rejected(tmp_path, "mine", value=file)


@pytest.mark.parametrize(
    "thumbnail_id",
    ["../secret", "..", "a/b", "/etc/passwd", "a\\b", "C:\\x", "~/x", "a..b", ".hidden", "a\0b"],
)
def test_a_name_outside_the_folder_is_rejected(tmp_path: Path, thumbnail_id: str) -> None:
    folder = tmp_path / "thumbnails"
    folder.mkdir()
    (tmp_path / "secret.png").write_bytes(raster("PNG"))
    assert_rejected(folder, thumbnail_id, value=thumbnail_id)


def test_a_link_out_of_the_folder_is_rejected(tmp_path: Path) -> None:
    folder = tmp_path / "thumbnails"
    folder.mkdir()
    (tmp_path / "secret.png").write_bytes(raster("PNG"))
    (folder / "mine.png").symlink_to(tmp_path / "secret.png")
    assert_rejected(folder, "mine", value="mine.png")


def test_a_rejected_picture_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "mine.svg").write_text("<svg")
    thumbnails = Thumbnails(tmp_path)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            thumbnails.picture(card(thumbnail_id="mine"), dark=False)
    assert [record.message for record in caplog.records] == ["thumbnail.rejected"]


def assert_rejected(folder: Path, thumbnail_id: str, *, value: str) -> None:
    thumbnails = Thumbnails(folder)
    picture = thumbnails.picture(card(thumbnail_id=thumbnail_id), dark=False)
    (problem,) = thumbnails.problems([card(thumbnail_id=thumbnail_id)])
    assert picture.content == draw_monogram(card(), dark=False)
    assert (problem.where, problem.field) == ("model org/Model-1", "thumbnailId")
    assert problem.value == value
    assert problem.hint.endswith("until then a monogram is shown")
