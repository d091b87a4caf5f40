"""The commands that serve, as separate processes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
import pytest

from akash_gradio import __version__
from tests.browser.servers import free_port
from tests.stubs import Exchange, StubThread, wire

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 40.0


def start(folder: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "EMBEDDED": "off"}
    return subprocess.Popen(
        [sys.executable, "-m", "akash_gradio", *arguments],
        cwd=folder,
        env=environment | {"HOME": str(folder)} | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def serving_api(folder: Path, *options: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    process = start(folder, "serve", "--no-ui", *options, **variables)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_health(port: int, process: subprocess.Popen[str]) -> int:
    """Return the status of /healthz as soon as there is a response."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[1]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            time.sleep(0.05)
    raise AssertionError("no response")


def test_the_api_is_served_without_the_page_until_sigterm(tmp_path: Path) -> None:
    port = free_port()
    with StubThread() as stub:
        endpoints = json.dumps([{"url": stub.url, "models": ["m"]}])
        options = ("--host", "127.0.0.1", "--port", str(port))
        with serving_api(tmp_path, *options, ENDPOINTS=endpoints) as process:
            assert wait_for_health(port, process) == 200
            client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="any")
            with client:
                completion = client.chat.completions.create(
                    model="m", messages=[{"role": "user", "content": "hi"}]
                )
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=60)
    assert completion.choices[0].message.content == wire.TEXT
    assert f"http://127.0.0.1:{port}/v1" in log
    assert "Traceback" not in log
    if peak := re.search(r"VmHWM:\s+(\d+) kB", status):
        assert int(peak[1]) < 70 * 1024


def test_problems_in_the_settings_are_printed_and_the_server_starts(tmp_path: Path) -> None:
    port = free_port()
    wrong = {"ENDPOINTS": "[", "GATEWAY_API_KEYS": '[{"nmae": "ann"}]'}
    with serving_api(tmp_path, "--port", str(port), **wrong) as process:
        assert wait_for_health(port, process) == 503
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=60)
    assert "Configuration: ENDPOINTS" in log
    assert "Configuration: GATEWAY_API_KEYS[1]" in log


