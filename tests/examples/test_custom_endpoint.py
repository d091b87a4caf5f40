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

SCRIPT = Path(__file__).parents[2] / "examples" / "custom_endpoint.py"
KEY = {"authorization": "Bearer sesame"}
LONG = "word " * 3000


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


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
    assert any("running on" in line for line in process.stderr), "it ended before it listened"
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=KEY) as client:
        yield client
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)


def ask(content: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": content}]
    return {"model": "my-custom-model", "messages": messages, **more}


def said(body: str) -> list[dict[str, Any]]:
    events = body.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    return [json.loads(event.removeprefix("data: ")) for event in events[:-2]]


def test_lists_its_model_with_openais_types(server: httpx.Client) -> None:
    listed = server.get("/v1/models").json()
    assert listed["object"] == "list"
    (model,) = listed["data"]
    assert (model["id"], model["object"]) == ("my-custom-model", "model")
    assert isinstance(model["created"], int)
    assert isinstance(model["owned_by"], str)


def test_answers_whole_with_integer_usage_that_adds_up(server: httpx.Client) -> None:
    reply = server.post("/v1/chat/completions", json=ask("Grüße, 👩‍🚀\n```py\nx = 1\n```")).json()
    assert (reply["object"], reply["model"]) == ("chat.completion", "my-custom-model")
    assert reply["id"].startswith("chatcmpl-")
    assert isinstance(reply["created"], int)
    (choice,) = reply["choices"]
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"].endswith("You said: Grüße, 👩‍🚀\n```py\nx = 1\n```")
    assert choice["finish_reason"] == "stop"
    usage = reply["usage"]
    assert all(type(count) is int for count in usage.values())
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_streams_the_same_words_as_it_says_whole(server: httpx.Client) -> None:
    question = ask("one  two\nthree ")
    whole = server.post("/v1/chat/completions", json=question).json()
    reply = server.post("/v1/chat/completions", json={**question, "stream": True})
    assert reply.headers["content-type"].startswith("text/event-stream")
    chunks = said(reply.text)
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    deltas = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks]
    assert "".join(deltas) == whole["choices"][0]["message"]["content"]
    finishes = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert finishes == [None] * (len(chunks) - 1) + ["stop"]
    assert chunks[-1]["usage"] == whole["usage"]


def test_sends_the_first_word_long_before_the_last(server: httpx.Client) -> None:
    question = ask(LONG, stream=True)
    with server.stream("POST", "/v1/chat/completions", json=question) as reply:
        first = next(reply.iter_lines())
    assert json.loads(first.removeprefix("data: "))["choices"][0]["delta"]["content"] == "I "


@pytest.mark.parametrize("sent", ["", "Bearer wrong", "sesame", "Basic sesame"])
@pytest.mark.parametrize("path", ["/v1/models", "/v1/chat/completions"])
def test_refuses_a_wrong_key_in_openais_shape(server: httpx.Client, path: str, sent: str) -> None:
    method = "GET" if path.endswith("models") else "POST"
    body = None if method == "GET" else ask("hi")
    reply = server.request(method, path, headers={"authorization": sent}, json=body)
    assert reply.status_code == 401
    error = reply.json()["error"]
    assert isinstance(error["message"], str)
    assert error["type"] == "invalid_request_error"
    assert "sesame" not in reply.text


def test_says_that_it_does_not_know_another_model(server: httpx.Client) -> None:
    reply = server.post("/v1/chat/completions", json=ask("hi") | {"model": "another"})
    assert reply.status_code == 404
    assert "another" in reply.json()["error"]["message"]


def test_calls_a_malformed_request_the_callers_fault(server: httpx.Client) -> None:
    reply = server.post("/v1/chat/completions", json=ask("hi") | {"messages": []})
    assert reply.status_code == 400
    assert "messages" in reply.json()["error"]["message"]


def test_does_not_start_without_a_key() -> None:
    process = start(free_port())
    _, told = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "API_KEY" in told


@pytest.mark.parametrize("streamed", [True, False])
def test_stops_answering_when_the_client_leaves(streamed: bool) -> None:
    # Told to stop, uvicorn waits for the answers that are under way: this one takes a minute.
    port = free_port()
    process = start(port, API_KEY="sesame")
    assert process.stderr is not None
    assert any("running on" in line for line in process.stderr)
    body = json.dumps(ask(LONG, stream=streamed)).encode()
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
