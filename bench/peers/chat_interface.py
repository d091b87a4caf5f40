"""The page that everybody writes first: `gr.ChatInterface`, each token yielded as it comes."""

from __future__ import annotations

import argparse
import json
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr
import httpx


def chat_page(upstream: str, turns: int) -> gr.ChatInterface:
    """Its chat begins with so many turns. upstream: a base URL ending in /v1."""
    client = httpx.AsyncClient(limits=httpx.Limits(max_connections=None), timeout=60)

    async def answer(message: str, _history: list[Any]) -> AsyncIterator[str]:
        question = [{"role": "user", "content": message}]
        body = {"model": "bench", "stream": True, "messages": question}
        said = ""
        async with client.stream("POST", f"{upstream}/chat/completions", json=body) as reply:
            async for line in reply.aiter_lines():
                if line.startswith("data: {"):
                    delta = json.loads(line[6:])["choices"][0]["delta"]
                    said += delta.get("content") or ""
                    yield said

    said_before: list[Any] = [
        {"role": ("user", "assistant")[number % 2], "content": f"Turn {number}. " + "word " * 80}
        for number in range(turns)
    ]
    return gr.ChatInterface(answer, chatbot=gr.Chatbot(value=said_before), concurrency_limit=None)


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--turns", type=int, required=True)
    asked = parser.parse_args()
    page = chat_page(asked.upstream, asked.turns)
    page.launch(server_port=asked.port, quiet=True, ssr_mode=False)


if __name__ == "__main__":
    main()
