"""CPU of each streamed chunk from socket to text, in one process: our gateway and others.

`measure` starts `python -m bench.in_process READER PORT SECONDS` for each reader, on the core
of the systems under test; 50 streams of 50 tokens a second, over uvloop where there is one.
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
LONGEST_START_S: Final = 120.0

Read = Callable[[str], AsyncGenerator[str, None]]
"""A question → the pieces of text of its answer."""
Reader = Callable[[str], AsyncGenerator[Read, None]]
"""The endpoint's base URL → one `Read`, then what is left to close."""


async def gateway(url: str) -> AsyncGenerator[Read, None]:
    """Ours: `open_gateway(…).stream`, with all the routing."""
    from akash_gradio.config.settings import read_settings
    from akash_gradio.domain.chat import ChatRequest, Conversation, Role, Turn
    from akash_gradio.domain.events import TextDelta
    from akash_gradio.gateway import open_gateway

    endpoints = json.dumps([{"url": url, "models": ["bench"]}])
    settings = read_settings({"ENDPOINTS": endpoints}, env_file=None)
    async with open_gateway(settings) as opened:

        async def read(question: str) -> AsyncGenerator[str, None]:
            said = Conversation(turns=(Turn(role=Role.USER, content=question),))
            request = ChatRequest(model="bench", conversation=said)
            async with aclosing(opened.stream(request)) as events:
                async for event in events:
                    if isinstance(event, TextDelta):
                        yield event.text

        yield read


async def httpx_bytes(url: str) -> AsyncGenerator[Read, None]:
    """httpx, and nothing done with the bytes."""
    import httpx

    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=None)) as client:

        async def read(question: str) -> AsyncGenerator[str, None]:
            body = {"model": "bench", "stream": True, "messages": _messages(question)}
            async with client.stream("POST", f"{url}/chat/completions", json=body) as answer:
                async for packet in answer.aiter_raw():
                    yield packet.decode()

        yield read


async def httpx_lines(url: str) -> AsyncGenerator[Read, None]:
    """httpx's lines, and json: what is written by hand."""
    import httpx

    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=None)) as client:

        async def read(question: str) -> AsyncGenerator[str, None]:
            body = {"model": "bench", "stream": True, "messages": _messages(question)}
            async with client.stream("POST", f"{url}/chat/completions", json=body) as answer:
                async for line in answer.aiter_lines():
                    if line.startswith("data: {"):
                        chunk = json.loads(line[6:])
                        yield chunk["choices"][0]["delta"].get("content") or ""

        yield read


async def openai(url: str) -> AsyncGenerator[Read, None]:
    """OpenAI's SDK, its asynchronous client."""
    client = importlib.import_module("openai").AsyncOpenAI(base_url=url, api_key="none")

    async def read(question: str) -> AsyncGenerator[str, None]:
        stream = await client.chat.completions.create(
            model="bench", messages=_messages(question), stream=True
        )
        async for chunk in stream:
            yield chunk.choices[0].delta.content or ""

    yield read
    await client.close()


async def litellm(url: str) -> AsyncGenerator[Read, None]:
    """LiteLLM's Router over one deployment."""
    parameters = {"model": "openai/bench", "api_base": url, "api_key": "none"}
    models = [{"model_name": "bench", "litellm_params": parameters}]
    router = importlib.import_module("litellm").Router(model_list=models)

    async def read(question: str) -> AsyncGenerator[str, None]:
        stream = await router.acompletion(model="bench", messages=_messages(question), stream=True)
        async for chunk in stream:
            yield chunk.choices[0].delta.content or ""

    yield read


def _messages(question: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A reader, and the Python that has what it needs. prepare: its version, or NotInstalled."""

    reader: Reader
    python: Path
    prepare: Callable[[], str]


def _here() -> str:
    return "in this environment"


def _candidates() -> Iterator[Candidate]:
    own = Path(sys.executable)
    for reader in (gateway, httpx_bytes, httpx_lines):
        yield Candidate(reader=reader, python=own, prepare=_here)
    yield Candidate(
        reader=openai,
        python=OPENAI / "bin" / "python",
        prepare=lambda: install_python(OPENAI, "openai", "openai"),
    )
    yield Candidate(reader=litellm, python=LITELLM / "bin" / "python", prepare=install_litellm)


def measure(
    port: int, seconds: float, versions: dict[str, str], notes: list[str]
) -> dict[str, dict[str, float | None]]:
    """Reader → its figures; versions and notes are added to."""
    found: dict[str, dict[str, float | None]] = {}
    for candidate in _candidates():
        name = candidate.reader.__name__
        try:
            versions[f"in process, {name}"] = candidate.prepare()
            found[name] = _measure_one(candidate, port, seconds)
        except NotInstalled as error:
            notes.append(f"`{name}` in process could not be measured: {error}")
            print(notes[-1])
            continue
        print(f"in process     {name:16} {found[name]}", flush=True)
    return found


def _measure_one(candidate: Candidate, port: int, seconds: float) -> dict[str, float | None]:
    command = [str(candidate.python), "-m", "bench.in_process", candidate.reader.__name__]
    try:
        done = subprocess.run(
            pinned([*command, str(port), str(seconds)], SYSTEM_CORE),
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
            timeout=seconds + LONGEST_START_S,
        )
    except subprocess.TimeoutExpired:
        raise NotInstalled("it came to no end") from None
    if done.returncode:
        raise NotInstalled((done.stderr.strip().splitlines() or ["it said nothing"])[-1][:200])
    figures: dict[str, float | None] = json.loads(done.stdout.splitlines()[-1])
    return figures


class _Count:
    """Tokens read so far. Each holds one `#`. Live state."""

    def __init__(self) -> None:
        self.tokens = 0


async def _run(reader: Reader, url: str, seconds: float) -> dict[str, float]:
    """Read for RAMP_S and then for `seconds`, of which the CPU is told."""
    count = _Count()
    async with aclosing(reader(url)) as readers:
        read = await anext(readers)
        tasks = [
            asyncio.create_task(_keep_reading(read, number, count)) for number in range(STREAMS)
        ]
        await asyncio.sleep(2 * RAMP_S)
        cpu_s, tokens, began = time.process_time(), count.tokens, time.monotonic()
        await asyncio.sleep(seconds)
        cpu_s, tokens = time.process_time() - cpu_s, count.tokens - tokens
        passed_s = time.monotonic() - began
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result
    return {"cpu_us": 1e6 * cpu_s / max(tokens, 1), "tokens_per_s": tokens / passed_s}


async def _keep_reading(read: Read, number: int, count: _Count) -> None:
    await asyncio.sleep(RAMP_S * number / STREAMS)
    question = f"tokens=100000 rate={TOKENS_PER_S} tag={number}"
    async with aclosing(read(question)) as pieces:
        async for text in pieces:
            count.tokens += text.count("#")


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        found: Any = importlib.import_module("uvloop")
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = found.new_event_loop
    return factory


def main() -> None:
    """One reader, named on the command line; prints its figures as JSON."""
    name, port, seconds = sys.argv[1:]
    readers = {each.__name__: each for each in (gateway, httpx_bytes, httpx_lines, openai, litellm)}
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        reading = _run(readers[name], f"http://127.0.0.1:{port}/v1", float(seconds))
        print(json.dumps(runner.run(reading)))


if __name__ == "__main__":
    main()
