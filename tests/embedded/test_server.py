from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from akash_gradio.embedded import server

PARAMETERS = {
    "model_path": "/m.gguf",
    "alias": "tiny",
    "api_key": "the-key",
    "n_ctx": 8192,
    "n_parallel": 2,
    "n_predict": 1024,
    "repeat_penalty": 1.1,
    "n_threads": 1,
}

# A fake xllamacpp: writes its parameters to standard error, and noise to standard output.
XLLAMACPP = """
import os, sys, types
class CommonParams(types.SimpleNamespace):
    def __init__(self):
        holders = ("model", "cpuparams", "cpuparams_batch", "sampling")
        super().__init__(**{name: types.SimpleNamespace() for name in holders})
class Server:
    listening_address = "http://127.0.0.1:4"
    def __init__(self, params):
        os.write(1, b"noise on standard output\\n")
        for name, value in vars(params).items():
            value = vars(value) if hasattr(value, "__dict__") else value
            if name != "api_keys":
                print(name, value, file=sys.stderr)
"""


class Start(Protocol):
    """Starts the real server program with a fake xllamacpp, or without any."""

    def __call__(self, module: str | None) -> subprocess.Popen[str]: ...


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running = []

    def start_server(module: str | None) -> subprocess.Popen[str]:
        if module is not None:
            (tmp_path / "xllamacpp.py").write_text(module)
        run = (
            f"import runpy, sys; sys.path.insert(0, {str(tmp_path)!r}); "
            f"runpy.run_path({server.__file__!r}, run_name='__main__')"
        )
        pipe = subprocess.PIPE
        command = (sys.executable, "-S", "-P", "-c", run)
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        running.append(process)
        return process

    yield start_server
    for process in running:
        process.kill()
        process.communicate()


def send_parameters(process: subprocess.Popen[str]) -> dict[str, str]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(PARAMETERS) + "\n")
    process.stdin.flush()
    result: dict[str, str] = json.loads(process.stdout.readline())
    return result


def test_it_reports_its_url_and_exits_when_its_input_closes(start: Start) -> None:
    process = start(XLLAMACPP)
    assert send_parameters(process) == {"url": "http://127.0.0.1:4"}
    assert process.poll() is None
    output, _ = process.communicate(timeout=30)
    assert (process.returncode, output) == (0, "")


def test_all_parameters_are_passed_to_llama_cpp(start: Start) -> None:
    process = start(XLLAMACPP)
    send_parameters(process)
    _, errors = process.communicate(timeout=30)
    written = dict(line.split(" ", 1) for line in errors.splitlines())
    assert written.pop("noise") == "on standard output"
    assert written == {
        "model": "{'path': '/m.gguf'}",
        "model_alias": "{'tiny'}",
        "hostnames": "['127.0.0.1']",
        "port": "0",
        "n_ctx": "8192",
        "n_parallel": "2",
        "n_predict": "1024",
        "sampling": "{'penalty_repeat': 1.1}",
        "cpuparams": "{'n_threads': 1}",
        "cpuparams_batch": "{'n_threads': 1}",
        "cache_ram_mib": "64",
        "cors_origins": "",
        "ui": "False",
        "endpoint_slots": "False",
        "verbosity": "1",
    }


def test_the_key_is_never_printed(start: Start) -> None:
    process = start(XLLAMACPP)
    result = send_parameters(process)
    output = process.communicate(timeout=30)
    assert "the-key" not in f"{result}{output}"


def test_it_exits_silently_when_its_input_closes_at_once(start: Start) -> None:
    process = start(XLLAMACPP)
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_without_a_traceback(start: Start, number: signal.Signals) -> None:
    process = start(XLLAMACPP)
    send_parameters(process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == -number
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("raise ImportError('libgomp.so.1: cannot open shared object file')", "no_libgomp"),
        ('raise ImportError("/lib/libc.so.6: version `GLIBC_2.38\' not found")', "no_wheel"),
        (None, "no_wheel"),
        ("def CommonParams(): raise RuntimeError('Failed to init server')", "load_failed"),
    ],
)
def test_the_reason_of_a_failure_is_reported(start: Start, module: str | None, reason: str) -> None:
    process = start(module)
    assert send_parameters(process)["error"] == reason
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (1, "")
