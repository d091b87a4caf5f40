"""Importing a module of the package has no side effects."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.imports import imports_of, module_name, sources

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "akash_gradio"
MODULES = sources(ROOT, PACKAGE)
PAGE = ("gradio", "gradio_client", "starlette", "fastapi", "uvicorn")
HTTP_CLIENTS = ("httpx", "httpx_aiohttp", "aiohttp", "requests", "urllib3")


def run_python(code: str, *arguments: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_gateway_imports_no_web_framework_and_no_http_client() -> None:
    loaded = set(
        json.loads(
            run_python(
                "import json, sys, akash_gradio.gateway\nprint(json.dumps(sorted(sys.modules)))"
            )
        )
    )
    assert "akash_gradio.gateway.gateway" in loaded
    assert loaded & {*PAGE, *HTTP_CLIENTS, "pydantic", "akash_gradio.ui"} == set()


WATCH = """
import importlib, json, sys, threading
modules, libraries = json.loads(sys.argv[1])
for library in libraries:
    try:
        importlib.import_module(library)
    except ImportError:
        pass
seen = []
def watch(event, arguments):
    if event.startswith(("socket.connect", "socket.bind", "subprocess.",
                         "os.exec", "os.fork", "os.posix_spawn", "os.mkdir", "os.putenv")):
        seen.append(event)
    elif event == "open":
        path = str(arguments[0])
        if not path.endswith((".py", ".pyc", ".so")):
            seen.append(f"open {path}")
sys.addaudithook(watch)
# Python 3.11 has no audit event for threads; each new one begins with its profile function.
threading.setprofile(lambda *_: seen.append("thread"))
for module in modules:
    importlib.import_module(module)
print(json.dumps(seen))
"""


def watched_imports(cwd: Path, modules: list[str], libraries: list[str]) -> list[str]:
    output = run_python(WATCH, json.dumps([modules, libraries]), cwd=cwd)
    seen: list[str] = json.loads(output.splitlines()[-1])
    return seen


def test_importing_any_module_starts_nothing_and_opens_no_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DEBUG=true\n")
    names = {
        each.name
        for where in MODULES
        for each in imports_of(ROOT, where)
        if each.runs_on_import and not each.is_within(PACKAGE)
    }
    libraries = sorted(names | {name.rpartition(".")[0] for name in names} - {""})
    modules = [module_name(where) for where in MODULES]
    assert watched_imports(tmp_path, modules, libraries) == []


@pytest.mark.parametrize(
    ("code", "event"),
    [
        ("import threading; t = threading.Thread(target=print); t.start(); t.join()", "thread"),
        ("open('.env').read()", "open .env"),
        ("import subprocess; subprocess.run(['true'])", "subprocess."),
        ("import socket; socket.socket().bind(('127.0.0.1', 0))", "socket.bind"),
    ],
)
def test_a_planted_side_effect_is_detected(tmp_path: Path, code: str, event: str) -> None:
    (tmp_path / ".env").write_text("DEBUG=true\n")
    (tmp_path / "planted.py").write_text(code)
    seen = watched_imports(tmp_path, ["planted"], ["threading", "subprocess", "socket"])
    assert any(each.startswith(event) for each in seen)
