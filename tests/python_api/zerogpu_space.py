"""A ZeroGPU Space over a fake device API: run by test_zerogpu.py in a process of its own.

The real `spaces` package forks workers and schedules GPU time; only its HTTP API is replaced.
Prints one JSON object with what happened.
"""

from __future__ import annotations

import http.server
import json
import multiprocessing
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

FOLDER = Path(sys.argv[1])
SCHEDULED: list[dict[str, str]] = []
CLOSED = FOLDER / "closed"
QUEUE = threading.Event()
"""Set while a request for a GPU is answered at once."""
QUEUE.set()


class DeviceApi(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        url = urlsplit(self.path)
        answer: dict[str, Any] = {}
        if url.path.endswith("/schedule"):
            SCHEDULED.append({name: values[0] for name, values in parse_qs(url.query).items()})
            QUEUE.wait(20)
            answer = {"idle": True, "nvidiaIndex": 0, "nvidiaUUID": "u", "allowToken": "t"}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


api = http.server.ThreadingHTTPServer(("127.0.0.1", 0), DeviceApi)
threading.Thread(target=api.serve_forever, daemon=True).start()
(FOLDER / "cgroup").write_text("1:devices:/x\n")
os.environ |= {
    "SPACES_ZERO_GPU": "true",
    "SPACES_ZERO_DEVICE_API_URL": f"http://127.0.0.1:{api.server_port}",
    "ZEROGPU_PROC_SELF_CGROUP_PATH": str(FOLDER / "cgroup"),
    "HOME": str(FOLDER),
    "GRADIO_ANALYTICS_ENABLED": "False",
}

import spaces  # noqa: E402

import akash_gradio as ag  # noqa: E402

PARENT = os.getpid()


@ag.model("quick")
@spaces.GPU(duration=ag.gpu_duration(10, start_s=5))  # type: ignore[untyped-decorator]
def quick(messages: Any, *, max_tokens: int | None = None) -> Any:
    yield "in a worker " if os.getpid() != PARENT else "in the parent "
    yield f"with {max_tokens} tokens"


@ag.model("slow")
@spaces.GPU  # type: ignore[untyped-decorator]
def slow(messages: Any) -> Any:
    where = messages[-1]["content"]
    try:
        if where == "prefill":
            time.sleep(2)
        while True:
            yield "word "
            time.sleep(0.05)
    finally:
        CLOSED.write_text(where)


def refused() -> str:
    @spaces.GPU  # type: ignore[untyped-decorator]
    async def later(messages: Any) -> Any:
        yield "x"

    try:
        ag.model(later)
    except ag.ConfigurationError as error:
        return str(error)
    return ""


def send(url: str, model: str, text: str = "Hi", **fields: Any) -> Any:
    body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
    headers = {"content-type": "application/json", "x-ip-token": "a.eyJ1c2VyIjoiYW5uIn0.c"}
    request = Request(f"{url}/v1/chat/completions", json.dumps(body).encode(), headers)
    return urlopen(request, timeout=30)


def stop_after(app: ag.App, text: str, wait_s: float) -> None:
    """Close the connection of a running answer after a while."""
    CLOSED.unlink(missing_ok=True)
    host, port = app.url.removeprefix("http://").split(":")
    body = json.dumps(
        {"model": "slow", "messages": [{"role": "user", "content": text}], "stream": True}
    )
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}:{port}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
        )
        time.sleep(wait_s)


def wait_until(condition: Any, limit_s: float = 15) -> bool:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def running(app: ag.App) -> int:
    return sum(entry.running_calls for entry in app.settings.endpoints)


def main() -> None:
    results: dict[str, Any] = {"refused": refused()}
    with ag.App([quick, slow]) as app:
        with send(app.url, "quick", max_tokens=20) as response:
            results["answer"] = json.load(response)["choices"][0]["message"]["content"]
        results["scheduled"] = SCHEDULED[-1]
        with send(app.url, "quick") as response:
            response.read()
        results["default_duration"] = SCHEDULED[-1]
        # A connection that this process closes is closed for the client, although workers run.
        listener = socket.create_server(("127.0.0.1", 0))
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        stop_after(app, "generation", 1.5)  # forks a worker while the connection is open
        results["generation"] = wait_until(CLOSED.exists) and CLOSED.read_text()
        server.close()
        client.settimeout(5)
        results["client_sees_end"] = client.recv(1) == b""
        results["free_after_generation"] = wait_until(lambda: running(app) == 0)
        stop_after(app, "prefill", 0.5)
        results["busy_in_prefill"] = running(app) == 1
        results["prefill"] = wait_until(CLOSED.exists) and CLOSED.read_text()
        results["free_after_prefill"] = wait_until(lambda: running(app) == 0)
        QUEUE.clear()
        stop_after(app, "queued", 0.5)
        results["busy_in_queue"] = running(app) == 1
        QUEUE.set()
        results["free_after_queue"] = wait_until(lambda: running(app) == 0)
    sys.stdout.write(json.dumps(results) + "\n")
    sys.stdout.flush()
    for worker in multiprocessing.active_children():  # `spaces` never ends them
        worker.terminate()
    os._exit(0)


if __name__ == "__main__":
    main()
