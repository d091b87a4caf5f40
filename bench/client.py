"""Runs the load client (`bench/load.c`) and returns what it measured."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.processes import LOAD_CORE, DidNotStart, Running, free_port, pinned
from bench.programs import program


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the load client sends its requests.

    Attributes:
        port: The port on 127.0.0.1.
        path: The path of the chat completions.
        headers: Additional headers that the system needs.
    """

    port: int
    path: str = "/v1/chat/completions"
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimesMs:
    """The distribution of a time, in milliseconds."""

    p50: float
    p99: float
    max: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """What the load client measured. Rates are of the measured window.

    Attributes:
        silent: Callers without a token in the window.
        failed: Failed connections and error statuses.
        wrong: Answers with a missing, doubled, foreign or misplaced token, or without an end.
        total_tokens: The tokens of the whole run.
        lag_ms: From the creation of a token to its read.
    """

    callers: int
    silent: int
    answers: int
    failed: int
    wrong: int
    first_failure: str
    total_tokens: int
    requests_per_s: float
    tokens_per_s: float
    total_ms: TimesMs | None
    first_token_ms: TimesMs | None
    lag_ms: TimesMs | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A load of concurrent callers, each of which sends a request after every response.

    Attributes:
        callers: How many callers there are.
        seconds: The length of the measured window.
        tokens: The tokens of each answer.
        rate: Tokens per second of a stream, 0 for as many as possible, None for whole responses.
        ramp_s: The time over which the callers start.
        open_s: The longest wait for callers without a token, before the warm-up.
        warmup_s: The time before the measured window.
    """

    callers: int
    seconds: float
    tokens: int = 16
    rate: float | None = None
    ramp_s: float = 0.0
    open_s: float = 0.0
    warmup_s: float = 0.0


def start_load(target: Target, load: Load) -> subprocess.Popen[str]:
    """Start the load client; `finish_load` waits for its result. Raises NoCompiler."""
    command = [str(program("load")), "--port", str(target.port), "--path", target.path]
    command += ["--callers", str(load.callers), "--seconds", str(load.seconds)]
    command += ["--tokens", str(load.tokens), "--ramp", str(load.ramp_s)]
    command += ["--open", str(load.open_s), "--warmup", str(load.warmup_s)]
    if load.rate is not None:
        command += ["--stream", "--rate", str(load.rate)]
    for name, value in target.headers.items():
        command += ["--header", f"{name}: {value}"]
    return subprocess.Popen(pinned(command, LOAD_CORE), stdout=subprocess.PIPE, text=True)


def finish_load(process: subprocess.Popen[str]) -> LoadResult:
    """Return the result of a load client. Raises ValueError if the client itself failed."""
    line, _ = process.communicate()
    raw: dict[str, Any] = json.loads(line)
    for name in ("total_ms", "first_token_ms", "lag_ms"):
        raw[name] = TimesMs(**raw[name]) if raw[name] else None
    return LoadResult(**raw)


def run_load(target: Target, load: Load) -> LoadResult:
    """Run the load client to its end."""
    return finish_load(start_load(target, load))


def start_upstream() -> tuple[Running, int]:
    """Start the stand-in endpoint, and return it with its port. Raises NoCompiler, DidNotStart."""
    port = free_port()
    upstream = Running("upstream", [str(program("upstream")), str(port)], core=LOAD_CORE)
    wait_ready(upstream, Target(port=port, headers={}), within_s=5)
    return upstream, port


def wait_ready(system: Running, target: Target, within_s: float) -> None:
    """Wait until the system answers a chat. Raises DidNotStart."""
    until, problem = time.monotonic() + within_s, "no response"
    while time.monotonic() < until:
        if not system.alive:
            raise DidNotStart(system.last_log_line())
        try:
            if (problem := _send_chat(target)) == "":
                return
        except (OSError, http.client.HTTPException) as error:
            problem = type(error).__name__
        time.sleep(0.1)
    raise DidNotStart(f"not ready in {within_s:g} s: {problem}")


def _send_chat(target: Target) -> str:
    """Send one request; return "" if the response is right, else the beginning of it."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=10)
    message = {"role": "user", "content": "tokens=2 rate=0 tag=1"}
    body = json.dumps({"model": "bench", "messages": [message]})
    try:
        headers = {"content-type": "application/json", **target.headers}
        connection.request("POST", target.path, body, headers)
        response = connection.getresponse()
        text = response.read().decode(errors="replace")
    finally:
        connection.close()
    return "" if response.status == 200 and "#1.1@" in text else f"{response.status} {text[:150]}"
