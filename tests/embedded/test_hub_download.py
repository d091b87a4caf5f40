from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from akash_gradio.embedded.errors import EmbeddedUnavailable
from akash_gradio.embedded.weights import fetch_weights
from tests.embedded.fakes import TINY, ProgressRecorder, sha256

FILE = "/org/repo/resolve/main/sub/Some-Model.gguf"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """The hub's file URLs, for one file; records its downloads."""

    downloads: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self._head()

    def do_GET(self) -> None:
        if self._head():
            self.downloads.append(self.path)
            self.wfile.write(TINY)

    def _head(self) -> bool:
        exists = self.path == FILE
        self.send_response(200 if exists else 404)
        if exists:
            self.send_header("ETag", f'"{sha256(TINY)}"')
        else:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(TINY)) if exists else "0")
        self.end_headers()
        return exists

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The downloads from a fake hub; the child process finds it through its environment."""
    Hub.downloads.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
        yield Hub.downloads
        server.shutdown()


async def test_a_file_of_the_hub_is_downloaded_once_with_progress(
    hub: list[str], tmp_path: Path, recorder: ProgressRecorder
) -> None:
    for _ in range(2):
        result = await fetch_weights("hf:org/repo/sub/Some-Model.gguf", tmp_path, recorder)
    assert result.path.read_bytes() == TINY
    assert result.path.is_relative_to(tmp_path)
    assert result.model_id == "some-model"
    assert hub == [FILE]
    assert (len(TINY), len(TINY)) in [(p.done_bytes, p.total_bytes) for p in recorder.calls]


async def test_a_file_that_the_hub_does_not_have_is_not_found(
    hub: list[str], tmp_path: Path, recorder: ProgressRecorder
) -> None:
    with pytest.raises(EmbeddedUnavailable) as caught:
        await fetch_weights("hf:org/repo/other.gguf", tmp_path, recorder)
    assert caught.value.reason == "not_found"
    assert "org/repo/other.gguf" in caught.value.detail


async def test_an_unreachable_hub_is_a_failed_download(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, recorder: ProgressRecorder
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # the same error without its half minute of retries
    with pytest.raises(EmbeddedUnavailable) as caught:
        await fetch_weights("hf:org/repo/some.gguf", tmp_path, recorder)
    assert caught.value.reason == "download_failed"


@pytest.mark.parametrize(
    "text", ["hf:", "hf:org/file.gguf", "hf:org/repo/file.bin", "hf:a b/c/d.gguf"]
)
async def test_an_invalid_name_is_rejected_with_the_expected_form(
    text: str, tmp_path: Path, recorder: ProgressRecorder
) -> None:
    with pytest.raises(EmbeddedUnavailable) as caught:
        await fetch_weights(text, tmp_path, recorder)
    assert caught.value.reason == "not_a_model"
    assert "hf:org/repo/file.gguf" in caught.value.detail
