"""The systems under test: how each is installed, started and asked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final

from bench.client import Target, wait_ready
from bench.processes import Running, free_port
from bench.programs import BUILD, ROOT

PORTKEY_VERSION: Final = "1.15.2"
LITELLM: Final = BUILD / "litellm"
OPENAI: Final = BUILD / "openai"
PORTKEY: Final = BUILD / "portkey"


class NotInstalled(Exception):
    """This peer can't be had here. The text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A command, and what it finds in its environment."""

    command: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)


def _nothing(_upstream: str) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One way from a caller to the stand-in endpoint.

    says: what it is, for the report. start: from its port and the endpoint's base URL; None
    for the endpoint itself. prepare: installs it where needed and returns its version; raises
    NotInstalled. first_streams: where the search for how many it holds begins.
    """

    name: str
    says: str
    prepare: Callable[[], str]
    start: Callable[[int, str], Start] | None
    headers: Callable[[str], Mapping[str, str]] = _nothing
    first_streams: int = 64
    ready_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderTest:
    """A system that runs. process: None for the endpoint itself, which is not measured."""

    system: System
    version: str
    process: Running | None
    target: Target

    @property
    def name(self) -> str:
        return self.system.name


def open_system(system: System, upstream_port: int) -> UnderTest:
    """Install and start it, and wait until it answers. Raises NotInstalled, DidNotStart."""
    upstream = f"http://127.0.0.1:{upstream_port}/v1"
    found = system.prepare()
    headers = system.headers(upstream)
    if system.start is None:
        target = Target(port=upstream_port, headers=headers)
        return UnderTest(system=system, version=found, process=None, target=target)
    port = free_port()
    start = system.start(port, upstream)
    process = Running(system.name, start.command, environment=start.environment)
    target = Target(port=port, headers=headers)
    try:
        wait_ready(process, target, system.ready_s)
    except BaseException:
        process.stop()
        raise
    return UnderTest(system=system, version=found, process=process, target=target)


# Pass-throughs of our own, in this environment.


def _libraries(*names: str) -> Callable[[], str]:
    return lambda: ", ".join(f"{name} {version(name)}" for name in names)


def _module(name: str) -> Callable[[int, str], Start]:
    def start(port: int, upstream: str) -> Start:
        command = [sys.executable, "-m", name, "--port", str(port), "--upstream", upstream]
        return Start(command=command)

    return start


# Ours.


def _own_version() -> str:
    from akash_gradio import __version__

    return f"{__version__}, {_libraries('uvicorn', 'uvloop', 'httptools', 'aiohttp')()}"


def _ours(*weights: int) -> Callable[[int, str], Start]:
    def start(port: int, upstream: str) -> Start:
        endpoints = [
            {"name": f"e{number}", "url": upstream, "weight": weight, "models": ["bench"]}
            for number, weight in enumerate(weights, start=1)
        ]
        return Start(
            command=[sys.executable, "-m", "akash_gradio", "serve", "--no-ui"],
            environment={
                "ENDPOINTS": json.dumps(endpoints),
                "EMBEDDED": "off",
                "GRADIO_SERVER_NAME": "127.0.0.1",
                "GRADIO_SERVER_PORT": str(port),
            },
        )

    return start


# LiteLLM's proxy, in an environment of its own.


def install_litellm() -> str:
    """Its version, after it was installed where it wasn't. Raises NotInstalled."""
    return install_python(LITELLM, "litellm", "litellm[proxy]")


def install_python(folder: Path, name: str, wanted: str) -> str:
    """The version of a package in an environment of its own. Raises NotInstalled.

    The newest that can be had is installed, and the report says which it was.
    """
    python = str(folder / "bin" / "python")
    ask = f"from importlib.metadata import version; print(version({name!r}))"
    try:
        return _run([python, "-c", ask]).strip()
    except NotInstalled:
        print(f"installing {wanted} into {folder.relative_to(ROOT)} (once)", flush=True)
    _run([sys.executable, "-m", "venv", str(folder)])
    pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    _run([*pip, wanted, "uvloop"])
    return _run([python, "-c", ask]).strip()


