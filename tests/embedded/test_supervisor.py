from __future__ import annotations

import asyncio
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from akash_gradio.config.endpoints import EMBEDDED_ALIAS, EndpointSettings
from akash_gradio.config.settings import read_settings
from akash_gradio.embedded import supervisor
from akash_gradio.embedded.errors import EmbeddedUnavailable, Reason
from akash_gradio.embedded.supervisor import EmbeddedEndpoint
from akash_gradio.embedded.weights import Weights
from tests.embedded.fabricated import gone_within

ROOT = Path(supervisor.__file__).parents[2]
WEIGHTS = Weights(path=Path("/tiny.gguf"), model_id="tiny")


class Clock:
    """Time that passes in pauses only, and where a test says so. Keeps the pauses."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.pauses_s: list[float] = []
        self.after_pause: Callable[[], None] = lambda: None

    def __call__(self) -> float:
        return self.now_s

    async def pause(self, seconds: float) -> None:
        self.pauses_s.append(seconds)
        self.now_s += seconds
        self.after_pause()
        await asyncio.sleep(0)


class Gateway:
    """What the gateway is told, in order."""

    def __init__(self) -> None:
        self.told: list[EndpointSettings | str] = []
        self.ready, self.down = asyncio.Event(), asyncio.Event()
        self.then: Callable[[], None] = lambda: None

    def on_ready(self, endpoint: EndpointSettings) -> None:
        self.told.append(endpoint)
        self.ready.set()
        self.then()

    def on_down(self) -> None:
        self.told.append("down")
        self.down.set()

    @property
    def endpoints(self) -> list[EndpointSettings]:
        return [each for each in self.told if isinstance(each, EndpointSettings)]


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def gateway():
    return Gateway()


@pytest.fixture
def endpoint(clock, gateway, told):
    """Builds an endpoint that runs the given command."""

    def build(command, fetch=None):
        async def at_once(_on_progress):
            return WEIGHTS

        return EmbeddedEndpoint(
            read_settings({}, None),
            gateway.on_ready,
            gateway.on_down,
            told,
            fetch=fetch or at_once,
            command=command,
            clock=clock,
            pause=clock.pause,
        )

    return build


async def stop(task):
    """Cancel, and say how many seconds it took."""
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return time.monotonic() - began


async def test_a_loaded_model_is_told_as_an_endpoint(child, endpoint, gateway, told):
    embedded = endpoint(child.command("serve"))
    task = asyncio.create_task(embedded.run())
    await gateway.ready.wait()
    (found,) = gateway.endpoints
    (life,) = child.lives()
    assert found.url == "http://127.0.0.1:9/v1"
    assert (found.name, found.models, found.max_concurrency) == (EMBEDDED_ALIAS, ("tiny",), 2)
    assert found.custom_headers["Connection"].get_secret_value() == "close"
    assert found.api_key.get_secret_value() == life["api_key"]
    assert (life["model_path"], life["alias"]) == ("/tiny.gguf", "tiny")
    assert (life["n_ctx"], life["n_parallel"], life["n_predict"]) == (8192, 2, -1)
    await stop(task)
    assert told.stages == ["loading", "ready"]


async def test_the_key_is_random_and_in_no_command_line(child, endpoint, gateway, clock):
    task = asyncio.create_task(endpoint(child.command("crash")).run())
    await task
    lives = child.lives()
    keys = {life["api_key"] for life in lives}
    assert len(keys) == len(lives) == 5
    assert all(len(key) > 30 for key in keys)
    assert not any(key in str(life["argv"]) for life in lives for key in keys)
    assert not any(key in repr(gateway.told) for key in keys)


@pytest.mark.parametrize("manner", ["serve", "deaf", "noisy"])
async def test_cancelling_ends_the_child_in_less_than_a_second(child, endpoint, gateway, manner):
    task = asyncio.create_task(endpoint(child.command(manner)).run())
    await gateway.ready.wait()
    assert await stop(task) < 1.0
    assert gone_within(child.lives()[0]["pid"], 0)
    assert gateway.told[1:] == ["down"]


async def test_cancelling_while_it_loads_ends_the_child_too(child, endpoint, gateway):
    os.mkfifo(child.log)
    task = asyncio.create_task(endpoint(child.command("mute")).run())
    lines = await asyncio.to_thread(child.lives)  # returns when the child has written its life
    assert await stop(task) < 1.0
    assert gone_within(lines[0]["pid"], 0)
    assert gateway.told == []


async def test_cancelling_while_the_weights_are_fetched_starts_nothing(child, endpoint, gateway):
    began = asyncio.Event()

    async def forever(_on_progress):
        began.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(endpoint(child.command("serve"), forever).run())
    await began.wait()
    await stop(task)
    assert not child.log.exists()


async def test_a_crash_is_told_and_it_starts_again_with_growing_pauses(
    child, endpoint, gateway, clock, told
):
    def twenty_seconds_of_life():
        clock.now_s += 20

    gateway.then = twenty_seconds_of_life
    enough = asyncio.Event()
    clock.after_pause = lambda: enough.set() if len(clock.pauses_s) == 7 else None
    task = asyncio.create_task(endpoint(child.command("crash")).run())
    await enough.wait()
    await stop(task)
    assert clock.pauses_s == [1, 2, 4, 8, 16, 30, 30]
    assert [each == "down" for each in gateway.told][:4] == [False, True, False, True]
    assert told.stages[:5] == ["loading", "ready", "restarting", "loading", "ready"]


async def test_its_end_is_told_before_its_status_is_known(child, endpoint, gateway):
    task = asyncio.create_task(endpoint(child.command("dying")).run())
    await gateway.ready.wait()
    async with asyncio.timeout(10):
        await gateway.down.wait()
    assert not gone_within(child.lives()[0]["pid"], 0)
    await stop(task)


async def test_after_a_long_life_the_pause_is_short_again(child, endpoint, gateway, clock):
    def a_long_life():
        clock.now_s += 61

    gateway.then = a_long_life
    enough = asyncio.Event()
    clock.after_pause = lambda: enough.set() if len(clock.pauses_s) == 3 else None
    task = asyncio.create_task(endpoint(child.command("crash")).run())
    await enough.wait()
    await stop(task)
    assert clock.pauses_s == [1, 1, 1]


async def test_five_crashes_within_a_minute_are_enough(child, endpoint, gateway, clock):
    embedded = endpoint(child.command("crash"))
    await embedded.run()
    assert clock.pauses_s == [1, 2, 4, 8]
    assert len(gateway.endpoints) == 5
    assert gateway.told[-1] == "down"
    shown = embedded.progress
    assert (shown.stage, shown.reason, shown.detail) == (
        "unavailable",
        "keeps_crashing",
        "exit status 3",
    )


@pytest.mark.parametrize(
    ("manner", "reason", "detail"),
    [
        (("illegal",), "no_avx2", "illegal instruction"),
        (("refuse", "no_wheel", "No module named 'xllamacpp'"), "no_wheel", "No module"),
        (("refuse", "no_libgomp", "libgomp.so.1"), "no_libgomp", "apt-get install libgomp1"),
        (("refuse", "load_failed", "init"), "load_failed", "unknown model architecture: 'x'"),
    ],
)
async def test_what_cannot_be_mended_by_another_try_is_not_tried_again(
    child, endpoint, gateway, manner, reason, detail
):
    embedded = endpoint(child.command(*manner))
    await embedded.run()
    assert len(child.lives()) == 1
    assert gateway.told == []
    assert (embedded.progress.stage, embedded.progress.reason) == ("unavailable", reason)
    assert detail in embedded.progress.detail


async def test_weights_that_cannot_be_had_are_told(child, endpoint, clock):
    async def refuse(_on_progress):
        raise EmbeddedUnavailable(Reason.DISK_FULL, "/cache")

    embedded = endpoint(child.command("serve"), refuse)
    await embedded.run()
    assert (embedded.progress.reason, embedded.progress.detail) == ("disk_full", "/cache")
    assert clock.pauses_s == []
    assert not child.log.exists()


async def test_without_a_connection_the_weights_are_asked_for_again(
    child, endpoint, gateway, clock, told
):
    async def once_in_vain(_on_progress):
        if not clock.pauses_s:
            raise EmbeddedUnavailable(Reason.DOWNLOAD_FAILED)
        return WEIGHTS

    task = asyncio.create_task(endpoint(child.command("serve"), once_in_vain).run())
    await gateway.ready.wait()
    await stop(task)
    assert clock.pauses_s == [60]
    assert told.stages == ["unavailable", "loading", "ready"]


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


def test_a_killed_parent_takes_the_child_with_it(child):
    command = (sys.executable, "-c", PARENT, str(ROOT), *child.command("serve"))
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert select.select([parent.stdout], [], [], 30)[0]
        assert parent.stdout.readline() == b"ready\n"
        (life,) = child.lives()
        assert not gone_within(life["pid"], 0)
        parent.kill()
    assert gone_within(life["pid"], 5)


def test_the_embedded_endpoint_knows_nothing_of_the_gateway_or_the_page():
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
        "import akash_gradio.embedded.supervisor; "
        "print([m for m in sys.modules if m.startswith(('akash_gradio.gateway', "
        "'akash_gradio.ui', 'gradio', 'httpx', 'huggingface_hub', 'xllamacpp'))])"
    )
    done = subprocess.run(
        (sys.executable, "-c", script), capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
