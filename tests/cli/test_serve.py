"""The commands that serve, as separate processes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
import pytest

from akash_gradio import __version__
from tests.browser.servers import free_port
from tests.stubs import StubThread, wire

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