@pytest.mark.parametrize("command", [["run"], ["serve"], ["serve", "--no-ui"], []])
def test_a_port_in_use_is_one_line_before_any_address(tmp_path: Path, command: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = start(tmp_path, *command, GRADIO_SERVER_PORT=str(port))
        output, log = process.communicate(timeout=START_TIMEOUT_S)
    assert process.returncode == 1
    assert output == ""
    assert log == (
        f"Port {port} is already in use. Choose another one with --port or GRADIO_SERVER_PORT.\n"
    )


def test_an_address_of_another_machine_is_one_line(tmp_path: Path) -> None:
    process = start(tmp_path, "serve", "--no-ui", "--host", "192.0.2.1")
    _, log = process.communicate(timeout=START_TIMEOUT_S)
    assert process.returncode == 1
    assert log.startswith("Can't listen on 192.0.2.1 port 7860: ")
    assert log.count("\n") == 1


def test_serving_the_api_imports_no_part_of_the_page(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from akash_gradio.app import api_server_config, create_app\n"
        "from akash_gradio.config.settings import read_settings\n"
        "api_server_config(create_app(read_settings({}, None), page=False)).load()\n"
        "print(*sorted(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    modules = set(done.stdout.split())
    distributions = {name.partition(".")[0] for name in modules}
    page = {"gradio", "pandas", "numpy", "PIL", "fastapi", "xllamacpp", "markdown_it", "jinja2"}
    unused = {"pypdf", "redis", "psycopg", "huggingface_hub", "httpx", "anyio"}
    assert "uvicorn" in distributions
    assert not distributions & (page | unused)
    assert not modules & {"akash_gradio.web", "akash_gradio.ui", "starlette.routing"}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "akash_gradio", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("arguments", [["serve", "--port", "x"], ["dance"], ["run", "--no-ui"]])
def test_wrong_arguments_print_the_usage(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: akash-gradio")


def test_help_lists_every_command() -> None:
    done = run("--help")
    assert done.returncode == 0
    for command in ("run", "serve", "check", "compare", "catalog"):
        assert re.search(rf"^ +{command} +\w", done.stdout, re.M)


def test_options_without_a_command_are_those_of_run() -> None:
    assert "usage: akash-gradio run" in run("--port", "x").stderr


def test_the_version_is_the_packages() -> None:
    assert run("--version").stdout == f"{__version__}\n"


@contextmanager
def serving_workers(
    folder: Path, stub: StubThread, workers: int = 2, **variables: str
) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    port = free_port()
    variables = {"ENDPOINTS": json.dumps([{"url": stub.url, "models": ["m"]}]), **variables}
    options = ("--host", "127.0.0.1", "--port", str(port), "--workers", str(workers))
    process = start(folder, "serve", "--no-ui", *options, **variables)
    try:
        assert wait_for_health(port, process) == 200
        yield port, process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=60)
        finally:
            process.kill()


def workers_of(process: subprocess.Popen[str]) -> set[int]:
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return {int(pid) for pid in listed.split()}


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def metrics_of(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as response:
        text: str = response.read().decode()
    return text


def ask(port: int) -> int:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()
    headers = {"content-type": "application/json"}
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    request = urllib.request.Request(url, body, headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        return int(response.status)


def answered(text: str) -> dict[str, float]:
    """Return how many answers each worker has counted."""
    pattern = r'akash_gradio_requests_total\{worker="(\d)",.*outcome="answered"\} (\S+)'
    return {worker: float(count) for worker, count in re.findall(pattern, text)}


needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@needs_proc
def test_workers_answer_on_one_port_and_report_their_metrics_together(tmp_path: Path) -> None:
    with StubThread() as stub, serving_workers(tmp_path, stub) as (port, process):
        until(lambda: len(workers_of(process)) == 2, "two workers")
        until(lambda: metrics_of(port).count("akash_gradio_in_flight{") == 2, "both report")
        requests = 0
        while len(answered(metrics_of(port))) < 2 and requests < 200:
            requests += 1
            assert ask(port) == 200
        text = metrics_of(port)
    assert sum(answered(text).values()) == requests
    assert set(answered(text)) == {"1", "2"}  # each connection goes to either by chance
    assert text.count("# TYPE akash_gradio_requests_total counter") == 1


@needs_proc
def test_a_killed_worker_is_restarted(tmp_path: Path) -> None:
    with StubThread() as stub, serving_workers(tmp_path, stub) as (port, process):
        until(lambda: len(workers_of(process)) == 2, "two workers")
        killed = min(workers_of(process))
        os.kill(killed, signal.SIGKILL)
        until(lambda: len(workers_of(process) - {killed}) == 2, "a new worker")
        for _ in range(20):  # some of these connections waited for the new one
            assert ask(port) == 200
        process.terminate()
        _, log = process.communicate(timeout=60)
    assert re.search(r"WARNING worker\.restarted worker=\d outcome=-9\n", log)
    assert "Traceback" not in log


@needs_proc
def test_sigterm_lets_the_streams_of_workers_end(tmp_path: Path) -> None:
    gate = threading.Event()

    async def wait(x: Exchange) -> None:
        await x.open_stream()
        await x.send(wire.text_event("one "))
        while not gate.is_set():  # noqa: ASYNC110 - another thread sets it
            await asyncio.sleep(0.02)
        await x.send(wire.text_event("two") + wire.finish_event() + wire.DONE)
        await x.end()

    with StubThread(wait) as stub, serving_workers(tmp_path, stub) as (port, process):
        until(lambda: len(workers_of(process)) == 2, "two workers")
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="any")
        with client:
            stream = client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "hi"}], stream=True
            )
            words = [next(iter(stream)).choices[0].delta.content]
            process.terminate()
            time.sleep(0.3)
            with pytest.raises(OSError):
                ask(port)
            gate.set()
            words += [chunk.choices[0].delta.content for chunk in stream if chunk.choices]
        _, log = process.communicate(timeout=60)
    assert "".join(word or "" for word in words) == "one two"
    assert process.returncode == 0
    assert "Traceback" not in log


def test_workers_say_whether_they_share_limits(tmp_path: Path) -> None:
    with StubThread() as stub, serving_workers(tmp_path, stub) as (_, process):
        process.terminate()
        _, log = process.communicate(timeout=60)
    assert "2 workers; rate limits and budgets hold per worker (see REDIS_URL).\n" in log


@needs_proc
def test_workers_end_with_a_killed_supervisor(tmp_path: Path) -> None:
    with StubThread() as stub, serving_workers(tmp_path, stub) as (_, process):
        until(lambda: len(workers_of(process)) == 2, "two workers")
        workers = workers_of(process)
        process.kill()
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "no worker")


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        (["--no-ui", "--workers", "0"], {}, "--workers must be at least 1"),
        (["--workers", "2"], {}, "--workers needs --no-ui: the page is served by one process"),
        (["--no-ui", "--workers", "2"], {"EMBEDDED": "on"}, "--workers needs ENDPOINTS"),
    ],
)
def test_workers_that_cannot_be_started_are_one_line(
    tmp_path: Path, arguments: list[str], variables: dict[str, str], message: str
) -> None:
    port = str(free_port())
    process = start(tmp_path, "serve", "--port", port, *arguments, **variables)
    _, log = process.communicate(timeout=START_TIMEOUT_S)
    assert process.returncode in (1, 2)
    assert message in log.splitlines()[-1]


def test_a_port_in_use_is_one_line_with_workers_too(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = start(tmp_path, "serve", "--no-ui", "--port", str(port), "--workers", "2")
        _, log = process.communicate(timeout=START_TIMEOUT_S)
    assert process.returncode == 1
    assert log.startswith(f"Port {port} is already in use.")
    assert log.count("\n") == 1
