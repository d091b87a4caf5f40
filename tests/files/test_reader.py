from __future__ import annotations

import asyncio
import base64
import io
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, EncodedStreamObject, NameObject

from akash_gradio.files import child, reader
from akash_gradio.files.child import LONGEST_EDGE_PIXELS, TEXT_LIMIT_CHARACTERS, answer
from akash_gradio.files.reader import CHILDREN, WAITING, FileReader, UnreadableFile
from akash_gradio.web import texts
from akash_gradio.web.file_routes import ERROR_CODES

SOURCE = Path(child.__file__).read_text() + Path(reader.__file__).read_text()


def pdf(*pages: str, password: str = "") -> bytes:
    """A PDF with a line of text on each page."""
    writer = PdfWriter()
    font = {"Type": "/Font", "Subtype": "/Type1", "BaseFont": "/Helvetica"}
    for text in pages:
        page = writer.add_blank_page(width=600, height=800)
        names = DictionaryObject({NameObject(f"/{k}"): NameObject(v) for k, v in font.items()})
        fonts = DictionaryObject({NameObject("/F1"): names})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        stream = DecodedStreamObject()
        stream.set_data(f"BT /F1 12 Tf 50 700 Td ({text}) Tj ET".encode() if text else b"")
        page[NameObject("/Contents")] = writer._add_object(stream)
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def picture(size: tuple[int, int] = (40, 20), form: str = "PNG", **how: Any) -> bytes:
    image = Image.new(how.pop("mode", "RGB"), size, how.pop("color", "red"))
    out = io.BytesIO()
    image.save(out, form, **how)
    return out.getvalue()


def drawn(url: str) -> Image.Image:
    head, _, data = url.partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that says it is as large as this."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


# ── the child's own reading ──────────────────────────────────────────────────


def test_a_pdf_gives_its_text_page_by_page():
    assert answer("pdf", pdf("First page", "", "Third")) == {
        "text": "First page\n\nThird",
        "pages": 3,
        "read_pages": 3,
    }


