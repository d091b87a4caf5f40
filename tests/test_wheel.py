"""The package as a user installs it: a wheel, in an environment of its own, in an empty folder."""

from __future__ import annotations

import os
import re
import signal
import site
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from akash_gradio import __version__
from tests.browser.servers import free_port

ROOT = Path(__file__).resolve().parents[1]
START_TIMEOUT_S = 60.0
SETTINGS = {
    "EMBEDDED": "off",
    "API_ENDPOINT": "http://127.0.0.1:9/v1",
    "DEFAULT_MODEL": "openai/gpt-oss-120b",
}


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `akash-gradio` of an environment that has the wheel and our dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "venv"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    install = ["install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python)]
    subprocess.run([*pip, *install], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    # Installing the dependencies again would take minutes: those of the tests are used.
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    return environment / "bin" / "akash-gradio"


@contextmanager
def serving(folder: Path, *command: str | Path) -> Iterator[str]:
    """Run a command that serves; yields its URL as soon as it responds."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [*map(str, command), "--port", str(port)],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **SETTINGS},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not (responds := status(f"{url}/healthz")) and time.monotonic() < deadline:
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.1)
        assert responds
        yield url
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in (0, -signal.SIGTERM)  # uvicorn raises the signal again
    finally:
        process.kill()
        process.communicate()


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def text_of(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as response:
        return str(response.read().decode())


def run(command: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(command), *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "EMBEDDED": "off"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_has_help_and_the_version(command: Path, tmp_path: Path) -> None:
    assert "compare" in run(command, tmp_path, "--help").stdout
    assert run(command, tmp_path, "--version").stdout.strip() == __version__


@pytest.mark.parametrize("arguments", [(), ("run",), ("serve",)])
def test_the_page_is_served_from_an_empty_folder(
    command: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    with serving(tmp_path, command, *arguments) as url:
        page = text_of(url)
        script = re.search(r'src="(page/assets/js/page-\w+\.js)"', page)
        style = re.search(r'"(page/assets/css/page-\w+\.css)"', page)
        assert script
        assert style
        assert len(text_of(f"{url}/{script[1]}")) > 100_000
        assert len(text_of(f"{url}/{style[1]}")) > 10_000
        assert '"openai/gpt-oss-120b"' in text_of(f"{url}/v1/models")
        assert status(f"{url}/healthz") in (200, 503)
        assert "card" in text_of(f"{url}/page/models")


def test_the_api_is_served_alone_from_an_empty_folder(command: Path, tmp_path: Path) -> None:
    with serving(tmp_path, command, "serve", "--no-ui") as url:
        assert '"openai/gpt-oss-120b"' in text_of(f"{url}/v1/models")
        assert "chat/completions" in text_of(f"{url}/v1/openapi.json")
        assert status(url) == 404


def test_the_shipped_catalog_is_in_the_package(command: Path, tmp_path: Path) -> None:
    done = run(command, tmp_path, "catalog", "check", "--offline")
    assert done.returncode == 0, done.stderr + done.stdout


def test_the_package_is_typed(command: Path) -> None:
    (marker,) = command.parents[1].glob("lib/python*/site-packages/akash_gradio/py.typed")
    assert marker.is_file()
