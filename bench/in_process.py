"""Measures the CPU time of each chunk from socket to text, for the gateway and other clients.

`measure` starts `python -m bench.in_process READER PORT SECONDS` for each reader, on the core
of the systems under test: 50 streams of 50 tokens per second, over uvloop if installed.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.processes import SYSTEM_CORE, pinned
from bench.programs import ROOT
from bench.systems import LITELLM, OPENAI, NotInstalled, install_litellm, install_python

STREAMS: Final = 50
TOKENS_PER_S: Final = 50
RAMP_S: Final = 1.0
MAX_START_S: Final = 120.0

Read = Callable[[str], AsyncGenerator[str, None]]
"""Sends a prompt, and yields the pieces of text of the answer."""
Reader = Callable[[str], AsyncGenerator[Read, None]]
"""Takes the endpoint's base URL, yields one `Read`, and closes its client after that."""


async def gateway(url: str) -> AsyncGenerator[Read, None]:
    """The gateway's `stream`, with all of its routing."""
    from akash_gradio.config.settings import read_settings
    from akash_gradio.domain.chat import ChatRequest, Conversation, Role, Turn
    from akash_gradio.domain.events import TextDelta
    from akash_gradio.gateway import open_gateway

    endpoints = json.dumps([{"url": url, "models": ["bench"]}])
    settings = read_settings({"ENDPOINTS": endpoints}, env_file=None)
    async with open_gateway(settings) as opened:

        async def read(prompt: str) -> AsyncGenerator[str, None]:
            conversation = Conversation(turns=(Turn(role=Role.USER, content=prompt),))
            request = ChatRequest(model="bench", conversation=conversation)
            async with aclosing(opened.stream(request)) as events:
                async for event in events:
                    if isinstance(event, TextDelta):
                        yield event.text

        yield read


async def httpx_bytes(url: str) -> AsyncGenerator[Read, None]:
    """httpx, without parsing."""
    import httpx

    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=None)) as client:

        async def read(prompt: str) -> AsyncGenerator[str, None]:
            body = {"model": "bench", "stream": True, "messages": _messages(prompt)}
            async with client.stream("POST", f"{url}/chat/completions", json=body) as response:
                async for packet in response.aiter_raw():
                    yield packet.decode()

        yield read


async def httpx_lines(url: str) -> AsyncGenerator[Read, None]:
    """httpx's lines and json, as one writes it by hand."""
    import httpx

    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=None)) as client:

        async def read(prompt: str) -> AsyncGenerator[str, None]:
            body = {"model": "bench", "stream": True, "messages": _messages(prompt)}
            async with client.stream("POST", f"{url}/chat/completions", json=body) as response:
                async for line in response.aiter_lines():
                    if line.startswith("data: {"):
                        chunk = json.loads(line[6:])
                        yield chunk["choices"][0]["delta"].get("content") or ""

        yield read


async def openai(url: str) -> AsyncGenerator[Read, None]:
    """The asynchronous client of OpenAI's SDK."""
    client = importlib.import_module("openai").AsyncOpenAI(base_url=url, api_key="none")

    async def read(prompt: str) -> AsyncGenerator[str, None]:
        stream = await client.chat.completions.create(
            model="bench", messages=_messages(prompt), stream=True
        )
        async for chunk in stream:
            yield chunk.choices[0].delta.content or ""

    yield read
    await client.close()


async def litellm(url: str) -> AsyncGenerator[Read, None]:
    """LiteLLM's Router with one deployment."""
    parameters = {"model": "openai/bench", "api_base": url, "api_key": "none"}
    models = [{"model_name": "bench", "litellm_params": parameters}]
    router = importlib.import_module("litellm").Router(model_list=models)

    async def read(prompt: str) -> AsyncGenerator[str, None]:
        stream = await router.acompletion(model="bench", messages=_messages(prompt), stream=True)
        async for chunk in stream:
            yield chunk.choices[0].delta.content or ""

    yield read


