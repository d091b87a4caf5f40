"""The pages under test: how each is started, and the requests that its own script sends."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx

from bench.programs import ROOT

Lines = Callable[[httpx.AsyncClient, str, int], AsyncGenerator[str, None]]
"""Sends a message after a number of turns, and yields the lines of the answer's stream."""


class WrongPage(Exception):
    """A token was in the wrong place or missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTarget:
    """A page under test.

    Attributes:
        name: Its name in the report.
        description: What it is, for the report.
        start: Returns the command and environment for a port, the endpoint's base URL and a
            number of turns.
        ready_path: A path that responds with 200 once the page is ready.
        lines: Sends a message.
        has_tokens: Returns whether a line of the stream contains tokens.
        usable: A selector of the message box that matches once it can be used.
    """

    name: str
    description: str
    start: Callable[[int, str, int], tuple[list[str], dict[str, str]]]
    ready_path: str
    lines: Lines
    has_tokens: Callable[[str], bool]
    usable: str


def _start_page(
    port: int, upstream: str, _turns: int, root: Path = ROOT
) -> tuple[list[str], dict[str, str]]:
    endpoints = [{"url": upstream, "models": ["bench"]}]
    environment = {
        "ENDPOINTS": json.dumps(endpoints),
        "EMBEDDED": "off",
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "PYTHONPATH": str(root),
    }
    return [sys.executable, str(root / "app.py")], environment


async def _send_to_page(
    client: httpx.AsyncClient, message: str, turns: int
) -> AsyncGenerator[str, None]:
    previous = [
        {"role": ("user", "assistant")[number % 2], "text": f"Turn {number}. " + "word " * 80}
        for number in range(turns)
    ]
    body = {"model": "bench", "turns": [*previous, {"role": "user", "text": message}]}
    async with client.stream("POST", "/page/reply", json=body) as response:
        async for line in response.aiter_lines():
            yield line


def _start_chat_interface(port: int, upstream: str, turns: int) -> tuple[list[str], dict[str, str]]:
    command = [sys.executable, "-m", "bench.peers.chat_interface", "--port", str(port)]
    return [*command, "--upstream", upstream, "--turns", str(turns)], {}


async def _send_to_chat_interface(
    client: httpx.AsyncClient, message: str, _turns: int
) -> AsyncGenerator[str, None]:
    """Do what its own script does: submit the message, run the answer's event, and read both."""
    config = (await client.get("/config")).json()
    submit, answer = _events(config)
    session = uuid.uuid4().hex
    for event, data in ((submit, [message]), (answer, [None, None])):
        job = {"fn_index": event, "data": data, "session_hash": session}
        (await client.post("/gradio_api/queue/join", json=job)).raise_for_status()
        parameters = {"session_hash": session}
        async with client.stream("GET", "/gradio_api/queue/data", params=parameters) as stream:
            async for line in stream.aiter_lines():
                yield line
                if '"process_completed"' in line:
                    break


def _events(config: dict[str, Any]) -> tuple[int, int]:
    """Return the events of the text box's submit and of the answer that follows it."""
    dependencies = config["dependencies"]
    boxes = {part["id"] for part in config["components"] if part["type"] == "textbox"}
    for entry in dependencies:
        targets = {tuple(target) for target in entry["targets"]}
        if any((box, "submit") in targets for box in boxes):
            submit = int(entry["id"])
            break
    else:
        raise WrongPage("the text box has no submit event")
    echo = next(e for e in dependencies if e["trigger_after"] == submit)
    answer = next(e for e in dependencies if e["trigger_after"] == echo["id"])
    return submit, int(answer["id"])


PAGES: Final = (
    PageTarget(
        name="page",
        description="the page of Akash Gradio, POST /page/reply",
        start=_start_page,
        ready_path="/page/boot",
        lines=_send_to_page,
        has_tokens=lambda line: line.startswith("data: "),
        usable="#message",
    ),
    PageTarget(
        name="chat_interface",
        description="gr.ChatInterface, which yields each token",
        start=_start_chat_interface,
        ready_path="/config",
        lines=_send_to_chat_interface,
        has_tokens=lambda line: '"process_generating"' in line,
        usable="textarea:not([disabled])",
    ),
)


def earlier_pages(checkout: Path | None) -> tuple[PageTarget, ...]:
    """Return the page of another checkout of this project, in this environment."""
    if checkout is None:
        return ()
    root = checkout.resolve()
    return (
        replace(
            PAGES[0],
            name="page_before",
            description=f"the same of another checkout, {checkout}",
            start=partial(_start_page, root=root),
        ),
    )
