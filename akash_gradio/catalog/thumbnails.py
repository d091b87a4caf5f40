"""Serves a model's thumbnail: the file named by `thumbnailId`, or a monogram."""

from __future__ import annotations

import io
import logging
import re
import struct
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from akash_gradio.catalog.monograms import EDGE_PX, draw_monogram
from akash_gradio.domain.model import ModelCard, Problem

logger = logging.getLogger(__name__)

MAX_BYTES: Final = 1_000_000
MAX_EDGE_PX: Final = 2048
_SUFFIXES: Final = (".svg", ".png", ".webp")
_SVG: Final = "{http://www.w3.org/2000/svg}"
_MAX_SVG_ELEMENTS: Final = 5_000
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,99}")
_ACTIVE_ELEMENTS: Final = frozenset(
    {
        "animate", "animatecolor", "animatemotion", "animatetransform", "audio", "discard",
        "embed", "foreignobject", "handler", "iframe", "listener", "object", "script", "set",
        "video",
    }
)  # fmt: skip
_EMBEDDED_PICTURE: Final = re.compile(r"data:image/(?:png|jpeg|webp|gif);base64,[A-Za-z0-9+/=\s]*")
_EXTERNAL_CSS: Final = re.compile(r"url\((?!\s*['\"]?\s*#)|@import|\\|image-set", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An image as it is sent. `media_type` is `image/png` or `image/svg+xml`."""

    content: bytes
    media_type: str


class Thumbnails:
    """The thumbnails of all models, each created once and kept in memory.

    Args:
        folder: Where `thumbnailId` is looked up as `<id>.svg`, `.png` or `.webp`. In dark mode
            `<id>.dark.svg` and so on take precedence. A missing folder counts as empty.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pictures: dict[tuple[str, str, str, bool], Picture] = {}

    def picture(self, card: ModelCard, *, dark: bool) -> Picture:
        """Return the configured picture if it is usable, else a monogram. Raises nothing."""
        key = (card.thumbnail_id, card.id, card.name, dark)
        picture = self._pictures.get(key)
        if picture is None:
            picture = self._pictures[key] = self._create(card, dark=dark)
        return picture

    def problems(self, cards: Iterable[ModelCard]) -> tuple[Problem, ...]:
        """Return the problems of the pictures that these entries refer to."""
        problems: dict[Problem, None] = {}
        for card in cards:
            for dark in (False, True):
                try:
                    self._configured(card, dark=dark)
                except _PictureError as error:
                    problems[_problem(card, error)] = None
        return tuple(problems)

    def _create(self, card: ModelCard, *, dark: bool) -> Picture:
        try:
            picture = self._configured(card, dark=dark)
        except _PictureError as error:
            logger.warning("thumbnail.rejected", extra={"model": card.id, "hint": error.hint})
            picture = None
        return picture or Picture(content=draw_monogram(card, dark=dark), media_type="image/png")

    def _configured(self, card: ModelCard, *, dark: bool) -> Picture | None:
        path = self._find(card.thumbnail_id, dark=dark)
        return _read(path) if path else None

    def _find(self, thumbnail_id: str, *, dark: bool) -> Path | None:
        if not thumbnail_id:
            return None
        if not _NAME.fullmatch(thumbnail_id) or ".." in thumbnail_id:
            raise _PictureError(thumbnail_id, "must be the name of a picture without a folder")
        name = thumbnail_id
        if name.lower().endswith(_SUFFIXES):
            name = name.rsplit(".", maxsplit=1)[0]
        for stem in (f"{name}.dark", name) if dark else (name,):
            for suffix in _SUFFIXES:
                path = self._folder / f"{stem}{suffix}"
                if path.is_file():
                    return self._require_inside(path)
        return None

    def _require_inside(self, path: Path) -> Path:
        if not path.resolve().is_relative_to(self._folder.resolve()):
            raise _PictureError(
                path.name, "is a link to a file outside the folder; copy the picture into it"
            )
        return path


class _PictureError(ValueError):
    """A picture can't be used.

    Attributes:
        value: Its name.
        hint: What to change.
    """

    def __init__(self, value: str, hint: str) -> None:
        super().__init__(hint)
        self.value, self.hint = value, hint


def _problem(card: ModelCard, error: _PictureError) -> Problem:
    hint = f"{error.hint}; until then a monogram is shown"
    return Problem(where=f"model {card.id}", field="thumbnailId", value=error.value[:60], hint=hint)


def _read(path: Path) -> Picture:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError:
        raise _PictureError(path.name, "can't be read; check its permissions") from None
    if len(content) > MAX_BYTES:
        raise _PictureError(path.name, "must be at most 1 MB")
    if path.suffix == ".svg":
        return _read_svg(path.name, content)
    return _read_raster(path.name, content)


def _read_raster(name: str, content: bytes) -> Picture:
    """Redraw the picture at 128 pixels, which removes all metadata."""
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "WEBP")) as image:
            if max(image.size) > MAX_EDGE_PX:
                raise _PictureError(name, f"must be at most {MAX_EDGE_PX} pixels wide and high")
            picture = image.convert("RGBA")
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        struct.error,
        MemoryError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:  # raised by Pillow for damaged files
        if isinstance(error, _PictureError):
            raise
        raise _PictureError(name, "is not a complete PNG or WebP picture; save it again") from None
    picture.thumbnail((EDGE_PX, EDGE_PX), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "PNG")
    return Picture(content=file.getvalue(), media_type="image/png")