def _messages(prompt: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A reader and its Python.

    Attributes:
        reader: The function that opens it.
        python: An interpreter with the packages that it needs.
        prepare: Installs them if needed and returns the version; raises NotInstalled.
        name: Its name in the report.
        root: The checkout of this project whose module runs.
    """

    reader: Reader
    python: Path
    prepare: Callable[[], str]
    name: str
    root: Path = ROOT


def _this_environment() -> str:
    return "in this environment"


def _candidates(against: Path | None) -> Iterator[Candidate]:
    python = Path(sys.executable)
    for reader in (gateway, httpx_bytes, httpx_lines):
        yield Candidate(
            reader=reader, python=python, prepare=_this_environment, name=reader.__name__
        )
    if against is not None:
        yield Candidate(
            reader=gateway,
            python=python,
            prepare=_this_environment,
            name="gateway_before",
            root=against.resolve(),
        )
    yield Candidate(
        reader=openai,
        python=OPENAI / "bin" / "python",
        prepare=lambda: install_python(OPENAI, "openai", "openai"),
        name="openai",
    )
    yield Candidate(
        reader=litellm,
        python=LITELLM / "bin" / "python",
        prepare=install_litellm,
        name="litellm",
    )


def measure(
    port: int,
    seconds: float,
    versions: dict[str, str],
    notes: list[str],
    against: Path | None = None,
) -> dict[str, dict[str, float | None]]:
    """Measure all readers.

    Args:
        port: The port of the stand-in endpoint.
        seconds: The length of each measurement.
        versions: The versions of the readers are added to it.
        notes: What could not be measured is added to it.
        against: Another checkout of this project, whose gateway is measured too.

    Returns:
        The figures of each reader.
    """
    figures: dict[str, dict[str, float | None]] = {}
    for candidate in _candidates(against):
        name = candidate.name
        try:
            versions[f"in process, {name}"] = candidate.prepare()
            figures[name] = _measure_one(candidate, port, seconds)
        except NotInstalled as error:
            notes.append(f"`{name}` in process could not be measured: {error}")
            print(notes[-1])
            continue
        print(f"in process     {name:16} {figures[name]}", flush=True)
    return figures


def _measure_one(candidate: Candidate, port: int, seconds: float) -> dict[str, float | None]:
    command = [str(candidate.python), "-m", "bench.in_process", candidate.reader.__name__]
    try:
        completed = subprocess.run(
            pinned([*command, str(port), str(seconds)], SYSTEM_CORE),
            capture_output=True,
            text=True,
            cwd=candidate.root,
            env={
                **os.environ,
                "PYTHONPATH": str(candidate.root),
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            },
            timeout=seconds + MAX_START_S,
        )
    except subprocess.TimeoutExpired:
        raise NotInstalled("it did not end in time") from None
    if completed.returncode:
        raise NotInstalled(
            (completed.stderr.strip().splitlines() or ["no error message"])[-1][:200]
        )
    figures: dict[str, float | None] = json.loads(completed.stdout.splitlines()[-1])
    return figures


class _Counter:
    """Counts the tokens read, each of which contains one `#`."""

    def __init__(self) -> None:
        self.tokens = 0


async def _run(reader: Reader, url: str, seconds: float) -> dict[str, float]:
    """Read for RAMP_S, then for `seconds`, and return the CPU time of the latter."""
    count = _Counter()
    async with aclosing(reader(url)) as readers:
        read = await anext(readers)
        tasks = [
            asyncio.create_task(_keep_reading(read, number, count)) for number in range(STREAMS)
        ]
        await asyncio.sleep(2 * RAMP_S)
        cpu_s, tokens, started_at = time.process_time(), count.tokens, time.monotonic()
        await asyncio.sleep(seconds)
        cpu_s, tokens = time.process_time() - cpu_s, count.tokens - tokens
        elapsed_s = time.monotonic() - started_at
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result
    return {"cpu_us": 1e6 * cpu_s / max(tokens, 1), "tokens_per_s": tokens / elapsed_s}


async def _keep_reading(read: Read, number: int, count: _Counter) -> None:
    await asyncio.sleep(RAMP_S * number / STREAMS)
    prompt = f"tokens=100000 rate={TOKENS_PER_S} tag={number}"
    async with aclosing(read(prompt)) as pieces:
        async for text in pieces:
            count.tokens += text.count("#")


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        uvloop: Any = importlib.import_module("uvloop")
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def main() -> None:
    """Run the reader named on the command line, and print its figures as JSON."""
    name, port, seconds = sys.argv[1:]
    readers = {each.__name__: each for each in (gateway, httpx_bytes, httpx_lines, openai, litellm)}
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        reading = _run(readers[name], f"http://127.0.0.1:{port}/v1", float(seconds))
        print(json.dumps(runner.run(reading)))


if __name__ == "__main__":
    main()
