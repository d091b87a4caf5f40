"""`python -m akash_gradio serve --no-ui`, as people start it."""

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

from tests.stubs import StubThread, wire

ROOT = Path(__file__).resolve().parents[2]
START_S = 40.0


def free_port() -> int:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        return int(reserved.getsockname()[1])


@contextmanager
def served_alone(folder: Path, *more: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "EMBEDDED": "off"}
    process = subprocess.Popen(
        [sys.executable, "-m", "akash_gradio", "serve", "--no-ui", *more],
        cwd=folder,
        env=environment | {"HOME": str(folder)} | variables,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def health(port: int, process: subprocess.Popen[str]) -> int:
    """The status of /healthz, as soon as there is one."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        assert process.poll() is None, process.communicate()[1]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            time.sleep(0.05)
    raise AssertionError("no answer")


def test_serves_alone_and_ends_when_told(tmp_path: Path) -> None:
    port = free_port()
    with StubThread() as stub:
        endpoints = json.dumps([{"url": stub.url, "models": ["m"]}])
        arguments = ("--host", "127.0.0.1", "--port", str(port))
        with served_alone(tmp_path, *arguments, ENDPOINTS=endpoints) as process:
            assert health(port, process) == 200
            client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="any")
            with client:
                messages = [{"role": "user", "content": "hi"}]
                answer = client.chat.completions.create(model="m", messages=messages)  # type: ignore[arg-type]
            loaded = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
            process.send_signal(signal.SIGTERM)
            _, told = process.communicate(timeout=60)
    assert answer.choices[0].message.content == wire.TEXT
    assert f"http://127.0.0.1:{port}/v1" in told
    assert "Traceback" not in told
    if found := re.search(r"VmHWM:\s+(\d+) kB", loaded):
        assert int(found[1]) < 70 * 1024


def test_tells_what_is_wrong_with_the_settings_and_serves_all_the_same(tmp_path: Path) -> None:
    port = free_port()
    wrong = {"ENDPOINTS": "[", "GATEWAY_API_KEYS": '[{"nmae": "ann"}]'}
    with served_alone(tmp_path, "--port", str(port), **wrong) as process:
        assert health(port, process) == 503
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
    assert "Configuration: ENDPOINTS" in told
    assert "Configuration: GATEWAY_API_KEYS[1]" in told


def test_loads_neither_the_page_nor_its_tables() -> None:
    code = "import sys, akash_gradio.cli.serve; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    unwanted = {"gradio", "pandas", "numpy", "PIL", "fastapi", "xllamacpp", "markdown_it", "jinja2"}
    assert not loaded & {*unwanted, "pypdf", "redis", "psycopg", "huggingface_hub", "httpx"}


@pytest.mark.parametrize("arguments", [[], ["serve", "--port", "x"], ["dance"]])
def test_wrong_arguments_are_told(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "akash_gradio", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "usage: python -m akash_gradio" in done.stderr
