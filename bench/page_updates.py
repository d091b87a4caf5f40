"""What an answer costs the server: our event stream beside `gr.Chatbot`, CPU per token.

`python -m bench.page_updates` starts one Gradio server with both in it and no endpoint
behind them, asks each over HTTP from another process, and reads the server's CPU time from
/proc (Linux). docs/frontend.md has a run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final
from uuid import uuid4

import httpx

LINE = "A word, **another** one, `some code` and [a link](https://example.org) in a line. "
PARAGRAPH = (LINE * 4).split(" ")
MODEL = "bench"
IDLE_S: Final = 5.0


def words(count: int) -> list[str]:
    """So many tokens of markdown, a new paragraph after each sixty or so."""
    long = [*PARAGRAPH[:-1], "\n\n"] * (count // len(PARAGRAPH) + 1)
    return [f"{word} " for word in long[:count]]


async def paced(count: int, rate: float) -> AsyncGenerator[str, None]:
    """The tokens at `rate` a second, 0 for as fast as they are taken."""
    due = time.monotonic()
    for word in words(count):
        due += 1 / rate if rate else 0.0
        await asyncio.sleep(max(0.0, due - time.monotonic()) if rate else 0)
        yield word


def serve(port: int, tokens: int) -> None:
    """Both pages in one server, until the process is ended."""
    import gradio as gr

    from akash_gradio.catalog.reading import Catalog
    from akash_gradio.catalog.thumbnails import Thumbnails
    from akash_gradio.domain.chat import ChatRequest
    from akash_gradio.domain.events import Event, Finished, Started, TextDelta
    from akash_gradio.domain.ports import EndpointStatus
    from akash_gradio.domain.receipt import Receipt
    from akash_gradio.ui.house import House
    from akash_gradio.ui.routes import page_routes

    class InMemory:
        """Answers with `tokens` words; the model's name is the rate."""

        async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
            yield Started("bench", MODEL)
            async for word in paced(tokens, float(request.model)):
                yield TextDelta(word)
            yield Finished("stop", Receipt(model_asked=MODEL))

        def endpoints(self) -> tuple[EndpointStatus, ...]:
            return ()

    async def chatbot(before: int, rate: float) -> AsyncGenerator[list[dict[str, str]], None]:
        roles = ("user", "assistant")
        history = [{"role": roles[n % 2], "content": LINE * 3} for n in range(before)]
        said = ""
        async for word in paced(tokens, rate):
            said += word
            yield [*history, {"role": "assistant", "content": said}]

    house = House(answerer=InMemory(), catalog=Catalog(), thumbnails=Thumbnails(Path("none")))
    with gr.Blocks() as page:
        log, before, rate = gr.Chatbot(), gr.Number(0, precision=0), gr.Number(0)
        gr.Button().click(chatbot, [before, rate], log)
    page.queue(default_concurrency_limit=None).launch(
        server_port=port, quiet=True, ssr_mode=False, app_kwargs={"routes": page_routes(house)}
    )


def cpu_s(process_id: int) -> float:
    """User and system seconds of the process so far."""
    fields = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read_ours(client: httpx.Client, rate: float) -> int:
    """Ask our event stream; returns how many updates came."""
    turns = [{"role": "user", "text": "hi"}]
    asked = client.stream("POST", "page/reply", json={"model": str(rate), "turns": turns})
    with asked as response:
        return sum(line.startswith("data: ") for line in response.iter_lines())


def read_chatbot(client: httpx.Client, before: int, rate: float) -> int:
    """Ask the Chatbot's generator over Gradio's queue; returns how many updates came."""
    session = uuid4().hex
    question = {"fn_index": 0, "data": [before, rate], "session_hash": session}
    client.post("gradio_api/queue/join", json=question).raise_for_status()
    updates = 0
    with client.stream("GET", f"gradio_api/queue/data?session_hash={session}") as response:
        for line in response.iter_lines():
            kind = json.loads(line[6:]).get("msg") if line.startswith("data: ") else ""
            updates += kind == "process_generating"
            if kind == "process_completed":
                break
    return updates


def measure(process_id: int, client: httpx.Client, tokens: int, rounds: int) -> None:
    """Print what each way costs; the server's idle seconds are taken off.

    Several visitors ask ours at once, so that it costs more than idling does.
    """
    ways: list[tuple[str, int, Callable[[], int]]] = [
        ("ours, 100 tok/s", 20, lambda: read_ours(client, 100)),
        ("ours, full speed", 20, lambda: read_ours(client, 0)),
        ("Chatbot, empty, 100 tok/s", 1, lambda: read_chatbot(client, 0, 100)),
        ("Chatbot, 100 messages, 100 tok/s", 1, lambda: read_chatbot(client, 100, 100)),
    ]
    ways[1][2]()
    began = cpu_s(process_id)
    time.sleep(IDLE_S)
    idle = (cpu_s(process_id) - began) / IDLE_S
    print(f"{tokens} tokens each, idle {idle * 100:.1f} % of a core (taken off)")
    print("| way | visitors | updates each | CPU ms per token | CPU ms per update |")
    print("|---|---|---|---|---|")
    for name, visitors, ask in ways:
        for _ in range(rounds):
            began, at = cpu_s(process_id), time.monotonic()
            with ThreadPoolExecutor(visitors) as crowd:
                updates = sum(crowd.map(lambda _, ask=ask: ask(), range(visitors)))
            spent_ms = 1000 * (cpu_s(process_id) - began - idle * (time.monotonic() - at))
            each = f"{spent_ms / tokens / visitors:.3f} | {spent_ms / updates:.2f}"
            print(f"| {name} | {visitors} | {updates / visitors:.0f} | {each} |", flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--port", type=int, default=7955)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        return serve(asked.port, asked.tokens)
    command = [sys.executable, "-m", "bench.page_updates", "--serve"]
    command += ["--port", str(asked.port), "--tokens", str(asked.tokens)]
    with (
        subprocess.Popen(command) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{asked.port}", timeout=300) as client,
    ):
        try:
            _wait(client, server)
            measure(server.pid, client, asked.tokens, asked.rounds)
        finally:
            server.terminate()
    return None


def _wait(client: httpx.Client, server: subprocess.Popen[bytes]) -> None:
    while server.poll() is None:
        try:
            client.get("page/boot").raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.5)
        else:
            return
    sys.exit("the server ended")


if __name__ == "__main__":
    main()
