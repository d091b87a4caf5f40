"""The pages under test: how each is started, and asked as its own script asks."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any, Final

import httpx

from bench.programs import ROOT

Lines = Callable[[httpx.AsyncClient, str, int], AsyncGenerator[str, None]]
"""A client, a message and how many turns came before it → the lines of the answer's stream."""


class WrongPage(Exception):
    """A token came in the wrong place, or none came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A page: how it is started (port, endpoint's base URL, turns), when it is up, and asked.

    shows: whether a line of its stream brings tokens. usable: a selector of the box, once a
    message can be written.
    """

    name: str
    says: str
    start: Callable[[int, str, int], tuple[list[str], dict[str, str]]]
    ready_path: str
    lines: Lines
    shows: Callable[[str], bool]
    usable: str


def _start_ours(port: int, upstream: str, _turns: int) -> tuple[list[str], dict[str, str]]:
    endpoints = [{"url": upstream, "models": ["bench"]}]
    environment = {
        "ENDPOINTS": json.dumps(endpoints),
        "EMBEDDED": "off",
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
    }
    return [sys.executable, str(ROOT / "app.py")], environment


async def _ours(client: httpx.AsyncClient, message: str, turns: int) -> AsyncGenerator[str, None]:
    said = [
        {"role": ("user", "assistant")[number % 2], "text": f"Turn {number}. " + "word " * 80}
        for number in range(turns)
    ]
    body = {"model": "bench", "turns": [*said, {"role": "user", "text": message}]}
    async with client.stream("POST", "/page/reply", json=body) as answer:
        async for line in answer.aiter_lines():
            yield line


def _start_chat_interface(port: int, upstream: str, turns: int) -> tuple[list[str], dict[str, str]]:
    command = [sys.executable, "-m", "bench.peers.chat_interface", "--port", str(port)]
    return [*command, "--upstream", upstream, "--turns", str(turns)], {}


async def _chat_interface(
    client: httpx.AsyncClient, message: str, _turns: int
) -> AsyncGenerator[str, None]:
    """What its own script does: keep the message, then run the answer's event, and hear of both."""
    config = (await client.get("/config")).json()
    keep, answer = _events(config)
    session = uuid.uuid4().hex
    for event, data in ((keep, [message]), (answer, [None, None])):
        joined = {"fn_index": event, "data": data, "session_hash": session}
        (await client.post("/gradio_api/queue/join", json=joined)).raise_for_status()
        parameters = {"session_hash": session}
        async with client.stream("GET", "/gradio_api/queue/data", params=parameters) as stream:
            async for line in stream.aiter_lines():
                yield line
                if '"process_completed"' in line:
                    break


def _events(config: dict[str, Any]) -> tuple[int, int]:
    """The events of the text box's Enter and of the answer that follows it."""
    dependencies = config["dependencies"]
    boxes = {part["id"] for part in config["components"] if part["type"] == "textbox"}
    for entry in dependencies:
        targets = {tuple(target) for target in entry["targets"]}
        if any((box, "submit") in targets for box in boxes):
            keep = int(entry["id"])
            break
    else:
        raise WrongPage("no event of the text box")
    echo = next(e for e in dependencies if e["trigger_after"] == keep)
    answer = next(e for e in dependencies if e["trigger_after"] == echo["id"])
    return keep, int(answer["id"])


SITES: Final = (
    Site(
        name="page",
        says="ours, POST /page/reply",
        start=_start_ours,
        ready_path="/page/boot",
        lines=_ours,
        shows=lambda line: line.startswith("data: "),
        usable="#message",
    ),
    Site(
        name="chat_interface",
        says="gr.ChatInterface, each token yielded",
        start=_start_chat_interface,
        ready_path="/config",
        lines=_chat_interface,
        shows=lambda line: '"process_generating"' in line,
        usable="textarea:not([disabled])",
    ),
)
