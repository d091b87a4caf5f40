"""Serves the page's scripts and styles as few, small files, and links them in Gradio's page.

Our scripts are joined into one file and our styles into another. Both are named by their content,
so browsers cache them permanently. Our tags are injected into Gradio's page before it is sent:
Gradio itself would add them by a script, after everything else is loaded. docs/frontend.md has
measurements.
"""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from html import escape
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from akash_gradio.config.paths import ASSETS
from akash_gradio.http.compression import STATIC_QUALITY, choose_encoding, compress
from akash_gradio.web import texts
from akash_gradio.web.bundle import join_scripts
from akash_gradio.web.gradio_assets import ENTRY, built_files, first_visit_files
from akash_gradio.web.templating import render_template, tab_icon

CACHE_PERMANENTLY: Final = "public, max-age=31536000, immutable"
VIEWPORT: Final = (
    '<meta name="viewport" content="width=device-width, initial-scale=1, '
    'interactive-widget=resizes-content, viewport-fit=cover">'
)
CACHED_PAGE_BYTES: Final = 1_000_000
"""A larger page isn't cached in memory."""
_VIEWPORT: Final = re.compile(r'<meta\s+name="viewport"[^>]*>')
_KIND: Final = re.compile(r'"type":\s*"(\w+)"')
_ENTRY_TAG: Final = re.compile(r"<script[^>]*" + ENTRY.pattern)
_BODY_TAG: Final = re.compile(r"<body[^>]*>")
_COMPRESSIBLE: Final = (".js", ".css", ".svg", ".ttf")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFiles:
    """The page's own files.

    Attributes:
        theme: The script that sets the theme before the first paint, inline in the page.
        script: All other scripts.
        style: All style sheets.
        stamp: Changes with the script and the style, so that browsers never mix two versions.
    """

    theme: str
    script: bytes
    style: bytes
    stamp: str


@cache
def page_files() -> PageFiles:
    """Read and join the files, once.

    Raises:
        BundleError: A script can't be joined.
    """
    script = join_scripts(ASSETS / "js", "app").encode()
    sheets = sorted((ASSETS / "css").glob("*.css"))
    sheets.sort(key=lambda path: path.name != "page.css")  # it defines the custom properties
    style = b"\n".join(path.read_bytes() for path in sheets)
    return PageFiles(
        theme=(ASSETS / "js" / "theme.js").read_text("utf-8"),
        script=script,
        style=style,
        stamp=hashlib.sha256(script + style).hexdigest()[:12],
    )


def bundle_routes() -> list[Route]:
    """Return the routes of our two files, and of Gradio's built files instead of its own route."""
    files, built, cache = page_files(), built_files(), CompressedFiles()

    async def script(request: Request) -> Response:
        current = request.path_params["stamp"] == files.stamp
        return await cache.response(request, "page.js", lambda: files.script, current=current)

    async def style(request: Request) -> Response:
        current = request.path_params["stamp"] == files.stamp
        return await cache.response(request, "page.css", lambda: files.style, current=current)

    async def gradio_file(request: Request) -> Response:
        file = built / request.path_params["name"]
        if file.parent != built or not file.is_file():
            return Response(status_code=404)
        return await cache.response(request, file.name, file.read_bytes)

    return [
        Route("/page/assets/js/page-{stamp}.js", script),
        Route("/page/assets/css/page-{stamp}.css", style),
        Route("/assets/{name}", gradio_file),
    ]


class CompressedFiles:
    """Files that never change, each compressed once."""

    def __init__(self) -> None:
        self._compressed: dict[tuple[str, str], bytes] = {}

    async def response(
        self, request: Request, name: str, read: Callable[[], bytes], *, current: bool = True
    ) -> Response:
        """Return a file in an encoding that the browser accepts.

        Args:
            request: The browser's request.
            name: The name of the file, which determines its media type.
            read: Reads its content.
            current: Whether the browser requests this version, which it may then cache
                permanently. While replicas are updated it may request another version; it gets
                this one, without caching.
        """
        encoding = choose_encoding(request.headers.get("accept-encoding", ""))
        headers = {
            "cache-control": CACHE_PERMANENTLY if current else "no-cache",
            "vary": "accept-encoding",
        }
        if encoding and name.endswith(_COMPRESSIBLE):
            headers["content-encoding"] = encoding
            if (name, encoding) not in self._compressed:
                content = await asyncio.to_thread(
                    compress, read(), encoding, quality=STATIC_QUALITY
                )
                self._compressed[name, encoding] = content
            content = self._compressed[name, encoding]
        else:
            content = read()
        media_type = "text/javascript" if name.endswith(".js") else mimetypes.guess_type(name)[0]
        return Response(content, media_type=media_type, headers=headers)


def inject_page_assets(html: bytes) -> bytes:
    """Return Gradio's page with our tags, and with preload tags for the files that it will load.

    Any other page is returned unchanged.
    """
    return (_inject_cached if len(html) < CACHED_PAGE_BYTES else _inject)(html)


def _inject(html: bytes) -> bytes:
    text = html.decode("utf-8")
    entry = _ENTRY_TAG.search(text)
    if entry is None:
        return html
    files = page_files()
    style = f"page/assets/css/page-{files.stamp}.css"
    names = first_visit_files(entry[1], frozenset(_KIND.findall(text)), built_files())
    head = "\n".join(
        (
            f'<meta name="description" content="{escape(texts.PAGE["title"])}">',
            tab_icon(),
            f"<script>{files.theme}</script>",
            f'<link rel="preload" as="style" href="{style}">',
            f'<script type="module" src="page/assets/js/page-{files.stamp}.js"></script>',
        )
    )
    preloads = "\n".join(_preload_tag(name) for name in names if f"./assets/{name}" not in text)
    text = _VIEWPORT.sub(VIEWPORT, text, count=1)
    text = _ENTRY_TAG.sub(lambda tag: f"{head}\n{tag[0]}", text, count=1)
    text = text.replace("</head>", f"{preloads}\n</head>", 1)
    # In the body, so that it follows every style sheet that Gradio's script adds to the head.
    body = f'<link rel="stylesheet" href="{style}">{render_template("early")}'
    return _BODY_TAG.sub(lambda tag: f"{tag[0]}{body}", text, count=1).encode()


_inject_cached = lru_cache(maxsize=4)(_inject)


def _preload_tag(name: str) -> str:
    if name.endswith(".css"):
        return f'<link rel="preload" as="style" crossorigin href="./assets/{name}">'
    return f'<link rel="modulepreload" crossorigin href="./assets/{name}">'
