"""A model's picture: the owner's, by thumbnailId, or a drawn monogram."""

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

LARGEST_BYTES: Final = 1_000_000
LARGEST_EDGE_PX: Final = 2048
_SUFFIXES: Final = (".svg", ".png", ".webp")
_SVG: Final = "{http://www.w3.org/2000/svg}"
_MOST_SVG_ELEMENTS: Final = 5_000
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,99}")
_ACTIVE_ELEMENTS: Final = frozenset(
    {
        "animate", "animatecolor", "animatemotion", "animatetransform", "audio", "discard",
        "embed", "foreignobject", "handler", "iframe", "listener", "object", "script", "set",
        "video",
    }
)  # fmt: skip
_EMBEDDED_PICTURE: Final = re.compile(r"data:image/(?:png|jpeg|webp|gif);base64,[A-Za-z0-9+/=\s]*")
_OUTSIDE_CSS: Final = re.compile(r"url\((?!\s*['\"]?\s*#)|@import|\\|image-set", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An image as it goes over the wire. media_type: `image/png` or `image/svg+xml`."""

    content: bytes
    media_type: str


class Thumbnails:
    """The pictures of all models, each made once and kept in memory. Live state.

    folder: where `thumbnailId` is looked up as `<id>.svg`, `.png` or `.webp`; on a dark
    page `<id>.dark.svg` and so on come first. A folder that isn't there is an empty one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[tuple[str, str, str, bool], Picture] = {}

    def picture(self, card: ModelCard, *, dark: bool) -> Picture:
        """The owner's picture if there is a good one, else a monogram. Never raises."""
        key = (card.thumbnail_id, card.id, card.name, dark)
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = self._make(card, dark=dark)
        return made

    def problems(self, cards: Iterable[ModelCard]) -> tuple[Problem, ...]:
        """What is wrong with the pictures that these entries name; to be asked at start."""
        found: dict[Problem, None] = {}
        for card in cards:
            for dark in (False, True):
                try:
                    self._owners(card, dark=dark)
                except _PictureError as error:
                    found[_problem(card, error)] = None
        return tuple(found)

    def _make(self, card: ModelCard, *, dark: bool) -> Picture:
        try:
            picture = self._owners(card, dark=dark)
        except _PictureError as error:
            logger.warning("thumbnail.refused", extra={"model": card.id, "hint": error.hint})
            picture = None
        return picture or Picture(content=draw_monogram(card, dark=dark), media_type="image/png")

    def _owners(self, card: ModelCard, *, dark: bool) -> Picture | None:
        path = self._find(card.thumbnail_id, dark=dark)
        return _read(path) if path else None

    def _find(self, thumbnail_id: str, *, dark: bool) -> Path | None:
        if not thumbnail_id:
            return None
        if not _NAME.fullmatch(thumbnail_id) or ".." in thumbnail_id:
            raise _PictureError(thumbnail_id, "write the bare name of a picture, no folder in it")
        name = thumbnail_id
        if name.lower().endswith(_SUFFIXES):
            name = name.rsplit(".", maxsplit=1)[0]
        for stem in (f"{name}.dark", name) if dark else (name,):
            for suffix in _SUFFIXES:
                path = self._folder / f"{stem}{suffix}"
                if path.is_file():
                    return self._inside(path)
        return None

    def _inside(self, path: Path) -> Path:
        if not path.resolve().is_relative_to(self._folder.resolve()):
            raise _PictureError(path.name, "it is a link out of the folder; put the picture there")
        return path


class _PictureError(ValueError):
    """A picture that is not served. value: its name; hint: what to do."""

    def __init__(self, value: str, hint: str) -> None:
        super().__init__(hint)
        self.value, self.hint = value, hint


def _problem(card: ModelCard, error: _PictureError) -> Problem:
    hint = f"{error.hint}; a monogram is shown until then"
    return Problem(where=f"model {card.id}", field="thumbnailId", value=error.value[:60], hint=hint)


def _read(path: Path) -> Picture:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
    except OSError:
        raise _PictureError(path.name, "the file can't be read; check its permissions") from None
    if len(content) > LARGEST_BYTES:
        raise _PictureError(path.name, "it is larger than 1 MB; save it smaller")
    if path.suffix == ".svg":
        return _read_svg(path.name, content)
    return _read_raster(path.name, content)


def _read_raster(name: str, content: bytes) -> Picture:
    """Drawn anew at 128 pixels, so that nothing of the file but its colors gets out."""
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "WEBP")) as image:
            if max(image.size) > LARGEST_EDGE_PX:
                raise _PictureError(name, f"it is over {LARGEST_EDGE_PX} pixels; save it smaller")
            drawn = image.convert("RGBA")
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        struct.error,
        MemoryError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:  # what Pillow's readers raise at broken files
        if isinstance(error, _PictureError):
            raise
        raise _PictureError(name, "it is no whole PNG or WebP picture; save it again") from None
    drawn.thumbnail((EDGE_PX, EDGE_PX), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    drawn.save(file, "PNG")
    return Picture(content=file.getvalue(), media_type="image/png")


def _read_svg(name: str, content: bytes) -> Picture:
    """Written anew from what was checked: no comments, instructions or entities are left."""
    try:
        text = content.decode("utf-8-sig")
        if re.search(r"<!\s*(DOCTYPE|ENTITY)", text, re.IGNORECASE):
            raise _PictureError(name, "take the DOCTYPE out of it")
        root = ElementTree.fromstring(text)
        if root.tag != f"{_SVG}svg":
            raise _PictureError(name, 'it needs <svg xmlns="http://www.w3.org/2000/svg"> around it')
        for count, element in enumerate(root.iter()):
            if count == _MOST_SVG_ELEMENTS:
                raise _PictureError(name, f"it has over {_MOST_SVG_ELEMENTS} parts; simplify it")
            _check_element(name, element)
        written: bytes = ElementTree.tostring(root, encoding="utf-8")
    except UnicodeDecodeError:
        raise _PictureError(name, "save it as UTF-8 text") from None
    except (ElementTree.ParseError, RecursionError):
        raise _PictureError(name, "it is no well-formed SVG; save it again") from None
    return Picture(content=written, media_type="image/svg+xml")


def _check_element(name: str, element: ElementTree.Element) -> None:
    """Raises at whatever could run, move or ask another server."""
    tag = _local(element.tag)
    if tag in _ACTIVE_ELEMENTS:
        raise _PictureError(name, f"take the <{tag}> out of it")
    if tag == "style" and _OUTSIDE_CSS.search(element.text or ""):
        raise _PictureError(name, "take the addresses out of its <style>")
    for key, value in element.attrib.items():
        attribute = _local(key)
        if attribute.startswith("on"):
            raise _PictureError(name, f"take the {attribute} out of it")
        if attribute in ("href", "src", "base") and not _stays_inside(value):
            raise _PictureError(name, f"take the {attribute} to another place out of it")
        if "}" not in key and attribute not in ("href", "src") and _OUTSIDE_CSS.search(value):
            raise _PictureError(name, f"take the address out of its {attribute}")


def _local(name: str) -> str:
    return name.rsplit("}", maxsplit=1)[-1].lower()


def _stays_inside(reference: str) -> bool:
    reference = reference.strip()
    return reference.startswith("#") or _EMBEDDED_PICTURE.fullmatch(reference) is not None
