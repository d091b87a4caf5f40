from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.browser.servers import free_port

SCRIPT = Path(__file__).parents[2] / "examples" / "custom_endpoint.py"
KEY = {"authorization": "Bearer sesame"}
LONG = "word " * 3000


def start(port: int, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT)],
        env={"PATH": os.environ["PATH"], "PORT": str(port), **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def server() -> Iterator[httpx.Client]:
    port = free_port()
    process = start(port, API_KEY="sesame")
    assert process.stderr is not None
    assert any("running on" in line for line in process.stderr), "it exited before it listened"
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=KEY) as client:
        yield client
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)


def chat_request(content: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": content}]
    return {"model": "my-custom-model", "messages": messages, **more}


def parse_events(body: str) -> list[dict[str, Any]]:
    events = body.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    return [json.loads(event.removeprefix("data: ")) for event in events[:-2]]


def test_the_model_list_has_openais_types(server: httpx.Client) -> None:
    listed = server.get("/v1/models").json()
    assert listed["object"] == "list"
    (model,) = listed["data"]
    assert (model["id"], model["object"]) == ("my-custom-model", "model")
    assert isinstance(model["created"], int)
    assert isinstance(model["owned_by"], str)


def test_a_completion_has_usage_that_adds_up(server: httpx.Client) -> None:
    completion = server.post(
        "/v1/chat/completions", json=chat_request("Grüße, 👩‍🚀\n```py\nx = 1\n```")
    ).json()
    assert (completion["object"], completion["model"]) == ("chat.completion", "my-custom-model")
    assert completion["id"].startswith("chatcmpl-")
    assert isinstance(completion["created"], int)
    (choice,) = completion["choices"]
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"].endswith("You said: Grüße, 👩‍🚀\n```py\nx = 1\n```")
    assert choice["finish_reason"] == "stop"
    usage = completion["usage"]
    assert all(type(count) is int for count in usage.values())
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_a_stream_has_the_text_of_the_completion(server: httpx.Client) -> None:
    request = chat_request("one  two\nthree ")
    whole = server.post("/v1/chat/completions", json=request).json()
    response = server.post("/v1/chat/completions", json={**request, "stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    chunks = parse_events(response.text)
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    deltas = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks]
    assert "".join(deltas) == whole["choices"][0]["message"]["content"]
    finishes = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert finishes == [None] * (len(chunks) - 1) + ["stop"]
    assert chunks[-1]["usage"] == whole["usage"]


def test_the_first_chunk_is_sent_before_the_last_is_generated(server: httpx.Client) -> None:
    request = chat_request(LONG, stream=True)
    with server.stream("POST", "/v1/chat/completions", json=request) as response:
        first = next(response.iter_lines())
    assert json.loads(first.removeprefix("data: "))["choices"][0]["delta"]["content"] == "I "


@pytest.mark.parametrize("sent", ["", "Bearer wrong", "sesame", "Basic sesame"])
@pytest.mark.parametrize("path", ["/v1/models", "/v1/chat/completions"])
def test_a_wrong_key_is_rejected_in_openais_shape(
    server: httpx.Client, path: str, sent: str
) -> None:
    method = "GET" if path.endswith("models") else "POST"
    body = None if method == "GET" else chat_request("hi")
    response = server.request(method, path, headers={"authorization": sent}, json=body)
    assert response.status_code == 401
    error = response.json()["error"]
    assert isinstance(error["message"], str)
    assert error["type"] == "invalid_request_error"
    assert "sesame" not in response.text


def test_an_unknown_model_is_not_found(server: httpx.Client) -> None:
    response = server.post("/v1/chat/completions", json=chat_request("hi") | {"model": "another"})
    assert response.status_code == 404
    assert "another" in response.json()["error"]["message"]


def test_an_invalid_request_is_a_client_error(server: httpx.Client) -> None:
    response = server.post("/v1/chat/completions", json=chat_request("hi") | {"messages": []})
    assert response.status_code == 400
    assert "messages" in response.json()["error"]["message"]


def test_it_exits_without_a_key() -> None:
    process = start(free_port())
    _, log = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "API_KEY" in log


@pytest.mark.parametrize("streamed", [True, False])
def test_generating_stops_when_the_client_disconnects(streamed: bool) -> None:
    # uvicorn waits for responses in progress before it exits: this one takes a minute.
    port = free_port()
    process = start(port, API_KEY="sesame")
    assert process.stderr is not None
    assert any("running on" in line for line in process.stderr)
    body = json.dumps(chat_request(LONG, stream=streamed)).encode()
    with socket.create_connection(("127.0.0.1", port)) as client:
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sesame\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        client.sendall(head.encode() + body)
        assert client.recv(15) == b"HTTP/1.1 200 OK"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode in (0, -signal.SIGTERM)
