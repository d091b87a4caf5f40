from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from akash_gradio.web.gradio_assets import ENTRY, built_files, first_visit_files
from akash_gradio.web.page_assets import (
    CACHE_PERMANENTLY,
    bundle_routes,
    inject_page_assets,
    page_files,
)

GRADIOS = (built_files().parent / "index.html").read_text()
KINDS = ("html", "row", "column", "form", "textbox", "radio", "slider", "number", "checkbox")
PAGE = GRADIOS.replace(
    "<script>", "<script>/* " + " ".join(f'"type":"{k}"' for k in KINDS) + " */", 1
)


@pytest.fixture(scope="module")
def finished() -> str:
    return inject_page_assets(PAGE.encode()).decode()


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(Starlette(routes=bundle_routes())) as client:
        yield client


def test_our_scripts_precede_gradios(finished: str) -> None:
    ours = finished.index(f"page/assets/js/page-{page_files().stamp}.js")
    assert finished.index("akash-gradio.theme") < ours < finished.index("./assets/index-")


def test_our_styles_follow_those_that_gradio_adds_to_the_head(finished: str) -> None:
    sheet = f'<link rel="stylesheet" href="page/assets/css/page-{page_files().stamp}.css">'
    assert finished.index("<body") < finished.index(sheet) < finished.index("</body>")


def test_the_outline_is_visible_before_gradio_renders_and_not_focusable(
    finished: str,
) -> None:
    sheet, early, gradios = (
        finished.index(mark)
        for mark in ('<link rel="stylesheet" href="page/', 'id="early"', "<gradio-app")
    )
    assert sheet < early < gradios
    outline = finished[early:gradios]
    assert re.findall(r'<a |<button| id="(?!early)', outline) == []


def test_the_page_has_only_our_viewport(finished: str) -> None:
    (viewport,) = re.findall(r'<meta\s+name="viewport"[^>]*>', finished)
    assert "interactive-widget=resizes-content" in viewport


def test_the_tab_icon_needs_no_request(finished: str) -> None:
    (icon,) = re.findall(r'<link rel="icon" href="([^"]*)">', finished)
    kind, _, drawn = icon.partition(",")
    assert kind == "data:image/svg+xml"
    assert ElementTree.fromstring(unquote(drawn)).tag == "{http://www.w3.org/2000/svg}svg"


def test_other_pages_are_not_changed() -> None:
    page = b'<!doctype html><head></head><body><script src="page/assets/js/sign_in.js"></script>'
    assert inject_page_assets(page) == page


def test_every_preloaded_file_exists(finished: str) -> None:
    named = re.findall(r'<link [^>]*crossorigin href="\./assets/([^"]+)">', finished)
    assert len(named) == len(set(named)) > 40
    for name in named:
        assert (built_files() / name).is_file()
    scripts = [name for name in named if name.endswith(".js")]
    for beginning in ("Blocks-", "core-", "HTML-", "Index-"):
        assert any(name.startswith(beginning) for name in scripts)


def test_only_the_components_of_the_page_are_preloaded() -> None:
    entry = ENTRY.search(GRADIOS)
    assert entry is not None
    some_files = first_visit_files(entry[1], frozenset({"html"}), built_files())
    more_files = first_visit_files(
        entry[1], frozenset({"html", "slider", "nothing"}), built_files()
    )
    assert set(some_files) < set(more_files)


def test_an_unknown_build_of_gradio_preloads_nothing(tmp_path: Path) -> None:
    assert first_visit_files("index-other.js", frozenset(KINDS), tmp_path) == ()
    (tmp_path / "index-new.js").write_text("m.f=[]; import(`./Index-a.js`)")
    assert first_visit_files("index-new.js", frozenset(KINDS), tmp_path) == ()


@pytest.mark.parametrize("accepted", ["br", "gzip", "identity"])
def test_our_files_are_compressed_and_cached_permanently(client: TestClient, accepted: str) -> None:
    files = page_files()
    for path, text in (("js/page-{}.js", files.script), ("css/page-{}.css", files.style)):
        for _ in range(2):
            response = client.get(
                f"/page/assets/{path.format(files.stamp)}", headers={"accept-encoding": accepted}
            )
            assert response.content == text
            assert response.headers["cache-control"] == CACHE_PERMANENTLY
            assert response.headers.get("content-encoding", "identity") == accepted
            assert response.headers["vary"] == "accept-encoding"


def test_a_page_of_another_version_gets_our_files_without_caching_them(client: TestClient) -> None:
    response = client.get("/page/assets/js/page-0123456789ab.js")
    assert (response.status_code, response.content) == (200, page_files().script)
    assert response.headers["cache-control"] == "no-cache"


def test_gradios_built_files_are_cached_permanently(client: TestClient) -> None:
    entry = ENTRY.search(GRADIOS)
    assert entry is not None
    font = next(built_files().glob("*.woff2")).name
    for name, kind, encoding in ((entry[1], "text/javascript", "br"), (font, "font/woff2", None)):
        response = client.get(f"/assets/{name}", headers={"accept-encoding": "br"})
        assert response.content == (built_files() / name).read_bytes()
        assert response.headers["content-type"].startswith(kind)
        assert response.headers.get("content-encoding") == encoding
        assert response.headers["cache-control"] == CACHE_PERMANENTLY


@pytest.mark.parametrize(
    "name", ["nothing.js", "..%2findex.html", "%2e%2e%5cindex.html", "..", "."]
)
def test_no_other_file_is_served_on_gradios_route(client: TestClient, name: str) -> None:
    assert client.get(f"/assets/{name}").status_code == 404