def test_a_pdf_too_long_is_cut_between_pages_and_says_so():
    page = "x" * (TEXT_LIMIT_CHARACTERS // 2)
    found = answer("pdf", pdf(page, page, page))
    assert (found["pages"], found["read_pages"]) == (3, 2)


@pytest.mark.parametrize(
    ("kind", "content", "reason"),
    [
        ("pdf", pdf(""), "no_text"),
        ("pdf", pdf("secret", password="key"), "locked"),
        ("pdf", b"", "broken"),
        ("pdf", b"%PDF-1.7\n" + b"\xff" * 1000, "broken"),
        ("pdf", pdf("Hello")[:200], "broken"),
        ("pdf", picture(), "broken"),
        ("picture", b"", "not_picture"),
        ("picture", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not_picture"),
        ("picture", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not_picture"),
        ("picture", pdf("Hello"), "not_picture"),
        ("picture", bomb(60_000, 60_000), "too_many_pixels"),
        ("picture", bomb(2**31 - 1, 2**31 - 1), "too_many_pixels"),
        ("picture", picture()[:60], "broken"),
    ],
)
def test_what_can_not_be_read_has_a_reason(kind: str, content: bytes, reason: str):
    assert answer(kind, content) == {"reason": reason}


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_every_kind_of_picture_becomes_a_jpeg(form: str):
    found = answer("picture", picture(form=form))
    image = drawn(found["url"])
    assert image.format == "JPEG"
    assert (found["width"], found["height"]) == image.size == (40, 20)


def test_a_large_picture_is_shrunk_in_its_proportions():
    found = answer("picture", picture((4000, 1000)))
    assert (found["width"], found["height"]) == (LONGEST_EDGE_PIXELS, LONGEST_EDGE_PIXELS // 4)


def test_nothing_of_exif_comes_along_and_the_picture_stands_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    exif[0x010E] = "where it was taken"
    source = picture((40, 20), "JPEG", exif=exif, comment=b"a comment", icc_profile=b"profile")
    found = answer("picture", source)
    image = drawn(found["url"])
    assert image.size == (20, 40)
    assert not image.getexif()
    data = base64.b64decode(found["url"].partition(",")[2])
    for word in (b"where it was", b"a comment", b"profile", b"Exif"):
        assert word not in data


def test_what_can_be_seen_through_stands_on_white():
    found = answer("picture", picture(mode="RGBA", color=(0, 0, 0, 0)))
    assert drawn(found["url"]).convert("RGB").getpixel((5, 5)) == (255, 255, 255)


def test_of_a_moving_picture_the_first_frame_is_taken():
    first, second = Image.new("RGB", (9, 9), "red"), Image.new("RGB", (9, 9), "blue")
    ImageDraw.Draw(second).rectangle((0, 0, 4, 4), fill="green")
    out = io.BytesIO()
    first.save(out, "GIF", save_all=True, append_images=[second])
    red, _green, blue = (
        drawn(answer("picture", out.getvalue())["url"]).convert("RGB").getpixel((4, 4))
    )  # type: ignore[misc]
    assert red > 200
    assert blue < 50


# ── the process around it ────────────────────────────────────────────────────


async def test_a_child_reads_both_kinds():
    reader = FileReader()
    document, image = await asyncio.gather(
        reader.read_pdf(pdf("Hello")), reader.read_picture(picture())
    )
    assert (document.text, document.pages) == ("Hello", 1)
    assert (image.width, image.height) == (40, 20)


async def test_a_reason_comes_out_as_an_error():
    with pytest.raises(UnreadableFile) as caught:
        await FileReader().read_pdf(b"no pdf")
    assert caught.value.reason == "broken"


async def test_a_child_that_takes_too_long_is_ended():
    with pytest.raises(UnreadableFile) as caught:
        await FileReader(timeout_s=0.0).read_picture(picture())
    assert caught.value.reason == "too_heavy"


async def test_a_pdf_that_unpacks_without_end_is_given_up():
    writer = PdfWriter()
    stream = EncodedStreamObject()
    stream[NameObject("/Filter")] = NameObject("/FlateDecode")
    stream._data = zlib.compress(b"\0" * 200_000_000, 9)
    page = writer.add_blank_page(width=9, height=9)
    page[NameObject("/Contents")] = writer._add_object(stream)
    out = io.BytesIO()
    writer.write(out)
    with pytest.raises(UnreadableFile) as caught:
        await FileReader().read_pdf(out.getvalue())
    assert caught.value.reason == "too_heavy"  # not "no text": it has been given up


def test_a_child_gets_no_memory_past_its_limit():
    code = f"""
from {child.__name__} import MEMORY_LIMIT_BYTES, limit_memory_and_time
limit_memory_and_time()
try:
    bytearray(MEMORY_LIMIT_BYTES)
except MemoryError:
    print("refused")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout == "refused\n", done.stderr


def test_every_reason_has_words():
    told = set(re.findall(r'(?:Faulty|UnreadableFile)\("(\w+)"\)|"reason": "(\w+)"', SOURCE))
    reasons = {name for pair in told for name in pair if name} | set(child._REASONS.values())
    assert reasons | {"broken", "no_text"} == set(ERROR_CODES)
    assert set(ERROR_CODES.values()) <= set(texts.ERRORS)


async def test_too_many_at_once_are_sent_away_and_the_rest_take_turns():
    reader = FileReader(timeout_s=0.0)
    many = CHILDREN + WAITING + 3
    results = await asyncio.gather(
        *(reader.read_picture(picture()) for _ in range(many)), return_exceptions=True
    )
    reasons = [result.reason for result in results if isinstance(result, UnreadableFile)]
    assert reasons.count("busy") == many - WAITING
    assert reasons.count("too_heavy") == WAITING
