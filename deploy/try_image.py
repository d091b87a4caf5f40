"""Tries a started image: it answers, and SIGTERM lets a running answer finish.

    python3 deploy/try_image.py COMMAND…

COMMAND starts it with this process's API_ENDPOINT and GRADIO_SERVER_PORT on this machine's network:
`docker run --rm --read-only --tmpfs /tmp -v akash-gradio:/data --network host -e API_ENDPOINT
-e GRADIO_SERVER_PORT -e EMBEDDED=off akash-gradio`, or deploy/start_unpacked.sh. Standard
library only.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

WORDS = 8
WORD_S = 1.0
STARTS_S = 120.0


class Endpoint(BaseHTTPRequestHandler):
    """An endpoint that says a word a second."""

    def do_GET(self) -> None:
        """`/v1/models`."""
        self._begin("application/json")
        models = [{"id": "slow"}, {"id": "other"}]
        self.wfile.write(json.dumps({"object": "list", "data": models}).encode())

    def do_POST(self) -> None:
        """The answer."""
        self.rfile.read(int(self.headers["content-length"]))
        self._begin("text/event-stream")
        for number in range(WORDS):
            delta = {"choices": [{"index": 0, "delta": {"content": f"word-{number} "}}]}
            self.wfile.write(f"data: {json.dumps(delta)}\n\n".encode())
            time.sleep(WORD_S)
        end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        self.wfile.write(f"data: {json.dumps(end)}\n\ndata: [DONE]\n\n".encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def _begin(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.end_headers()


def main(command: list[str]) -> None:
    """Start it, look, end it; exits with a sentence where something is wrong."""
    endpoint = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=endpoint.serve_forever, daemon=True).start()
    port = _free_port()
    named = {
        "API_ENDPOINT": f"http://127.0.0.1:{endpoint.server_port}/v1",
        "GRADIO_SERVER_PORT": str(port),
    }
    began = time.monotonic()
    running = subprocess.Popen(command, env={**os.environ, **named})
    try:
        _look(running, f"http://127.0.0.1:{port}", began)
    finally:
        running.kill()


def _look(running: subprocess.Popen[bytes], url: str, began: float) -> None:
    while (told := _healthy(url)) is None:
        if running.poll() is not None or time.monotonic() - began > STARTS_S:
            sys.exit("it did not come up")
        time.sleep(0.2)
    status = Path(f"/proc/{running.pid}/status").read_text()
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    print(f"/healthz said {told} after {time.monotonic() - began:.1f} s")
    memory_mb = int(facts["VmRSS"].split()[0]) // 1024
    print(f"its process: user {facts['Uid'].split()[0]}, {memory_mb} MB in memory")

    vote = {"id": "v1", "when": "2026-11-26T04:00:00Z", "a": "slow", "b": "other", "outcome": "a"}
    with urlopen(_asking(f"{url}/page/compare/votes", {"votes": [vote]}), timeout=10) as answer:
        if json.load(answer) != {"kept": True}:
            sys.exit("it can't keep a vote in DATA_DIR")
    body = {"model": "slow", "turns": [{"role": "user", "text": "Count"}]}
    with urlopen(_asking(f"{url}/page/reply", body), timeout=60) as answer:
        said = answer.readline()
        running.send_signal(signal.SIGTERM)
        told_at = time.monotonic()
        said += answer.read()
    if f"word-{WORDS - 1}".encode() not in said or b'"type":"done"' not in said:
        sys.exit("SIGTERM cut the answer")
    status_code = running.wait(30)
    waited = time.monotonic() - told_at
    print(f"SIGTERM let the answer finish; it ended {waited:.1f} s later with {status_code}")
    if status_code != 0 or waited > WORDS * WORD_S + 10:
        sys.exit("it did not end as it should")


def _asking(url: str, body: object) -> Request:
    return Request(url, json.dumps(body).encode(), {"content-type": "application/json"})


def _healthy(url: str) -> int | None:
    try:
        with urlopen(f"{url}/healthz", timeout=2) as answer:
            return int(answer.status)
    except (URLError, OSError):
        return None


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


if __name__ == "__main__":
    main(sys.argv[1:])
