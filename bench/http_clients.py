"""Compares HTTP clients by the CPU time of each chunk of a stream.

`python -m bench.http_clients` starts an endpoint in one process and reads it from another,
client after client, in several rounds. Absolute figures depend on the machine and its load;
compare the ratios within one run. docs/routing.md has the results of a run. httpx2 and
httpx-aiohttp are measured if they are installed; the app doesn't need them.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import uvloop

CHUNK = {
    "id": "chatcmpl-bench",
    "object": "chat.completion.chunk",
    "created": 1_700_000_000,
    "model": "bench",
    "choices": [{"index": 0, "delta": {"content": " word"}, "finish_reason": None}],
}
EVENT = f"data: {json.dumps(CHUNK)}\n\n".encode()
HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
)
BODY = b'{"model":"bench","messages":[{"role":"user","content":"hi"}],"stream":true}'

Read = Callable[[str], AsyncGenerator[bytes, None]]
"""Sends a request to a URL, and yields the pieces of the response as the client returns them."""


async def serve(tokens: int, rate: float) -> None:
    """Print a free port, then respond to each connection with `tokens` at `rate` per second."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD)
        due = time.monotonic()
        for _ in range(tokens):
            writer.write(b"%x\r\n%b\r\n" % (len(EVENT), EVENT))
            due += 1 / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(respond, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def with_httpx(transport: Any = None) -> Read:
    """httpx as in its documentation, over its own transport or another."""
    import httpx

    limits = httpx.Limits(max_connections=None)
    return _with_client(httpx.AsyncClient(transport=transport, timeout=60, limits=limits))


def with_httpx_over_aiohttp() -> Read:
    """httpx over aiohttp's connections."""
    import aiohttp

    over: Any = importlib.import_module("httpx_aiohttp")

    def session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    return with_httpx(over.AiohttpTransport(client=session))


def with_httpx2() -> Read:
    """httpx's successor, over its own transport."""
    httpx2: Any = importlib.import_module("httpx2")
    limits = httpx2.Limits(max_connections=None)
    return _with_client(httpx2.AsyncClient(timeout=60, limits=limits))


def with_gateway() -> Read:
    """The gateway's transport: aiohttp with its headers and error handling."""
    from akash_gradio.config.endpoints import EndpointSettings
    from akash_gradio.domain.chat import EMPTY_MAPPING
    from akash_gradio.gateway.passthrough.transport import HttpTransport

    transport = HttpTransport()

    async def read(url: str) -> AsyncGenerator[bytes, None]:
        entry = EndpointSettings.model_validate({"name": "bench", "url": url})
        response = await transport.open(
            entry, "/chat/completions", BODY, headers=EMPTY_MAPPING, connect_timeout_s=60
        )
        while piece := await response.read():
            yield piece
        await response.aclose()

    return read


def _with_client(client: Any) -> Read:
    async def read(url: str) -> AsyncGenerator[bytes, None]:
        request = client.stream("POST", f"{url}/v1/chat/completions", content=BODY)
        async with request as response, aclosing(response.aiter_raw()) as pieces:
            async for piece in pieces:
                yield piece

    return read


OPTIONAL = {"httpx2": "httpx2", "httpx over aiohttp": "httpx_aiohttp"}
"""The modules of clients that may be missing."""
CLIENTS: dict[str, Callable[[], Read]] = {
    "httpx": with_httpx,
    "httpx2": with_httpx2,
    "httpx over aiohttp": with_httpx_over_aiohttp,
    "the gateway's transport": with_gateway,
}


async def measure(name: str, url: str, streams: int) -> float:
    """Return the CPU microseconds of this process for each token, with concurrent streams."""
    read = CLIENTS[name]()

    async def read_stream() -> int:
        size = 0
        async with aclosing(read(url)) as pieces:
            async for piece in pieces:
                size += len(piece)
        return size // len(EVENT)

    await read_stream()
    before_s = time.process_time()
    tokens = sum(await asyncio.gather(*(read_stream() for _ in range(streams))))
    return (time.process_time() - before_s) * 1e6 / tokens


def measure_in_process(*arguments: object) -> float:
    """Run `measure` in a new interpreter."""
    command = [sys.executable, "-m", "bench.http_clients", *map(str, arguments)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def compare(streams: int, tokens: int, rate: float, rounds: int) -> None:
    """Measure every client, round after round, and print medians and ratios."""
    missing = {n for n, module in OPTIONAL.items() if not importlib.util.find_spec(module)}
    installed = [name for name in CLIENTS if name not in missing]
    command = [sys.executable, "-m", "bench.http_clients", "--serve"]
    command += ["--tokens", str(tokens), "--rate", str(rate)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        measured: dict[str, list[float]] = {name: [] for name in installed}
        for _ in range(rounds):
            for name in installed:
                measured[name].append(
                    measure_in_process("--client", name, "--url", url, "--streams", streams)
                )
        server.terminate()
    base = statistics.median(measured["httpx"])
    print(f"{streams} streams of {rate:g} tok/s, {tokens} tokens each, median of {rounds} rounds")
    print("| client | CPU µs for each token | of httpx's | rounds |\n|---|---|---|---|")
    for name, values in measured.items():
        middle = statistics.median(values)
        each = " ".join(f"{value:.0f}" for value in values)
        print(f"| {name} | {middle:.0f} | {middle / base:.2f} | {each} |")


def main() -> None:
    """Compare the clients, or run one of the processes that this needs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument("--tokens", type=int, default=150, help="of each stream")
    parser.add_argument("--rate", type=float, default=50, help="tokens a second of each stream")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--client", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        uvloop.run(serve(options.tokens, options.rate))
    elif options.client:
        print(uvloop.run(measure(options.client, options.url, options.streams)))
    else:
        compare(options.streams, options.tokens, options.rate, options.rounds)


if __name__ == "__main__":
    main()