def _start_litellm(port: int, upstream: str) -> Start:
    parameters = {"model": "openai/bench", "api_base": upstream, "api_key": "none"}
    config = {
        "model_list": [{"model_name": "bench", "litellm_params": parameters}],
        "litellm_settings": {"telemetry": False},
        "general_settings": {"dangerously_permit_weak_or_unset_master_key": True},
    }
    place = BUILD / "litellm.yaml"
    place.write_text(json.dumps(config))  # which is YAML too
    command = [str(LITELLM / "bin" / "litellm"), "--config", str(place)]
    return Start(
        command=[*command, "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"],
        environment={
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it asks the network for prices
            "LITELLM_LOG": "ERROR",
            "PYTHONPATH": "",
        },
    )


# Portkey's gateway, on Node.


def _install_portkey() -> str:
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        raise NotInstalled("it needs Node and npm")
    if not _portkey_server().exists():
        print("installing Portkey's gateway into build/bench/portkey (once)")
        PORTKEY.mkdir(parents=True, exist_ok=True)
        package = {
            "private": True,
            "dependencies": {"@portkey-ai/gateway": PORTKEY_VERSION},
            # Above 1.14.2 its streams fail: github.com/Portkey-AI/gateway/issues/1389
            "overrides": {"@hono/node-server": "1.14.1"},
        }
        (PORTKEY / "package.json").write_text(json.dumps(package))
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        _run([npm, "install", *options, "--prefix", str(PORTKEY)])
    package = json.loads((_portkey_server().parents[1] / "package.json").read_text())
    return f"{package['version']}, node {_run([node, '--version']).strip()}"


def _portkey_server() -> Path:
    return PORTKEY / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"


def _start_portkey(port: int, _upstream: str) -> Start:
    command = [shutil.which("node") or "node", str(_portkey_server()), f"--port={port}"]
    return Start(command=[*command, "--headless"], environment={"NODE_ENV": "production"})


def _portkey_headers(upstream: str) -> Mapping[str, str]:
    return {
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": upstream,
        "authorization": "Bearer none",
    }


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ, cwd=ROOT)
    except OSError as error:
        raise NotInstalled(str(error)) from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise NotInstalled(f"{Path(command[0]).name}: {lines[-1][:200]}")
    return done.stdout


SYSTEMS: Final = (
    System(
        name="direct",
        says="the stand-in endpoint itself, asked without anything between",
        prepare=lambda: "C, epoll",
        start=None,
    ),
    System(
        name="bare",
        says="Starlette's StreamingResponse over httpx, the pass-through to beat",
        prepare=_libraries("starlette", "httpx", "uvicorn"),
        start=_module("bench.peers.bare"),
    ),
    System(
        name="bare_asgi",
        says="bare ASGI over the client that ours uses, without routing",
        prepare=_libraries("aiohttp", "uvicorn"),
        start=_module("bench.peers.bare_asgi"),
        first_streams=192,
    ),
    System(
        name="litellm",
        says="LiteLLM's proxy, one worker, its model list of one",
        prepare=install_litellm,
        start=_start_litellm,
        first_streams=8,
        ready_s=120.0,
    ),
    System(
        name="portkey",
        says="Portkey's gateway",
        prepare=_install_portkey,
        start=_start_portkey,
        headers=_portkey_headers,
        first_streams=96,
    ),
    System(
        name="akash_gradio",
        says="ours, `serve --no-ui`, one endpoint",
        prepare=_own_version,
        start=_ours(1),
        first_streams=192,
    ),
    System(
        name="akash_gradio_two",
        says="ours, two weighted endpoints",
        prepare=_own_version,
        start=_ours(2, 1),
        first_streams=192,
    ),
)
