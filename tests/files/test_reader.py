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

from akash_gradio.domain.size_limits import FILE_TEXT_CHARACTERS, WAITING_JOBS
from akash_gradio.domain.visitor import CURRENT_VISITOR, Visitor
from akash_gradio.files import child, reader
from akash_gradio.files.child import MAX_EDGE_PIXELS, read
from akash_gradio.files.errors import UnreadableFile
from akash_gradio.files.reader import FileReader
from akash_gradio.web import texts

SOURCE = Path(child.__file__).read_text() + Path(reader.__file__).read_text()


def pdf(*pages: str, password: str = "") -> bytes:
    """Return a PDF with a line of text on each page."""
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


def picture(size: tuple[int, int] = (40, 20), form: str = "PNG", **options: Any) -> bytes:
    image = Image.new(options.pop("mode", "RGB"), size, options.pop("color", "red"))
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def decode(url: str) -> Image.Image:
    head, _, data = url.partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def bomb(width: int, height: int) -> bytes:
    """Return a PNG of a few hundred bytes that claims this size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


# ── the child's functions ──────────────────────────────────────────────────


def test_the_text_of_a_pdf_is_extracted() -> None:
    assert read("pdf", pdf("First page", "", "Third")) == {
        "text": "First page\n\nThird",
        "pages": 3,
        "read_pages": 3,
    }


def test_a_long_pdf_is_cut_between_pages() -> None:
    page = "x" * (FILE_TEXT_CHARACTERS // 2)
    result = read("pdf", pdf(page, page, page))
    assert (result["pages"], result["read_pages"]) == (3, 2)


@pytest.mark.parametrize(
    ("kind", "content", "code"),
    [
        ("pdf", pdf(""), "file_without_text"),
        ("pdf", pdf("secret", password="key"), "file_locked"),
        ("pdf", b"", "file_damaged"),
        ("pdf", b"%PDF-1.7\n" + b"\xff" * 1000, "file_damaged"),
        ("pdf", pdf("Hello")[:200], "file_damaged"),
        ("pdf", picture(), "file_damaged"),
        ("picture", b"", "file_not_picture"),
        ("picture", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "file_not_picture"),
        ("picture", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "file_not_picture"),
        ("picture", pdf("Hello"), "file_not_picture"),
        ("picture", bomb(60_000, 60_000), "file_too_many_pixels"),
        ("picture", bomb(2**31 - 1, 2**31 - 1), "file_too_many_pixels"),
        ("picture", picture()[:60], "file_damaged"),
    ],
)
def test_an_unreadable_file_has_a_code(kind: str, content: bytes, code: str) -> None:
    assert read(kind, content) == {"error": code}


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_every_picture_format_becomes_a_jpeg(form: str) -> None:
    result = read("picture", picture(form=form))
    image = decode(result["url"])
    assert image.format == "JPEG"
    assert (result["width"], result["height"]) == image.size == (40, 20)


def test_a_large_picture_is_shrunk_proportionally() -> None:
    result = read("picture", picture((4000, 1000)))
    assert (result["width"], result["height"]) == (MAX_EDGE_PIXELS, MAX_EDGE_PIXELS // 4)


def test_metadata_is_removed_and_the_picture_is_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    exif[0x010E] = "where it was taken"
    source = picture((40, 20), "JPEG", exif=exif, comment=b"a comment", icc_profile=b"profile")
    result = read("picture", source)
    image = decode(result["url"])
    assert image.size == (20, 40)
    assert not image.getexif()
    data = base64.b64decode(result["url"].partition(",")[2])
    for text in (b"where it was", b"a comment", b"profile", b"Exif"):
        assert text not in data


def test_transparency_becomes_white() -> None:
    result = read("picture", picture(mode="RGBA", color=(0, 0, 0, 0)))
    assert decode(result["url"]).convert("RGB").getpixel((5, 5)) == (255, 255, 255)


def test_an_animation_becomes_its_first_frame() -> None:
    first, second = Image.new("RGB", (9, 9), "red"), Image.new("RGB", (9, 9), "blue")
    ImageDraw.Draw(second).rectangle((0, 0, 4, 4), fill="green")
    out = io.BytesIO()
    first.save(out, "GIF", save_all=True, append_images=[second])
    frame = decode(read("picture", out.getvalue())["url"]).convert("RGB")
    assert frame.getpixel((4, 4)) == pytest.approx((255, 0, 0), abs=50)


# ── the process ────────────────────────────────────────────────────


async def test_the_child_reads_pdfs_and_pictures() -> None:
    reader = FileReader()
    document, image = await asyncio.gather(
        reader.read_pdf(pdf("Hello")), reader.read_picture(picture())
    )
    assert (document.text, document.pages) == ("Hello", 1)
    assert (image.width, image.height) == (40, 20)


async def test_an_error_of_the_child_is_raised() -> None:
    with pytest.raises(UnreadableFile) as caught:
        await FileReader().read_pdf(b"no pdf")
    assert caught.value.code == "file_damaged"


async def test_a_slow_child_is_killed() -> None:
    with pytest.raises(UnreadableFile) as caught:
        await FileReader(timeout_s=0.0).read_picture(picture())
    assert caught.value.code == "file_too_heavy"


async def test_a_decompression_bomb_is_rejected() -> None:
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
    assert caught.value.code == "file_too_heavy"  # rather than "file_without_text"


def test_the_childs_memory_is_limited() -> None:
    code = f"""
