"""The usual page: `gr.ChatInterface`, which yields each token as it is received."""

from __future__ import annotations

import argparse
import json
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr
import httpx


def chat_page(upstream: str, turns: int) -> gr.ChatInterface:
    """Return a page whose chat has a number of turns. upstream: a base URL that ends in /v1."""
    client = httpx.AsyncClient(limits=httpx.Limits(max_connections=None), timeout=60)

    async def answer(message: str, _history: list[Any]) -> AsyncIterator[str]:
        messages = [{"role": "user", "content": message}]
        body = {"model": "bench", "stream": True, "messages": messages}
        text = ""
        async with client.stream("POST", f"{upstream}/chat/completions", json=body) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    delta = json.loads(line[6:])["choices"][0]["delta"]
                    text += delta.get("content") or ""
                    yield text

    history: list[Any] = [
        {"role": ("user", "assistant")[number % 2], "content": f"Turn {number}. " + "word " * 80}
        for number in range(turns)
    ]
    return gr.ChatInterface(answer, chatbot=gr.Chatbot(value=history), concurrency_limit=None)


def main() -> None:
    """Serve until the process ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--turns", type=int, required=True)
    options = parser.parse_args()
    page = chat_page(options.upstream, options.turns)
    page.launch(server_port=options.port, quiet=True, ssr_mode=False)


if __name__ == "__main__":
    main()
