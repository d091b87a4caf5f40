from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from akash_gradio.embedded.errors import EmbeddedUnavailable
from akash_gradio.embedded.weights import fetch_weights
from tests.embedded.fabricated import TINY, sha256

FILE = "/org/repo/resolve/main/sub/Some-Model.gguf"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """The hub's file addresses, for one file; counts its downloads."""

    downloads: list[str]

    def do_HEAD(self) -> None:
        self._head()

    def do_GET(self) -> None:
        if self._head():
            self.downloads.append(self.path)
            self.wfile.write(TINY)

    def _head(self) -> bool:
        found = self.path == FILE
        self.send_response(200 if found else 404)
        if found:
            self.send_header("ETag", f'"{sha256(TINY)}"')
        else:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(TINY)) if found else "0")
        self.end_headers()
        return found

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch):
    """Its downloads; the child finds it through its environment."""
    handler = type("OneHub", (Hub,), {"downloads": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
        yield handler.downloads
        server.shutdown()


async def test_a_file_of_the_hub_is_downloaded_once_with_progress(hub, tmp_path, told):
    for _ in range(2):
        found = await fetch_weights("hf:org/repo/sub/Some-Model.gguf", tmp_path, told)
    assert found.path.read_bytes() == TINY
    assert found.path.is_relative_to(tmp_path)
    assert found.model_id == "some-model"
    assert hub == [FILE]
    assert (len(TINY), len(TINY)) in [(p.done_bytes, p.total_bytes) for p in told.seen]


async def test_a_file_that_the_hub_does_not_have_is_not_found(hub, tmp_path, told):
    with pytest.raises(EmbeddedUnavailable) as caught:
        await fetch_weights("hf:org/repo/other.gguf", tmp_path, told)
    assert caught.value.reason == "not_found"
    assert "org/repo/other.gguf" in caught.value.detail


async def test_a_hub_out_of_reach_is_a_failed_download(monkeypatch, tmp_path, told):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # the same error without its half minute of retries
    with pytest.raises(EmbeddedUnavailable) as caught:
        await fetch_weights("hf:org/repo/some.gguf", tmp_path, told)
    assert caught.value.reason == "download_failed"


@pytest.mark.parametrize(
    "text", ["hf:", "hf:org/file.gguf", "hf:org/repo/file.bin", "hf:a b/c/d.gguf"]
)
async def test_a_name_that_is_no_file_of_the_hub_is_told_how_to_write_it(text, tmp_path, told):
    with pytest.raises(EmbeddedUnavailable) as caught:
        await fetch_weights(text, tmp_path, told)
    assert caught.value.reason == "not_a_model"
    assert "hf:org/repo/file.gguf" in caught.value.detail
