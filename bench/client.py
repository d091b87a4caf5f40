"""The load client (`bench/load.c`) run once, and what it saw."""

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
    """Where to ask. path: of the chat completions. headers: what this system wants besides."""

    port: int
    path: str = "/v1/chat/completions"
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Milliseconds."""

    p50: float
    p99: float
    max: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the callers saw. Rates are of the measured window, tokens_in_all of the whole run.

    silent: callers without a token in the window. failed: connections and statuses. wrong:
    answers with a token missing, twice, foreign or in the wrong place, or without an end.
    lag_ms: from the moment a token was made to the moment it was read.
    """

    callers: int
    silent: int
    answers: int
    failed: int
    wrong: int
    first_failure: str
    tokens_in_all: int
    requests_per_s: float
    tokens_per_s: float
    total_ms: Times | None
    first_token_ms: Times | None
    lag_ms: Times | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Callers, each asking again when it is answered.

    rate: None asks for whole answers, else for streams of so many tokens a second, 0 of as
    many as are taken. ramp_s: the callers begin spread over it. open_s: for so long at most
    those are waited for that have no token yet. warmup_s: after it the window of `seconds`
    begins.
    """

    callers: int
    seconds: float
    tokens: int = 16
    rate: float | None = None
    ramp_s: float = 0.0
    open_s: float = 0.0
    warmup_s: float = 0.0


def start_load(target: Target, ask: Ask) -> subprocess.Popen[str]:
    """Begin to ask; `finish_load` waits for what the callers saw. Raises NoCompiler."""
    command = [str(program("load")), "--port", str(target.port), "--path", target.path]
    command += ["--callers", str(ask.callers), "--seconds", str(ask.seconds)]
    command += ["--tokens", str(ask.tokens), "--ramp", str(ask.ramp_s)]
    command += ["--open", str(ask.open_s), "--warmup", str(ask.warmup_s)]
    if ask.rate is not None:
        command += ["--stream", "--rate", str(ask.rate)]
    for name, value in target.headers.items():
        command += ["--header", f"{name}: {value}"]
    return subprocess.Popen(pinned(command, LOAD_CORE), stdout=subprocess.PIPE, text=True)


def finish_load(load: subprocess.Popen[str]) -> Seen:
    """What it saw. Raises ValueError when the client itself failed."""
    line, _ = load.communicate()
    raw: dict[str, Any] = json.loads(line)
    for name in ("total_ms", "first_token_ms", "lag_ms"):
        raw[name] = Times(**raw[name]) if raw[name] else None
    return Seen(**raw)


def run_load(target: Target, ask: Ask) -> Seen:
    """`start_load` and `finish_load`."""
    return finish_load(start_load(target, ask))


def start_upstream() -> tuple[Running, int]:
    """The stand-in endpoint, ready, and its port. Raises NoCompiler, DidNotStart."""
    port = free_port()
    upstream = Running("upstream", [str(program("upstream")), str(port)], core=LOAD_CORE)
    wait_ready(upstream, Target(port=port, headers={}), within_s=5)
    return upstream, port


def wait_ready(system: Running, target: Target, within_s: float) -> None:
    """Wait until it answers a chat. Raises DidNotStart."""
    until, said = time.monotonic() + within_s, "no answer"
    while time.monotonic() < until:
        if not system.alive:
            raise DidNotStart(system.last_words())
        try:
            if (said := _ask_once(target)) == "":
                return
        except (OSError, http.client.HTTPException) as error:
            said = type(error).__name__
        time.sleep(0.1)
    raise DidNotStart(f"not ready in {within_s:g} s: {said}")


def _ask_once(target: Target) -> str:
    """One whole answer; "" when it is right, else the beginning of what came."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=10)
    question = {"role": "user", "content": "tokens=2 rate=0 tag=1"}
    body = json.dumps({"model": "bench", "messages": [question]})
    try:
        headers = {"content-type": "application/json", **target.headers}
        connection.request("POST", target.path, body, headers)
        response = connection.getresponse()
        text = response.read().decode(errors="replace")
    finally:
        connection.close()
    return "" if response.status == 200 and "#1.1@" in text else f"{response.status} {text[:150]}"
