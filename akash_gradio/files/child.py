"""The child process: a file on standard input, JSON on standard output, then its end.

`python -m akash_gradio.files.child pdf|picture`
"""

from __future__ import annotations

import base64
import io
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pypdf import PageObject

MEMORY_LIMIT_BYTES: Final = 1_500_000_000
CPU_LIMIT_S: Final = 20
TEXT_LIMIT_CHARACTERS: Final = 1_000_000
PAGE_LIMIT: Final = 500
PIXEL_LIMIT: Final = 60_000_000
"""More than any camera's of today; decoded it is a quarter of a gigabyte."""
LONGEST_EDGE_PIXELS: Final = 1568
"""Vision models shrink what is larger themselves."""
PICTURE_FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
_QUALITY: Final = 85

Result = dict[str, Any]
_REASONS: Final = {
    "DependencyError": "locked",
    "FileNotDecryptedError": "locked",
    "LimitReachedError": "too_heavy",
}
"""pypdf's errors by their names, so that pictures are read without it."""


class Faulty(Exception):
    """The file is at fault. Its text is a reason of `reading.UnreadableFile`."""


def limit_memory_and_time() -> None:
    """Let the system end this process before it harms others; where it can (not on Windows)."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT_S, CPU_LIMIT_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def read_pdf(content: bytes) -> Result:
    """The text of its pages, up to the limits. Raises Faulty."""
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(content))
    if reader.is_encrypted and not reader.decrypt(""):
        raise Faulty("locked")
    texts: list[str] = []
    left = TEXT_LIMIT_CHARACTERS
    for page in reader.pages[:PAGE_LIMIT]:
        text = page.extract_text().strip().encode("utf-8", "replace").decode()
        if len(text) > left:
            break
        left -= len(text)
        texts.append(text)
    if not any(texts):
        for page in reader.pages[: len(texts)]:
            unpack(page)
        raise Faulty("no_text" if texts else "too_heavy")
    whole = "\n\n".join(text for text in texts if text)
    return {"text": whole, "pages": len(reader.pages), "read_pages": len(texts)}


def unpack(page: PageObject) -> None:
    """What is behind a page without text. Raises LimitReachedError, which `extract_text` hides."""
    contents = page.get_contents()
    if contents is not None:
        contents.get_data()


def read_picture(content: bytes) -> Result:
    """The first frame, upright and shrunk, as a JPEG without anything else. Raises Faulty."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = None  # its own limit is told here
    try:
        image: Image.Image = Image.open(io.BytesIO(content), formats=PICTURE_FORMATS)
    except UnidentifiedImageError:
        raise Faulty("not_picture") from None
    with image:
        if image.width * image.height > PIXEL_LIMIT:
            raise Faulty("too_many_pixels")
        edges = (LONGEST_EDGE_PIXELS, LONGEST_EDGE_PIXELS)
        image.draft("RGB", edges)
        image.thumbnail(edges)
        upright = ImageOps.exif_transpose(image)
        plain = Image.new("RGB", upright.size, "white")
        seen = upright.convert("RGBA")
        plain.paste(seen, mask=seen.getchannel("A"))
    # A new picture: nothing of the old file's EXIF, profile or comments comes along.
    out = io.BytesIO()
    plain.save(out, "JPEG", quality=_QUALITY, optimize=True)
    url = "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()
    return {"url": url, "width": plain.width, "height": plain.height}


READERS: Final[dict[str, Callable[[bytes], Result]]] = {"pdf": read_pdf, "picture": read_picture}


def answer(kind: str, content: bytes) -> Result:
    """What the file holds, or `{"reason": …}`. Whatever a hostile file raises is its fault."""
    try:
        return READERS[kind](content)
    except Faulty as fault:
        return {"reason": str(fault)}
    except MemoryError:
        return {"reason": "too_heavy"}
    except Exception as error:
        return {"reason": _REASONS.get(type(error).__name__, "broken")}


def main() -> None:
    """Read standard input to its end, and say what it is."""
    content = sys.stdin.buffer.read()
    limit_memory_and_time()
    said = json.dumps(answer(sys.argv[1], content))
    sys.stdout.write(said)


if __name__ == "__main__":
    main()
