"""The child process: reads a file from standard input, writes JSON to standard output, and ends.

`python -m akash_gradio.files.child pdf|picture`
"""

from __future__ import annotations

import base64
import io
import json
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from akash_gradio.domain.size_limits import (
    FILE_PAGES,
    FILE_PIXELS,
    FILE_TEXT_CHARACTERS,
    JPEG_PIXELS,
)
from akash_gradio.files.errors import UnreadableFile

if TYPE_CHECKING:
    from pypdf import PageObject

MEMORY_LIMIT_BYTES: Final = 1_500_000_000
CPU_LIMIT_S: Final = 14
"""The process is killed after this CPU time."""
PDF_CPU_S: Final = 8.0
"""After this CPU time no further page of a PDF is read: other files wait."""
NICENESS: Final = 10
"""Added to the priority of the server, whose event loop comes first."""
MAX_EDGE_PIXELS: Final = 1568
"""Vision models shrink larger pictures themselves."""
PICTURE_FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
_JPEG_QUALITY: Final = 85

Result = dict[str, Any]
_ERROR_CODES: Final = {
    "DependencyError": "file_locked",
    "FileNotDecryptedError": "file_locked",
    "LimitReachedError": "file_too_heavy",
}
"""Class name of a pypdf error → code. Names, because reading a picture doesn't import pypdf."""


def limit_resources() -> None:
    """Limit this process's priority, memory and CPU time, on systems that support it."""
    if hasattr(os, "nice"):  # not Windows
        os.nice(NICENESS)
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT_S, CPU_LIMIT_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def read_pdf(content: bytes) -> Result:
    """Extract the text of a PDF, up to the limits.

    Raises:
        UnreadableFile: The file is locked or has no text.
    """
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(content))
    if reader.is_encrypted and not reader.decrypt(""):
        raise UnreadableFile("file_locked")
    texts: list[str] = []
    began_s = time.process_time()
    remaining = FILE_TEXT_CHARACTERS
    for page in reader.pages[:FILE_PAGES]:
        text = page.extract_text().strip().encode("utf-8", "replace").decode()
        if len(text) > remaining:
            break
        remaining -= len(text)
        texts.append(text)
        if time.process_time() - began_s > PDF_CPU_S:
            break
    if not any(texts):
        for page in reader.pages[: len(texts)]:
            decompress(page)
        raise UnreadableFile("file_without_text" if texts else "file_too_heavy")
    text = "\n\n".join(text for text in texts if text)
    return {"text": text, "pages": len(reader.pages), "read_pages": len(texts)}


def decompress(page: PageObject) -> None:
    """Decompress a page without text.

    Raises:
        LimitReachedError: It is too large, which `extract_text` doesn't report.
    """
    contents = page.get_contents()
    if contents is not None:
        contents.get_data()


def read_picture(content: bytes) -> Result:
    """Convert the first frame to an upright, downscaled JPEG without metadata.

    Raises:
        UnreadableFile: The file is not a picture, or too large.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = None  # FILE_PIXELS is checked instead
    try:
        image: Image.Image = Image.open(io.BytesIO(content), formats=PICTURE_FORMATS)
    except UnidentifiedImageError:
        raise UnreadableFile("file_not_picture") from None
    with image:
        limit = JPEG_PIXELS if image.format == "JPEG" else FILE_PIXELS
        if image.width * image.height > limit:
            raise UnreadableFile("file_too_many_pixels")
        edges = (MAX_EDGE_PIXELS, MAX_EDGE_PIXELS)
        image.draft("RGB", edges)
        image.thumbnail(edges)
        upright = ImageOps.exif_transpose(image)
        plain = Image.new("RGB", upright.size, "white")
        with_alpha = upright.convert("RGBA")
        plain.paste(with_alpha, mask=with_alpha.getchannel("A"))
    # A new picture has none of the old file's EXIF data, color profile or comments.
    out = io.BytesIO()
    plain.save(out, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    url = "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()
    return {"url": url, "width": plain.width, "height": plain.height}


READERS: Final[dict[str, Callable[[bytes], Result]]] = {"pdf": read_pdf, "picture": read_picture}


def read(kind: str, content: bytes) -> Result:
    """Return the file's content, or `{"error": code}` for any exception of a reader.

    Args:
        kind: A key of READERS.
        content: The file.
    """
    try:
        return READERS[kind](content)
    except UnreadableFile as error:
        return {"error": error.code}
    except MemoryError:
        return {"error": "file_too_heavy"}
    except Exception as error:
        return {"error": _ERROR_CODES.get(type(error).__name__, "file_damaged")}


def main() -> None:
    """Read standard input to its end, and write the result."""
    content = sys.stdin.buffer.read()
    limit_resources()
    result = json.dumps(read(sys.argv[1], content))
    sys.stdout.write(result)


if __name__ == "__main__":
    main()