def _read_svg(name: str, content: bytes) -> Picture:
    """Rewrite the parsed document, which removes comments, instructions and entities."""
    try:
        text = content.decode("utf-8-sig")
        if re.search(r"<!\s*(DOCTYPE|ENTITY)", text, re.IGNORECASE):
            raise _PictureError(name, "must not contain a DOCTYPE")
        root = ElementTree.fromstring(text)
        if root.tag != f"{_SVG}svg":
            raise _PictureError(
                name, 'must have the root element <svg xmlns="http://www.w3.org/2000/svg">'
            )
        for count, element in enumerate(root.iter()):
            if count == _MAX_SVG_ELEMENTS:
                raise _PictureError(name, f"must have at most {_MAX_SVG_ELEMENTS:,} elements")
            _check_element(name, element)
        content = ElementTree.tostring(root, encoding="utf-8")
    except UnicodeDecodeError:
        raise _PictureError(name, "must be UTF-8 text") from None
    except (ElementTree.ParseError, RecursionError):
        raise _PictureError(name, "is not well-formed SVG; save it again") from None
    return Picture(content=content, media_type="image/svg+xml")


def _check_element(name: str, element: ElementTree.Element) -> None:
    """Reject scripts, animations, and references to other servers."""
    tag = _local(element.tag)
    if tag in _ACTIVE_ELEMENTS:
        raise _PictureError(name, f"must not contain a <{tag}> element")
    if tag == "style" and _EXTERNAL_CSS.search(element.text or ""):
        raise _PictureError(name, "must not contain URLs in <style>")
    for key, value in element.attrib.items():
        attribute = _local(key)
        if attribute.startswith("on"):
            raise _PictureError(name, f"must not contain the attribute {attribute}")
        if attribute in ("href", "src", "base") and not _is_internal(value):
            raise _PictureError(name, f"must not contain an external {attribute}")
        if "}" not in key and attribute not in ("href", "src") and _EXTERNAL_CSS.search(value):
            raise _PictureError(name, f"must not contain a URL in {attribute}")


def _local(name: str) -> str:
    return name.rsplit("}", maxsplit=1)[-1].lower()


def _is_internal(reference: str) -> bool:
    reference = reference.strip()
    return reference.startswith("#") or _EMBEDDED_PICTURE.fullmatch(reference) is not None
