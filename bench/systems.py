"""The systems under test: how each is installed, started and called."""

from __future__ import annotations

import json
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

BEFORE: Final = "akash_gradio_before"
"""The name of another checkout of this project, measured in the same run."""
PORTKEY_VERSION: Final = "1.15.2"
LITELLM: Final = BUILD / "litellm"
OPENAI: Final = BUILD / "openai"
PORTKEY: Final = BUILD / "portkey"
SGLANG: Final = BUILD / "sglang"


class NotInstalled(Exception):
    """A system can't be installed on this machine. The message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A command and its environment."""

    command: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)


def _no_headers(_upstream: str) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A system between a client and the stand-in endpoint.

    Attributes:
        name: Its name in the report.
        description: What it is, for the report.
        prepare: Installs it if needed and returns its version; raises NotInstalled.
        start: Returns the command for a port and the endpoint's base URL; None for the
            endpoint itself.
        headers: Returns additional headers for the endpoint's base URL.
        first_streams: Where the search for the number of held streams begins.
        ready_s: How long the start may take.
    """

    name: str
    description: str
    prepare: Callable[[], str]
    start: Callable[[int, str], Start] | None
    headers: Callable[[str], Mapping[str, str]] = _no_headers
    first_streams: int = 64
    ready_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderTest:
    """A running system.

    Attributes:
        process: None for the endpoint itself, which is not measured.
    """

    system: System
    version: str
    process: Running | None
    target: Target

    @property
    def name(self) -> str:
        return self.system.name


def open_system(system: System, upstream_port: int) -> UnderTest:
    """Install and start a system, and wait until it responds. Raises NotInstalled, DidNotStart."""
    upstream = f"http://127.0.0.1:{upstream_port}/v1"
    system_version = system.prepare()
    headers = system.headers(upstream)
    if system.start is None:
        target = Target(port=upstream_port, headers=headers)
        return UnderTest(system=system, version=system_version, process=None, target=target)
    port = free_port()
    start = system.start(port, upstream)
    process = Running(system.name, start.command, environment=start.environment)
    target = Target(port=port, headers=headers)
    try:
        wait_ready(process, target, system.ready_s)
    except BaseException:
        process.stop()
        raise
    return UnderTest(system=system, version=system_version, process=process, target=target)


# Minimal pass-throughs, in this environment.


def _libraries(*names: str) -> Callable[[], str]:
    return lambda: ", ".join(f"{name} {version(name)}" for name in names)


def _module(name: str) -> Callable[[int, str], Start]:
    def start(port: int, upstream: str) -> Start:
        command = [sys.executable, "-m", name, "--port", str(port), "--upstream", upstream]
        return Start(command=command)

    return start


# Akash Gradio.


def _own_version() -> str:
    from akash_gradio import __version__

    return f"{__version__}, {_libraries('uvicorn', 'uvloop', 'httptools')()}"


def _akash_gradio(*weights: int, root: Path = ROOT) -> Callable[[int, str], Start]:
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
                "PYTHONPATH": str(root),
            },
        )

    return start


def earlier_systems(checkout: Path | None) -> tuple[System, ...]:
    """Return the system of another checkout of this project, in this environment."""
    if checkout is None:
        return ()
    return (
        System(
            name=BEFORE,
            description=f"the same of another checkout, {checkout}",
            prepare=_own_version,
            start=_akash_gradio(1, root=checkout.resolve()),
            first_streams=800,
        ),
    )


# LiteLLM's proxy, in its own environment.


def install_litellm() -> str:
    """Install LiteLLM if needed, and return its version. Raises NotInstalled."""
    return install_python(LITELLM, "litellm", "litellm[proxy]")


def install_python(folder: Path, name: str, requirement: str) -> str:
    """Install a package into its own environment if needed, and return its version.

    Args:
        folder: The environment.
        name: The name of the distribution.
        requirement: What pip installs, the newest version.

    Raises:
        NotInstalled: The installation failed.
    """
    python = str(folder / "bin" / "python")
    code = f"from importlib.metadata import version; print(version({name!r}))"
    try:
        return _run([python, "-c", code]).strip()
    except NotInstalled:
        print(f"installing {requirement} into {folder.relative_to(ROOT)} (once)", flush=True)
    _run([sys.executable, "-m", "venv", str(folder)])
    pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    _run([*pip, requirement, "uvloop"])
    return _run([python, "-c", code]).strip()


def _start_litellm(port: int, upstream: str) -> Start:
    parameters = {"model": "openai/bench", "api_base": upstream, "api_key": "none"}
    config = {
        "model_list": [{"model_name": "bench", "litellm_params": parameters}],
        "litellm_settings": {"telemetry": False},
        "general_settings": {"dangerously_permit_weak_or_unset_master_key": True},
    }
    path = BUILD / "litellm.yaml"
    path.write_text(json.dumps(config))  # JSON is valid YAML
    command = [str(LITELLM / "bin" / "litellm"), "--config", str(path)]
    return Start(
        command=[*command, "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"],
        environment={
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # otherwise it fetches prices
            "LITELLM_LOG": "ERROR",
            "PYTHONPATH": "",
        },
    )


# sglang-router, a binary in a Python package.


def _install_sglang() -> str:
    return install_python(SGLANG, "sglang-router", "sglang-router")


def _start_sglang(port: int, upstream: str) -> Start:
    command = [str(SGLANG / "bin" / "python"), "-m", "sglang_router.launch_router"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    command += ["--worker-urls", upstream.removesuffix("/v1"), "--policy", "round_robin"]
    command += ["--prometheus-port", str(free_port()), "--log-level", "warn"]
    return Start(command=command, environment={"PYTHONPATH": "", "TOKIO_WORKER_THREADS": "1"})


# Portkey's gateway, on Node.


def _install_portkey() -> str:
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        raise NotInstalled("Node and npm are required")
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
        completed = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    except OSError as error:
        raise NotInstalled(str(error)) from error
    if completed.returncode:
        lines = completed.stderr.strip().splitlines() or ["no error message"]
        raise NotInstalled(f"{Path(command[0]).name}: {lines[-1][:200]}")
    return completed.stdout


SYSTEMS: Final = (
    System(
        name="direct",
        description="the stand-in endpoint itself, called directly",
        prepare=lambda: "C, epoll",
        start=None,
        first_streams=4000,
    ),
    System(
        name="bare",
        description="Starlette's StreamingResponse over httpx, the usual pass-through",
        prepare=_libraries("starlette", "httpx", "uvicorn"),
        start=_module("bench.peers.bare"),
    ),
    System(
        name="sglang_router",
        description="sglang-router, in Rust, one thread, round robin, one worker URL",
        prepare=_install_sglang,
        start=_start_sglang,
        first_streams=1500,
        ready_s=60.0,
    ),
    System(
        name="litellm",
        description="LiteLLM's proxy, one worker, its model list of one",
        prepare=install_litellm,
        start=_start_litellm,
        first_streams=8,
        ready_s=120.0,
    ),
    System(
        name="portkey",
        description="Portkey's gateway",
        prepare=_install_portkey,
        start=_start_portkey,
        headers=_portkey_headers,
        first_streams=96,
    ),
    System(
        name="akash_gradio",
        description="`akash-gradio serve --no-ui`, one endpoint",
        prepare=_own_version,
        start=_akash_gradio(1),
        first_streams=800,
    ),
    System(
        name="akash_gradio_two",
        description="the same with two weighted endpoints",
        prepare=_own_version,
        start=_akash_gradio(2, 1),
        first_streams=800,
    ),
)
