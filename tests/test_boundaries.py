"""Who may know whom: `app → api, ui, check → compare → gateway, catalog → domain`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.imports import environment_reads, imports_of, module_name, sources

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "akash_gradio"
MODULES = sources(ROOT, PACKAGE)

CONFIGURED = {"settings", "endpoint_list"}
LOWER = {"domain", "catalog", "gateway"} | CONFIGURED
MAY_KNOW: dict[str, set[str]] = {
    "domain": set(),
    "mistakes": {"domain"},
    "references": {"domain"},
    "env_file": {"domain"},
    "endpoint_list": {"domain", "mistakes", "references"},
    "key_list": {"domain", "mistakes", "references"},
    "host_settings": {"domain"},
    "settings": {
        "domain",
        "mistakes",
        "endpoint_list",
        "env_file",
        "key_list",
        "host_settings",
    },
    "settings_docs": {"settings", "mistakes"},
    "logs": {"settings", "gateway"},
    "catalog": {"domain", "references"},
    "gateway": {"domain"} | CONFIGURED,
    "embedded": {"domain"} | CONFIGURED,
    "compare": {"domain", "catalog", "settings"},
    "check": LOWER | {"compare"},
    "direct": set(),
    "leaving": {"direct"},
    "packing": set(),
    "files": set(),
    "api": LOWER | {"compare", "key_list", "leaving", "direct"},
    "ui": {"domain", "catalog", "compare", "check", "files", "leaving", "packing"},
    "edge": LOWER | {"host_settings", "direct", "packing"},
    "service": LOWER | {"api", "embedded", "edge", "check", "host_settings"},
    "serve": {"settings", "logs", "service", "api", "edge", "gateway"},
    "compare_command": {"settings", "logs", "service", "compare", "ui"},
    "__main__": {"serve", "compare_command", "check"},
}
"""Part of the package → the other parts that it may import, for type checks too."""

PAGE = ("gradio", "gradio_client", "starlette", "fastapi", "uvicorn")
HTTP_CLIENTS = ("httpx", "httpx_aiohttp", "aiohttp", "requests", "urllib3")
NEVER: dict[str, tuple[str, ...]] = {
    "gateway": PAGE,
    "catalog": PAGE,
    "compare": PAGE,
    "check": PAGE,
    "embedded": PAGE,
    "files": PAGE,
    "api": ("gradio", "gradio_client", "fastapi", "uvicorn"),
    "edge": ("gradio", "gradio_client", "fastapi"),
}
"""Part → what none of its modules imports, not even inside a function."""

TRANSPORT = "akash_gradio/gateway/transport.py"
ENVIRONMENT_READERS = (
    "akash_gradio/settings.py",
    "akash_gradio/__main__.py",
    "app.py",
    TRANSPORT,  # hides the certificates for a moment
)
LEAN = "akash_gradio/gateway/lean_aiohttp.py"
"""What the transport makes of its client."""
PROBER = "akash_gradio/check/prober.py"
"""It sees each packet and its time, which the transport hides."""
FETCHING = "akash_gradio/edge/fetching.py"
"""It asks the provider of sign-in, which is no endpoint."""


def part_of(module: str) -> str:
    """`akash_gradio.ui.words` → `ui`; "" for the package itself and what it defines."""
    _, _, rest = module.partition(".")
    part = rest.partition(".")[0]
    return "" if part.startswith("__") and part != "__main__" else part


def violations(root: Path, where: str) -> Iterator[str]:
    part = part_of(module_name(where))
    if part not in MAY_KNOW and part:
        yield f"{where}: say in MAY_KNOW whom {part} may know"
    for found in imports_of(root, where):
        if found.within(PACKAGE):
            other = part_of(found.name)
            if other not in MAY_KNOW.get(part, set()) | {part, ""}:
                yield f"{found}: {part} may not know {other}"
        elif part == "domain" and found.name.partition(".")[0] not in sys.stdlib_module_names:
            yield f"{found}: domain knows the standard library only"
        elif found.within(*NEVER.get(part, ())):
            yield f"{found}: never in {part}"
        elif found.within(*HTTP_CLIENTS) and where not in (TRANSPORT, LEAN, PROBER, FETCHING):
            yield f"{found}: only {TRANSPORT} knows the HTTP client"
        elif found.within("pydantic", "pydantic_settings") and part == "gateway" and found.runs:
            yield f"{found}: gateway starts without pydantic"
    if where not in ENVIRONMENT_READERS:
        yield from environment_reads(root, where)


@pytest.mark.parametrize("where", [*MODULES, "app.py"])
def test_a_module_knows_only_whom_it_may(where: str) -> None:
    if where == "app.py":
        found = [str(i) for i in imports_of(ROOT, where) if i.within(*HTTP_CLIENTS)]
    else:
        found = list(violations(ROOT, where))
    assert found == []


@pytest.mark.parametrize(
    ("where", "code", "says"),
    [
        ("domain/a.py", "import pydantic", "standard library only"),
        ("domain/a.py", "def f():\n    import httpx", "standard library only"),
        ("domain/a.py", "from akash_gradio.catalog import names", "may not know catalog"),
        ("domain/a.py", "from ..catalog import names", "may not know catalog"),
        ("gateway/a.py", "def f():\n    import gradio as gr", "never in gateway"),
        ("gateway/a.py", "from starlette.requests import Request", "never in gateway"),
        ("gateway/a.py", "from pydantic import SecretStr", "without pydantic"),
        ("gateway/a.py", "try:\n    import pydantic\nexcept E:\n    pass", "without pydantic"),
        ("gateway/a.py", "import httpx", "knows the HTTP client"),
        ("gateway/a.py", "if TYPE_CHECKING:\n    from akash_gradio.ui import words", "know ui"),
        ("gateway/deep/a.py", "from ...ui import words", "may not know ui"),
        ("catalog/a.py", "import akash_gradio.gateway.policies", "may not know gateway"),
        ("catalog/a.py", "from akash_gradio import check", "may not know check"),
        ("embedded/a.py", "from akash_gradio.gateway import Gateway", "may not know gateway"),
        ("embedded/a.py", "from akash_gradio import ui", "may not know ui"),
        ("compare/a.py", "import gradio", "never in compare"),
        ("check/a.py", "import starlette", "never in check"),
        ("check/run.py", "import httpx", "knows the HTTP client"),
        ("edge/hub.py", "import httpx", "knows the HTTP client"),
        ("ui/a.py", "async def f():\n    import aiohttp.web", "knows the HTTP client"),
        ("ui/a.py", "from akash_gradio.gateway import Gateway", "may not know gateway"),
        ("ui/a.py", "importlib.import_module('httpx')", "knows the HTTP client"),
        ("settings.py", "from akash_gradio.gateway.redaction import scrub", "know gateway"),
        ("ui/a.py", "import os\nx = os.environ['HOME']", "reads the environment"),
        ("ui/a.py", "import os\nx = os.getenv('HOME')", "reads the environment"),
        ("ui/a.py", "import os\nx = dict(os.environ)", "reads the environment"),
        ("ui/a.py", "from os import environ", "imports os.environ"),
        ("ui/a.py", "from os import getenv as g", "imports os.getenv"),
        ("helpers/a.py", "", "say in MAY_KNOW"),
        ("helpers.py", "", "say in MAY_KNOW"),
    ],
)
def test_a_planted_violation_is_seen(tmp_path: Path, where: str, code: str, says: str) -> None:
    path = tmp_path / PACKAGE / where
    path.parent.mkdir(parents=True)
    path.write_text(code)
    assert sources(tmp_path, PACKAGE) == [f"{PACKAGE}/{where}"]
    assert says in "\n".join(violations(tmp_path, f"{PACKAGE}/{where}"))


@pytest.mark.parametrize(
    ("where", "code"),
    [
        ("__init__.py", "import asyncio"),
        ("gateway/transport.py", "def f():\n    import httpx, aiohttp"),
        ("gateway/a.py", "if TYPE_CHECKING:\n    from pydantic import SecretStr"),
        ("gateway/a.py", "from akash_gradio import __version__"),
        ("gateway/a.py", "def f():\n    from akash_gradio.settings import Settings"),
        ("gateway/a.py", "from . import policies"),
        ("gateway/a.py", "import httpxtra"),
        ("check/prober.py", "def f():\n    import httpx"),
        ("edge/fetching.py", "def f():\n    import httpx"),
        ("ui/a.py", "import gradio as gr\nfrom akash_gradio.domain import chat"),
        ("embedded/a.py", "import os\nrun(env={**os.environ, 'A': 'b'})"),
        ("settings.py", "import os\nx = os.environ"),
    ],
)
def test_what_is_allowed_is_let_through(tmp_path: Path, where: str, code: str) -> None:
    path = tmp_path / PACKAGE / where
    path.parent.mkdir(parents=True)
    path.write_text(code)
    assert list(violations(tmp_path, f"{PACKAGE}/{where}")) == []


# What importing does


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


def test_importing_the_gateway_loads_neither_the_page_nor_pydantic_nor_the_http_client() -> None:
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
    told = run_python(WATCH, json.dumps([modules, libraries]), cwd=cwd)
    seen: list[str] = json.loads(told.splitlines()[-1])
    return seen


def test_importing_any_module_starts_nothing_and_reads_no_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DEBUG=true\n")
    names = {
        found.name
        for where in MODULES
        for found in imports_of(ROOT, where)
        if found.runs and not found.within(PACKAGE)
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
def test_a_planted_module_that_does_something_is_seen(
    tmp_path: Path, code: str, event: str
) -> None:
    (tmp_path / ".env").write_text("DEBUG=true\n")
    (tmp_path / "planted.py").write_text(code)
    seen = watched_imports(tmp_path, ["planted"], ["threading", "subprocess", "socket"])
    assert any(told.startswith(event) for told in seen)


# The linter says it first

OURS_ABOVE = ("akash_gradio.api", "akash_gradio.check", "akash_gradio.compare")
BANNED: dict[str, tuple[str, ...]] = {
    "domain": (*PAGE[:1], *PAGE[2:4], "pydantic", "pydantic_settings", "httpx", "aiohttp",
               "akash_gradio.settings", "akash_gradio.endpoint_list", "akash_gradio.gateway",
               "akash_gradio.catalog", "akash_gradio.embedded", "akash_gradio.ui", *OURS_ABOVE),
    "gateway": ("gradio", "starlette", "fastapi", "httpx", "httpx_aiohttp", "aiohttp",
                "akash_gradio.catalog", "akash_gradio.embedded", "akash_gradio.ui", *OURS_ABOVE),
    "catalog": ("gradio", "starlette", "fastapi", "httpx", "httpx_aiohttp", "aiohttp",
                "akash_gradio.gateway", "akash_gradio.embedded", "akash_gradio.ui", *OURS_ABOVE),
    "embedded": ("gradio", "starlette", "fastapi", "httpx", "httpx_aiohttp", "aiohttp",
                 "akash_gradio.gateway", "akash_gradio.catalog", "akash_gradio.ui", *OURS_ABOVE),
    "compare": ("gradio", "starlette", "fastapi", "httpx", "httpx_aiohttp", "aiohttp",
                "akash_gradio.api", "akash_gradio.check", "akash_gradio.gateway",
                "akash_gradio.embedded", "akash_gradio.ui"),
    "api": ("gradio", "fastapi", "httpx", "httpx_aiohttp", "aiohttp", "akash_gradio.embedded",
            "akash_gradio.ui"),
    "edge": ("gradio", "fastapi", "httpx", "httpx_aiohttp", "aiohttp", "akash_gradio.embedded",
             "akash_gradio.ui", *OURS_ABOVE),
    "check": ("gradio", "starlette", "fastapi", "httpx", "httpx_aiohttp", "aiohttp",
              "akash_gradio.api", "akash_gradio.embedded", "akash_gradio.ui"),
    "ui": ("httpx", "httpx_aiohttp", "aiohttp", "akash_gradio.api",
           "akash_gradio.gateway", "akash_gradio.embedded", "akash_gradio.settings"),
}  # fmt: skip


@pytest.mark.parametrize("folder", BANNED)
def test_the_linter_refuses_planted_imports(folder: str) -> None:
    code = "".join(f"import {module}\n" for module in BANNED[folder])
    told = lint(folder, f"import os\n{code}os.getenv('HOME')\n")
    refused = re.findall(r"TID251 `([\w.]+)`", told)
    assert sorted(refused) == sorted([*BANNED[folder], "os.getenv"])


def test_the_linter_refuses_the_environment_elsewhere_too() -> None:
    assert "`os.getenv`" in lint(".", "import os\n\nos.getenv('HOME')\n")


def test_the_linter_lets_transport_and_prober_have_their_client() -> None:
    assert lint("gateway", "import httpx\n\nhttpx\n", "transport.py") == ""
    assert lint("check", "import httpx\n\nhttpx\n", "prober.py") == ""


def lint(where: str, code: str, name: str = "planted.py") -> str:
    path = ROOT / PACKAGE / where / name
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", "--quiet", "--select", "TID251",
         "--output-format", "concise", "--stdin-filename", str(path), "-"],
        input=code, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout
