from __future__ import annotations

import asyncio
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from akash_gradio.config.endpoints import EMBEDDED_ALIAS, EndpointSettings
from akash_gradio.config.settings import read_settings
from akash_gradio.embedded import supervisor
from akash_gradio.embedded.errors import EmbeddedUnavailable, Reason
from akash_gradio.embedded.progress import OnProgress
from akash_gradio.embedded.supervisor import EmbeddedEndpoint
from akash_gradio.embedded.weights import Weights
from tests.embedded.fakes import FakeChild, ProgressRecorder, exits_within

ROOT = Path(supervisor.__file__).parents[2]
WEIGHTS = Weights(path=Path("/tiny.gguf"), model_id="tiny")
STOP_S = 3.0
"""Stopping takes half a second; a busy machine may add to it."""


class Clock:
    """A clock that advances only in `sleep`, which it records, and where a test sets it."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.slept_s: list[float] = []
        self.after_sleep: Callable[[], None] = lambda: None

    def __call__(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now_s += seconds
        self.after_sleep()
        await asyncio.sleep(0)


class RecordingGateway:
    """Records the calls of the embedded endpoint, in order."""

    def __init__(self) -> None:
        self.calls: list[EndpointSettings | str] = []
        self.ready, self.down = asyncio.Event(), asyncio.Event()
        self.callback: Callable[[], None] = lambda: None

    def on_ready(self, endpoint: EndpointSettings) -> None:
        self.calls.append(endpoint)
        self.ready.set()
        self.callback()

    def on_down(self) -> None:
        self.calls.append("down")
        self.down.set()

    @property
    def endpoints(self) -> list[EndpointSettings]:
        return [call for call in self.calls if isinstance(call, EndpointSettings)]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gateway() -> RecordingGateway:
    return RecordingGateway()


class Build(Protocol):
    """Builds an endpoint that runs the given command."""

    def __call__(
        self, command: Sequence[str], fetch: supervisor.Fetch | None = None
    ) -> EmbeddedEndpoint: ...


@pytest.fixture
def endpoint(clock: Clock, gateway: RecordingGateway, recorder: ProgressRecorder) -> Build:
    def build(command: Sequence[str], fetch: supervisor.Fetch | None = None) -> EmbeddedEndpoint:
        async def immediately(_on_progress: OnProgress) -> Weights:
            return WEIGHTS

        return EmbeddedEndpoint(
            read_settings({}, None),
            gateway.on_ready,
            gateway.on_down,
            recorder,
            fetch=fetch or immediately,
            command=command,
            clock=clock,
            sleep=clock.sleep,
        )

    return build


async def stop(task: asyncio.Task[None]) -> float:
    """Cancel the task; return how many seconds it took to end."""
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return time.monotonic() - began


async def test_a_loaded_model_is_reported_as_an_endpoint(
    child: FakeChild, endpoint: Build, gateway: RecordingGateway, recorder: ProgressRecorder
) -> None:
    embedded = endpoint(child.command("serve"))
    task = asyncio.create_task(embedded.run())
    await gateway.ready.wait()
    (entry,) = gateway.endpoints
    (start,) = child.starts()
    assert entry.url == "http://127.0.0.1:9/v1"
    assert (entry.name, entry.models, entry.max_concurrency) == (EMBEDDED_ALIAS, ("tiny",), 2)
    assert entry.custom_headers["Connection"].get_secret_value() == "close"
    assert entry.api_key is not None
    assert entry.api_key.get_secret_value() == start["api_key"]
    assert (start["model_path"], start["alias"]) == ("/tiny.gguf", "tiny")
    assert (start["n_ctx"], start["n_parallel"], start["n_predict"]) == (8192, 2, -1)
    await stop(task)
    assert recorder.stages == ["loading", "ready"]


async def test_the_key_is_random_and_in_no_command_line(
    child: FakeChild, endpoint: Build, gateway: RecordingGateway, clock: Clock
) -> None:
    task = asyncio.create_task(endpoint(child.command("crash")).run())
    await task
    starts = child.starts()
    keys = {start["api_key"] for start in starts}
    assert len(keys) == len(starts) == 5
    assert all(len(key) > 30 for key in keys)
    assert not any(key in str(start["argv"]) for start in starts for key in keys)
    assert not any(key in repr(gateway.calls) for key in keys)


@pytest.mark.parametrize("mode", ["serve", "ignores_stop", "noisy"])
async def test_cancelling_ends_the_child_quickly(
    child: FakeChild, endpoint: Build, gateway: RecordingGateway, mode: str
) -> None:
    task = asyncio.create_task(endpoint(child.command(mode)).run())
    await gateway.ready.wait()
    assert await stop(task) < STOP_S
    assert exits_within(child.starts()[0]["pid"], 0)
    assert gateway.calls[1:] == ["down"]


async def test_cancelling_while_it_loads_ends_the_child_too(
    child: FakeChild, endpoint: Build, gateway: RecordingGateway
) -> None:
    os.mkfifo(child.log)
    task = asyncio.create_task(endpoint(child.command("silent")).run())
    lines = await asyncio.to_thread(child.starts)  # returns when the child has written its log
    assert await stop(task) < STOP_S
    assert exits_within(lines[0]["pid"], 0)
    assert gateway.calls == []


async def test_cancelling_while_the_weights_are_fetched_starts_nothing(
    child: FakeChild, endpoint: Build, gateway: RecordingGateway
) -> None:
    began = asyncio.Event()

    async def forever(_on_progress: OnProgress) -> Weights:
        began.set()
        await asyncio.Event().wait()
        raise AssertionError

    task = asyncio.create_task(endpoint(child.command("serve"), forever).run())
    await began.wait()
    await stop(task)
    assert not child.log.exists()


async def test_after_a_crash_it_restarts_with_growing_delays(
    child: FakeChild,
    endpoint: Build,
    gateway: RecordingGateway,
    clock: Clock,
    recorder: ProgressRecorder,
) -> None:
    def pass_twenty_seconds() -> None:
        clock.now_s += 20

    gateway.callback = pass_twenty_seconds
    enough = asyncio.Event()
    clock.after_sleep = lambda: enough.set() if len(clock.slept_s) == 7 else None
    task = asyncio.create_task(endpoint(child.command("crash")).run())
    await enough.wait()
    await stop(task)
    assert clock.slept_s == [1, 2, 4, 8, 16, 30, 30]
    assert [call == "down" for call in gateway.calls][:4] == [False, True, False, True]
    assert recorder.stages[:5] == ["loading", "ready", "restarting", "loading", "ready"]


async def test_a_crash_is_reported_before_its_status_is_known(
    child: FakeChild, endpoint: Build, gateway: RecordingGateway
) -> None:
    task = asyncio.create_task(endpoint(child.command("closes_output")).run())
    await gateway.ready.wait()
    async with asyncio.timeout(10):
        await gateway.down.wait()
    assert not exits_within(child.starts()[0]["pid"], 0)
    await stop(task)


async def test_after_a_long_run_the_delay_is_short_again(
    child: FakeChild, endpoint: Build, gateway: RecordingGateway, clock: Clock
) -> None:
    def pass_a_minute() -> None:
        clock.now_s += 61

    gateway.callback = pass_a_minute
    enough = asyncio.Event()
    clock.after_sleep = lambda: enough.set() if len(clock.slept_s) == 3 else None
    task = asyncio.create_task(endpoint(child.command("crash")).run())
    await enough.wait()
    await stop(task)
    assert clock.slept_s == [1, 1, 1]


async def test_it_gives_up_after_five_crashes_within_a_minute(
    child: FakeChild, endpoint: Build, gateway: RecordingGateway, clock: Clock
) -> None:
    embedded = endpoint(child.command("crash"))
    await embedded.run()
    assert clock.slept_s == [1, 2, 4, 8]
    assert len(gateway.endpoints) == 5
    assert gateway.calls[-1] == "down"
    progress = embedded.progress
    assert (progress.stage, progress.reason, progress.detail) == (
        "unavailable",
        "keeps_crashing",
        "exit status 3",
    )


@pytest.mark.parametrize(
    ("arguments", "reason", "detail"),
    [
        (("illegal_instruction",), "no_avx2", "illegal instruction"),
        (("refuse", "no_wheel", "No module named 'xllamacpp'"), "no_wheel", "No module"),
        (("refuse", "no_libgomp", "libgomp.so.1"), "no_libgomp", "apt-get install libgomp1"),
        (("refuse", "load_failed", "init"), "load_failed", "unknown model architecture: 'x'"),
    ],
)
async def test_a_permanent_failure_is_not_retried(
    child: FakeChild,
    endpoint: Build,
    gateway: RecordingGateway,
    arguments: tuple[str, ...],
    reason: str,
    detail: str,
) -> None:
    embedded = endpoint(child.command(*arguments))
    await embedded.run()
    assert len(child.starts()) == 1
    assert gateway.calls == []
    assert (embedded.progress.stage, embedded.progress.reason) == ("unavailable", reason)
    assert detail in embedded.progress.detail


async def test_unavailable_weights_are_reported(
    child: FakeChild, endpoint: Build, clock: Clock
) -> None:
    async def refuse(_on_progress: OnProgress) -> Weights:
        raise EmbeddedUnavailable(Reason.DISK_FULL, "/cache")

    embedded = endpoint(child.command("serve"), refuse)
    await embedded.run()
    assert (embedded.progress.reason, embedded.progress.detail) == ("disk_full", "/cache")
    assert clock.slept_s == []
    assert not child.log.exists()


async def test_without_a_connection_the_download_is_retried(
    child: FakeChild,
    endpoint: Build,
    gateway: RecordingGateway,
    clock: Clock,
    recorder: ProgressRecorder,
) -> None:
    async def fail_once(_on_progress: OnProgress) -> Weights:
        if not clock.slept_s:
            raise EmbeddedUnavailable(Reason.DOWNLOAD_FAILED)
        return WEIGHTS

    task = asyncio.create_task(endpoint(child.command("serve"), fail_once).run())
    await gateway.ready.wait()
    await stop(task)
    assert clock.slept_s == [60]
    assert recorder.stages == ["unavailable", "loading", "ready"]


PARENT = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from akash_gradio.embedded.supervisor import EmbeddedEndpoint
from akash_gradio.embedded.weights import Weights
from akash_gradio.config.settings import read_settings
async def fetch(_on_progress):
    return Weights(path=Path("/tiny.gguf"), model_id="tiny")
def ready(_endpoint):
    print("ready", flush=True)
embedded = EmbeddedEndpoint(
    read_settings({}, None), ready, lambda: None, fetch=fetch, command=sys.argv[2:]
)
asyncio.run(embedded.run())
"""


def test_the_child_ends_when_its_parent_is_killed(child: FakeChild) -> None:
    command = (sys.executable, "-c", PARENT, str(ROOT), *child.command("serve"))
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert select.select([parent.stdout], [], [], 30)[0]
        assert parent.stdout.readline() == b"ready\n"
        (start,) = child.starts()
        assert not exits_within(start["pid"], 0)
        parent.kill()
    assert exits_within(start["pid"], 5)


def test_the_embedded_endpoint_imports_neither_the_gateway_nor_the_page() -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
        "import akash_gradio.embedded.supervisor; "
        "print([m for m in sys.modules if m.startswith(('akash_gradio.gateway', "
        "'akash_gradio.ui', 'gradio', 'httpx', 'huggingface_hub', 'xllamacpp'))])"
    )
    process = subprocess.run(
        (sys.executable, "-c", script), capture_output=True, text=True, check=True
    )
    assert process.stdout == "[]\n"
