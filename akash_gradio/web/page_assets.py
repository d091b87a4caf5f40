"""How the page comes to a browser that was never here: few files, small, and asked for at once.

Our scripts are joined into one file and our styles into another, both named by their content and
kept by browsers for ever. Gradio's page is finished before it is sent: Gradio itself would put
our tags into it with a script of its own, after everything else has come.
docs/frontend.md has the figures.
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
from akash_gradio.web.gradio_assets import ENTRY, built_files, files_of_first_visit
from akash_gradio.web.templating import render_template, tab_icon

FOREVER: Final = "public, max-age=31536000, immutable"
VIEWPORT: Final = (
    '<meta name="viewport" content="width=device-width, initial-scale=1, '
    'interactive-widget=resizes-content, viewport-fit=cover">'
)
KEPT_BYTES: Final = 1_000_000
"""A page from this size on isn't kept in memory."""
_VIEWPORT: Final = re.compile(r'<meta\s+name="viewport"[^>]*>')
_KIND: Final = re.compile(r'"type":\s*"(\w+)"')
_ENTRY_TAG: Final = re.compile(r"<script[^>]*" + ENTRY.pattern)
_BODY_TAG: Final = re.compile(r"<body[^>]*>")
_PACKABLE: Final = (".js", ".css", ".svg", ".ttf")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFiles:
    """The page's own files. theme: the script that runs before the first paint, in the page.

    stamp: changes whenever script or style does, so that browsers never mix two versions.
    """

    theme: str
    script: bytes
    style: bytes
    stamp: str


@cache
def page_files() -> PageFiles:
    """Read and joined once. Raises ScriptFault where a script can't be joined."""
    script = join_scripts(ASSETS / "js", "app").encode()
    sheets = sorted((ASSETS / "css").glob("*.css"))
    sheets.sort(key=lambda path: path.name != "page.css")  # the tokens first
    style = b"\n".join(path.read_bytes() for path in sheets)
    return PageFiles(
        theme=(ASSETS / "js" / "theme.js").read_text("utf-8"),
        script=script,
        style=style,
        stamp=hashlib.sha256(script + style).hexdigest()[:12],
    )


def bundle_routes() -> list[Route]:
    """Our two files, and Gradio's built ones in the place of its own address for them."""
    files, built, shelf = page_files(), built_files(), Shelf()

    async def script(request: Request) -> Response:
        kept = request.path_params["stamp"] == files.stamp
        return await shelf.answer(request, "page.js", lambda: files.script, kept=kept)

    async def style(request: Request) -> Response:
        kept = request.path_params["stamp"] == files.stamp
        return await shelf.answer(request, "page.css", lambda: files.style, kept=kept)

    async def gradios(request: Request) -> Response:
        file = built / request.path_params["name"]
        if file.parent != built or not file.is_file():
            return Response(status_code=404)
        return await shelf.answer(request, file.name, file.read_bytes)

    return [
        Route("/page/assets/js/page-{stamp}.js", script),
        Route("/page/assets/css/page-{stamp}.css", style),
        Route("/assets/{name}", gradios),
    ]


class Shelf:
    """Live: files that never change, each packed once."""

    def __init__(self) -> None:
        self._packed: dict[tuple[str, str], bytes] = {}

    async def answer(
        self, request: Request, name: str, read: Callable[[], bytes], *, kept: bool = True
    ) -> Response:
        """The file as this browser takes it. kept: for ever; otherwise it asks again each time.

        That is for a browser whose page came from another version of us, as there is one for a
        moment while replicas are renewed: it gets what we have.
        """
        encoding = choose_encoding(request.headers.get("accept-encoding", ""))
        headers = {"cache-control": FOREVER if kept else "no-cache", "vary": "accept-encoding"}
        if encoding and name.endswith(_PACKABLE):
            headers["content-encoding"] = encoding
            if (name, encoding) not in self._packed:
                packed = await asyncio.to_thread(compress, read(), encoding, quality=STATIC_QUALITY)
                self._packed[name, encoding] = packed
            content = self._packed[name, encoding]
        else:
            content = read()
        kind = "text/javascript" if name.endswith(".js") else mimetypes.guess_type(name)[0]
        return Response(content, media_type=kind, headers=headers)


def inject_page_assets(html: bytes) -> bytes:
    """Gradio's page with our tags, and the names of all files that it will ask for.

    Another page stays as it is.
    """
    return (_finished_before if len(html) < KEPT_BYTES else _finished)(html)


def _finished(html: bytes) -> bytes:
    text = html.decode("utf-8")
    entry = _ENTRY_TAG.search(text)
    if entry is None:
        return html
    files = page_files()
    style = f"page/assets/css/page-{files.stamp}.css"
    asked = files_of_first_visit(entry[1], frozenset(_KIND.findall(text)), built_files())
    head = "\n".join(
        (
            f'<meta name="description" content="{escape(texts.PAGE["title"])}">',
            tab_icon(),
            f"<script>{files.theme}</script>",
            f'<link rel="preload" as="style" href="{style}">',
            f'<script type="module" src="page/assets/js/page-{files.stamp}.js"></script>',
        )
    )
    ahead = "\n".join(_named_ahead(name) for name in asked if f"./assets/{name}" not in text)
    text = _VIEWPORT.sub(VIEWPORT, text, count=1)
    text = _ENTRY_TAG.sub(lambda tag: f"{head}\n{tag[0]}", text, count=1)
    text = text.replace("</head>", f"{ahead}\n</head>", 1)
    # In the body, so that it stands behind every sheet that Gradio's script puts into the head.
    body = f'<link rel="stylesheet" href="{style}">{render_template("early")}'
    return _BODY_TAG.sub(lambda tag: f"{tag[0]}{body}", text, count=1).encode()


_finished_before = lru_cache(maxsize=4)(_finished)


def _named_ahead(name: str) -> str:
    if name.endswith(".css"):
        return f'<link rel="preload" as="style" crossorigin href="./assets/{name}">'
    return f'<link rel="modulepreload" crossorigin href="./assets/{name}">'