from {child.__name__} import MEMORY_LIMIT_BYTES, limit_resources
limit_resources()
try:
    bytearray(MEMORY_LIMIT_BYTES)
except MemoryError:
    print("refused")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout == "refused\n", done.stderr


def test_every_code_has_a_text() -> None:
    codes = set(re.findall(r'"(file_\w+)"', SOURCE))
    assert codes == {code for code in texts.ERRORS if code.startswith("file_")} - {
        "file_too_large"  # of the route
    }


async def test_excess_files_of_a_visitor_are_rejected() -> None:
    reader = FileReader(timeout_s=0.0)
    many = 1 + WAITING_JOBS + 3
    results = await asyncio.gather(
        *(reader.read_picture(picture()) for _ in range(many)), return_exceptions=True
    )
    codes = [result.code for result in results if isinstance(result, UnreadableFile)]
    assert codes.count("file_reader_busy") == 3
    assert codes.count("file_too_heavy") == many - 3


def slow_pdf() -> bytes:
    """Return a small PDF whose text takes long to extract."""
    writer = PdfWriter()
    stream = EncodedStreamObject()
    stream[NameObject("/Filter")] = NameObject("/FlateDecode")
    stream._data = zlib.compress(b"BT (x) Tj ET\n" * 5_000_000, 9)
    reference = writer._add_object(stream)
    for _ in range(20):
        writer.add_blank_page(width=9, height=9)[NameObject("/Contents")] = reference
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


async def test_many_slow_files_of_one_visitor_do_not_delay_those_of_others() -> None:
    reader = FileReader()
    content = slow_pdf()
    assert len(content) < 500_000

    def read_as(name: str, content: bytes) -> asyncio.Task[object]:
        CURRENT_VISITOR.set(Visitor(id=name))
        return asyncio.create_task(reader.read_pdf(content))

    hostile = [read_as("hostile", content) for _ in range(16)]
    await asyncio.sleep(0.5)
    try:
        document = await asyncio.wait_for(read_as("honest", pdf("Hello")), 15)
    finally:
        for task in hostile:
            task.cancel()
        await asyncio.gather(*hostile, return_exceptions=True)
    assert getattr(document, "text", "") == "Hello"


def test_a_pdf_that_takes_long_is_read_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "PDF_CPU_S", 0.0)
    assert read("pdf", pdf("First", "Second", "Third")) == {
        "text": "First",
        "pages": 3,
        "read_pages": 1,
    }
