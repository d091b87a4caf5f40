from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

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

# In xllamacpp's place: writes what it was given to standard error, chatters on standard output.
XLLAMACPP = """
import os, sys, types
class CommonParams(types.SimpleNamespace):
    def __init__(self):
        holders = ("model", "cpuparams", "cpuparams_batch", "sampling")
        super().__init__(**{name: types.SimpleNamespace() for name in holders})
class Server:
    listening_address = "http://127.0.0.1:4"
    def __init__(self, params):
        os.write(1, b"chatter on standard output\\n")
        for name, value in vars(params).items():
            value = vars(value) if hasattr(value, "__dict__") else value
            if name != "api_keys":
                print(name, value, file=sys.stderr)
"""


@pytest.fixture
def started(tmp_path: Path):
    """Starts the real server program beside a module in xllamacpp's place."""
    running = []

    def start(module: str | None) -> subprocess.Popen[str]:
        if module is not None:
            (tmp_path / "xllamacpp.py").write_text(module)
        run = (
            f"import runpy, sys; sys.path.insert(0, {str(tmp_path)!r}); "
            f"runpy.run_path({server.__file__!r}, run_name='__main__')"
        )
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = subprocess.Popen((sys.executable, "-S", "-P", "-c", run), text=True, **pipes)
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def ask(process: subprocess.Popen[str]) -> dict[str, str]:
    process.stdin.write(json.dumps(PARAMETERS) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def test_it_answers_with_its_address_and_ends_when_its_input_closes(started):
    process = started(XLLAMACPP)
    assert ask(process) == {"url": "http://127.0.0.1:4"}
    assert process.poll() is None
    said, _ = process.communicate(timeout=30)
    assert (process.returncode, said) == (0, "")


def test_the_settings_that_matter_are_made(started):
    process = started(XLLAMACPP)
    ask(process)
    _, errors = process.communicate(timeout=30)
    made = dict(line.split(" ", 1) for line in errors.splitlines())
    assert made.pop("chatter") == "on standard output"
    assert made == {
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


def test_the_key_is_never_printed(started):
    process = started(XLLAMACPP)
    answer = ask(process)
    said = process.communicate(timeout=30)
    assert "the-key" not in f"{answer}{said}"


def test_an_input_that_closes_at_once_ends_it_without_a_word(started):
    process = started(XLLAMACPP)
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_without_a_traceback(started, number):
    process = started(XLLAMACPP)
    ask(process)
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
def test_what_keeps_it_from_serving_is_named(started, module, reason):
    process = started(module)
    assert ask(process)["error"] == reason
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (1, "")
